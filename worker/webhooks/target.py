"""Where an endpoint's requests go and how: values, made by the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from worker.webhooks.guard import Network
from worker.webhooks.signature import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One endpoint, as sending needs it. Its repr shows no URL, secret or header: each may hold what is nobody's.

    `secrets` are keys as `parse_key` returns them, one or more, all of them in force. `timeout` counts from
    connecting to the last byte of the answer. `client_certificate` is a certificate and its key, both PEM; the key is
    None where the certificate's file holds it. Raises ValueError without a secret.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[SigningKey, ...] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta = timedelta(seconds=15)
    connect_timeout: timedelta = timedelta(seconds=5)
    allow_networks: tuple[Network, ...] = ()
    ca: Path | None = None
    client_certificate: tuple[Path, Path | None] | None = None
    content_type: str = "application/json"

    def __post_init__(self) -> None:
        if not self.secrets:
            raise ValueError(f"endpoint {self.name}: there is no secret to sign with")
