"""The sources of a described provider: what all sources have, and the credentials that the description asks for."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from worker.settings.description import Description
from worker.settings.fields import Url
from worker.settings.secret import Secret
from worker.settings.source import SourceSettings

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "bearer": ("token",),
    "header": ("token",),
    "basic": ("username", "password"),
}


class DescribedSource(SourceSettings):
    """`[sources.NAME]` whose provider is described in `[providers.*]`, or in a description that comes with Tocsin.

    `token`, or `username` and `password`: as the description says; where it says nothing, whichever is given is shown,
    the token as a bearer's.
    """

    description: ClassVar[Description]

    base_url: Annotated[Url | None, Field(repr=False, validate_default=True)] = None
    token: Annotated[Secret | None, Field(validate_default=True)] = None
    username: Annotated[str | None, Field(min_length=1, validate_default=True)] = None
    password: Annotated[Secret | None, Field(validate_default=True)] = None

    @field_validator("base_url", mode="after")
    @classmethod
    def _somewhere(cls, address: str | None) -> str | None:
        if address is None and cls.description.base_url is None:
            raise _needed()
        return address

    @field_validator("token", "username", "password", mode="after")
    @classmethod
    def _as_described(cls, value: object, info: ValidationInfo) -> object:
        auth, name = cls.description.auth, str(info.field_name)
        if auth is not None and (name in _NEEDS[auth.kind]) != (value is not None):
            raise _needed() if value is None else ValueError(f"the provider is shown {' and '.join(_NEEDS[auth.kind])}")
        return value

    @field_validator("password", mode="after")
    @classmethod
    def _one_way(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        if cls.description.auth is None:
            if password is None and info.data.get("username") is not None:
                raise _needed()
            if password is not None and info.data.get("username") is None:
                raise ValueError("it belongs to a username")
            if password is not None and info.data.get("token") is not None:
                raise ValueError("write token, or username and password")
        return password


def _needed() -> PydanticCustomError:
    """As pydantic has it of a field that has no default."""
    return PydanticCustomError("missing", "this key is needed")


def source_of(description: Description) -> type[DescribedSource]:
    """What the sources of a described provider may say."""
    return type("DescribedSource", (DescribedSource,), {"description": description, "__module__": __name__})
