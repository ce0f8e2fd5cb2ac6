"""Errors that say whose move it is (DESIGN, section 5). An exception's docstring is its message."""

import inspect
from collections.abc import Sequence
from datetime import timedelta


class TocsinError(Exception):
    """Something went wrong."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        message = inspect.cleandoc(type(self).__doc__ or "").splitlines()[0]
        return f"{message} {self.detail}".strip()


class ProviderError(TocsinError):
    """The provider did not give what was asked for."""


class RateLimited(ProviderError):
    """The provider asks us to slow down."""

    def __init__(self, detail: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(ProviderError):
    """The provider can't be reached or is out of order; it is asked again, after longer and longer waits."""


class AuthFailed(ProviderError):
    """The provider refuses our credentials; the source is paused until a person resumes it."""


class ContractBroken(ProviderError):
    """The provider's answer is not what it documents."""


class ItemRejected(TocsinError):
    """The item can't be normalised."""


class LeaseLost(TocsinError):
    """Another process has the lease, or it ran out; nothing was written."""


class BlockedAddress(TocsinError):
    """The address is not public and not in allow_networks."""


class ConfigurationError(TocsinError):
    """The configuration can't be used."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)
