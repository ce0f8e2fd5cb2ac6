"""The keys of a Bookkeep source (INTERFACE, section 1; PROVIDERS, section 2.1)."""

from typing import Annotated

from pydantic import Field

from worker.settings import Secret, SourceSettings, Whole


class BookkeepOptions(SourceSettings):
    """The two keys of the developer dashboard; `organization_id` narrows the source to one organization."""

    publishable_key: Secret
    secret_key: Secret
    organization_id: Annotated[Whole, Field(ge=1)] | None = None
