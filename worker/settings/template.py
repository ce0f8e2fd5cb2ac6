"""What `tocsin init` writes: a configuration that loads as it is, with every key explained, and a key for secrets.

A line `#key = …` or `#[table]` becomes part of the configuration without its `#`; all such lines together are valid.
"""

import os
from pathlib import Path

from cryptography.fernet import Fernet

from worker.errors import ConfigurationError
from worker.settings.file import DEFAULT_NAME

KEY_NAME = "tocsin.key"

TEMPLATE = f"""\
# Tocsin's configuration. `tocsin check` reads it and says what to mend; `tocsin run` starts.
# Lines that begin with # and no space are examples: take the # away to use them.
# Durations are 500ms, 30s, 5m, 2h or 7d. Paths are relative to this file's folder.
# A secret is {{ env = "NAME" }} or {{ file = "path" }}; plain text works too, and is warned about.

# Where everything is kept: SQLite, or postgresql+psycopg://user:password@host/name. TOCSIN_DATABASE overrides it.
database = "sqlite:///tocsin.db"
# How processes wake each other: memory:// is one process; redis://host:6379/0 is many. TOCSIN_BROKER overrides it.
broker = "memory://"
# Encrypts the secrets that are kept in the database. Keep this file safe. TOCSIN_KEY overrides it.
# To change it: the new key first, the old ones after it, one a line.
key = {{ file = "{KEY_NAME}" }}


# Sources: what is polled. The name after the dot is yours: it appears in every webhook.

#[sources.registrar]
#provider = "realtime_register"
#customer = "acme"
#api_key = {{ env = "RTR_API_KEY" }}
# The provider's production address, unless you name another:
#base_url = "https://api.yoursrs.com/v2"
# How often it is asked, 1s to 30d; or at fixed times: cron = "*/5 8-18 * * mon-fri", timezone = "Europe/Amsterdam"
#every = "60s"
# What a new source does with the past: "now" leaves it, "beginning" takes all, 2026-01-31T12:00:00Z what is newer.
#start_at = "now"
# Whether the provider is told that we hold its notifications:
#acknowledge = "never"
# How long a notification that is not closed is looked at again:
#track_for = "30d"
# How far back every poll looks, for what the provider shows late:
#overlap = "10m"
# How many items a page is asked for; without it, what suits the provider:
#page_size = 100

#[sources.books]
#provider = "bookkeep"
#publishable_key = {{ env = "BOOKKEEP_PUBLISHABLE_KEY" }}
#secret_key = {{ env = "BOOKKEEP_SECRET_KEY" }}
# Only this organisation's notifications:
#organization_id = 1
#cron = "*/5 8-18 * * mon-fri"
#timezone = "Europe/Amsterdam"

#[sources.govapp]
#provider = "govapp"
#base_url = "https://host-given-at-onboarding.example/api/v1/pushNotifications"
#every = "30s"
# How the times asked for are written, "seconds" or "microseconds":
#time_format = "seconds"
# Extra headers of every request, and mutual TLS, for any source; ca is a file of certificates to trust instead.
#headers = {{ X-Magda-Enduser-ID = "acme" }}
#client_certificate = {{ certificate = "client.pem", key = "client.key" }}
#ca = "ca.pem"
# How to sign in. The other ways:
#   {{ kind = "oauth2", …, client_secret = {{ env = "GOVAPP_CLIENT_SECRET" }} }} in place of private_key
#   {{ kind = "bearer", token = {{ env = "GOVAPP_TOKEN" }} }}
#   {{ kind = "basic", username = "acme", password = {{ env = "GOVAPP_PASSWORD" }} }}
#[sources.govapp.auth]
#kind = "oauth2"
#token_url = "https://authenticatie.vlaanderen.be/op/v1/token"
#client_id = "acme"
#private_key = {{ file = "govapp.pem" }}
#audience = "the API's client id"
#scope = "the scopes given at onboarding"
# The token server as the signed request names it, if it isn't the token's address (key_id and resource exist, too):
#assertion_audience = "https://authenticatie.vlaanderen.be/op"


# Endpoints: where webhooks are sent. The name after the dot is yours.

#[endpoints.erp]
#url = "https://erp.example.com/hooks/tocsin"
# whsec_…; without this line one is made, and `tocsin endpoints secret erp` prints it.
#secret = {{ env = "ERP_WEBHOOK_SECRET" }}
# What it wants: which sources (default: all), types, kinds (default: all; * and ? stand for anything), statuses.
#sources = ["registrar", "books"]
#types = ["notification.*"]
#kinds = ["TransferDomain*", "*"]
#statuses = ["new", "received", "read", "resolved", "ignored", "expired"]
# Requests open at once (1 to 500), and how many in a second, a minute or an hour (N/s, N/m, N/h; default: any):
#max_in_flight = 10
#rate_limit = "50/s"
# Extra headers; a value may be a secret.
#headers = {{ X-Team = "erp" }}
# Addresses that are not public are refused unless they are listed here:
#allow_networks = ["10.0.0.0/8"]
# The shape of a message, what becomes of revisions that were overtaken, how it is signed:
#format = "standard"
#backlog = "all"
#signing = "hmac"
# A private authority's certificates, and mutual TLS:
#ca = "ca.pem"
#client_certificate = {{ certificate = "client.pem", key = "client.key" }}


# Defaults for every endpoint; each of these keys may stand in an endpoint too.

#[delivery]
# From connecting to the last byte of the answer, and for connecting alone:
#timeout = "15s"
#connect_timeout = "5s"
# Waits after attempts 1, 2, 3 …; after the last a delivery is exhausted, until it is redelivered or replayed.
#retry_schedule = ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]
# An endpoint that failed without a break for so long is disabled:
#disable_after = "5d"


# What is older is pruned: notifications that are closed and delivered, and the attempts made.

#[retention]
#notifications = "400d"
#attempts = "90d"
"""


def initialise(folder: Path, name: str = DEFAULT_NAME) -> list[Path]:
    """Write the configuration and its key file (mode 0600) into `folder`; the paths that were written.

    A key file that is there already is kept: what it encrypted would be lost with it. Raises ConfigurationError where
    the configuration is there already, or can't be written.
    """
    file, key = folder / name, folder / KEY_NAME
    if file.exists():
        raise ConfigurationError([f"{file}: is there already, and is never overwritten"])
    written = [] if key.exists() else [key]
    try:
        for path in written:
            _write(path, Fernet.generate_key().decode() + "\n", 0o600)
        _write(file, TEMPLATE, 0o666)
    except OSError as error:
        raise ConfigurationError([f"{error.filename}: cannot be written: {error.strerror}"]) from None
    return [file, *written]


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
