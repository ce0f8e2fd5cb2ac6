"""The keys of a Realtime Register source (INTERFACE, section 1; PROVIDERS, sections 1.1 and 1.2)."""

import re
from typing import Annotated

from pydantic import AfterValidator

from worker.settings import Secret, SourceSettings

_HANDLE = re.compile(r"[a-zA-Z0-9\-_@.]{3,40}")


def _customer(handle: str) -> str:
    if not _HANDLE.fullmatch(handle):
        raise ValueError("is not a customer's handle: 3 to 40 letters, digits, - _ @ or .")
    return handle


class RealtimeRegisterOptions(SourceSettings):
    """`customer` is the handle of the account; `api_key` belongs to one of its users."""

    customer: Annotated[str, AfterValidator(_customer)]
    api_key: Secret
