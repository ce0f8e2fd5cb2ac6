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
# A password may stand by itself: database_password = {{ file = "path" }}, for the user that PostgreSQL's address names.
# How processes wake each other: memory:// is one process; redis://host:6379/0 is many. TOCSIN_BROKER overrides it.
broker = "memory://"
# Encrypts the secrets that are kept in the database. Keep this file safe. TOCSIN_KEY overrides it.
# To change it: the new key first, the old ones after it, one a line; then `tocsin rotate-key`.
key = {{ file = "{KEY_NAME}" }}
# Where `tocsin run`, or a worker, answers Prometheus with its metrics, at /metrics; "off": nowhere. TOCSIN_METRICS
# overrides it, so that each worker of a machine can have an address of its own.
#metrics = "127.0.0.1:9464"


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
# Whether the provider is told that we hold its notifications: "never"; "stored", as soon as we do; "delivered", once
# every endpoint that wants one has it. Who else reads the same queue may then no longer see it.
#acknowledge = "never"
# How long a notification that is not closed is looked at again:
#track_for = "30d"
# How far back every poll looks, for what the provider shows late:
#overlap = "10m"
# How many items a page is asked for; without it, what suits the provider:
#page_size = 100
# How many requests may be made with these credentials, by all sources that have them and by all processes together
# (N/s, N/m, N/h; default: any). A third is kept for polls; reading older items again makes do with the rest.
#budget = "60/m"

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


# Sources of github, stripe and mastodon, and of the providers that you describe below, have these keys besides:
# token (a bearer's, or what auth says); or username and password. headers may hold credentials as well.

#[sources.tickets]
#provider = "acme"
#token = {{ env = "ACME_TOKEN" }}

#[sources.social]
#provider = "mastodon"
#base_url = "https://mastodon.example"
#token = {{ env = "MASTODON_TOKEN" }}

#[sources.intranet]
#provider = "intranet"
#username = "acme"
#password = {{ env = "INTRANET_PASSWORD" }}


# Providers: any JSON API, described so that sources may name it. Expressions are JMESPath (jmespath.org).

#[providers.acme]
# Without base_url, each source names its own. parameters go with every request for a page.
#base_url = "https://api.acme.example/v1"
#path = "/notifications"
#parameters = {{ sort = "createdOn" }}
# Where the items are in an answer (default: the answer itself), and where an item's id is:
#items = "data"
#id = "id"
# How the list is paged; size is the parameter for a page's size, ask the size. Every kind may say where the count of
# all items is (total), and what says that more follow (more). The kinds:
#   {{ kind = "offset", offset = "offset", size = "limit", ask = 100 }}
#   {{ kind = "page_number", number = "page", first = 1, size = "per_page", more = "links.next" }}
#   {{ kind = "link", size = "per_page" }}: in the Link header; or where it is in the answer: next = "links.next".
#     stable = true: its links hold no page numbers, so that rows that vanish don't move others.
#   {{ kind = "cursor", cursor = "cursor", next = "meta.next" }}: the answer gives a cursor for the next page
#   {{ kind = "cursor", after = "since_id", before = "max_id", more = "has_more" }}: the cursor is an item's id; after
#     gives what is newer, before what is older. first = "0": where to begin, in place of before.
#     ids = "decimal": they are numbers. within = "oldest_first": the order within a page (default: newest_first).
#   {{ kind = "none" }}: one page holds all
#page = {{ kind = "offset", offset = "offset", size = "limit", ask = 100, total = "meta.total" }}
# When an item happened (field), and the parameters that ask for times; leave out those that the API doesn't have.
# order: oldest_first, newest_first or unknown. format: rfc3339, epoch or epoch_ms. zone = "UTC": of times without one.
# grain = "1s": the coarser of the precision of the times asked for and of those that the API keeps.
#time = {{ from = "sentAfter", to = "sentBefore", field = "createdOn", order = "unknown", format = "rfc3339" }}
# How a source's token is shown: kind "bearer", "basic" (username and password), or "header", with a prefix if need be:
#auth = {{ kind = "header", header = "X-Api-Key", prefix = "" }}
# One item by its id (item: where it is in that answer), and the statuses after which nothing more happens:
#by_id = "/notifications/{{id}}"
#item = "data"
#closed = ["resolved", "ignored"]
# Top-level members of an item whose change is no update, and how long the API keeps an item:
#volatile = ["views"]
#keep_for = "30d"
# Our fields: a JMESPath, or {{ path = …, values = {{ theirs = "ours" }}, html = true }}. There are kind, title, status,
# provider_status, subject_type, subject_id, message, reason, occurred_at, updated_at, expires_at, read_at, closed_at,
# provider_delivered_at and correlation_id. A status is new, received, read, resolved, ignored or expired.
#[providers.acme.map]
#kind = "type"
#message = {{ path = "text", html = true }}
#status = {{ path = "state", values = {{ open = "new", done = "resolved" }} }}
#occurred_at = "createdOn"

#[providers.intranet]
#base_url = "https://intranet.example/api"
#path = "/alerts"
#id = "number"
#page = {{ kind = "none" }}
#auth = {{ kind = "basic" }}


# Endpoints: where webhooks are sent. The name after the dot is yours.

#[endpoints.erp]
#url = "https://erp.example.com/hooks/tocsin"
# whsec_…; without this line one is made, and `tocsin endpoints secret erp` prints it. While it changes: [new, old].
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
# The shape of a message ("standard", "cloudevents"), what becomes of revisions that were overtaken ("all", "latest"
# sends but the last), how it is signed ("hmac"; "ed25519", by a private key: secret is whsk_… then, or is made):
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
