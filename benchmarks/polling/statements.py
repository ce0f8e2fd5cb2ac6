"""What the hand-written loop says to its database."""

from typing import NamedTuple


class OfPostgres(NamedTuple):
    """A page is three statements, or two where nothing is to be told."""

    known: str
    store: str
    wake: str
    advance: str


class OfSqlite(NamedTuple):
    """A page is one statement a table."""

    known: str
    notification: str
    message: str
    delivery: str
    wake: str
    advance: str


_CHANGED = """
    revision = excluded.revision, content_hash = excluded.content_hash, message_id = excluded.message_id,
    kind = excluded.kind, title = excluded.title, status = excluded.status, provider_status = excluded.provider_status,
    subject_id = excluded.subject_id, message = excluded.message, occurred_at = excluded.occurred_at,
    updated_at = excluded.updated_at, raw = excluded.raw, followed = excluded.followed,
    bucket_id = CASE WHEN excluded.occurred_at IS DISTINCT FROM notification.occurred_at THEN NULL
                     ELSE notification.bucket_id END
"""

POSTGRESQL = OfPostgres(
    known="""
        SELECT n.external_id, n.content_hash, n.revision, n.message_id, n.status, n.first_seen_at
        FROM unnest(%s::text[]) AS x(name)
        CROSS JOIN LATERAL (SELECT * FROM notification WHERE source_id = %s AND external_id = x.name LIMIT 1) n
    """,
    store=f"""
        WITH given AS (SELECT %s::jsonb AS rows, %s::int AS source_id, %s::timestamptz AS at, %s::int[] AS endpoints),
        page AS MATERIALIZED (
            SELECT row.*, given.source_id, given.at FROM given, jsonb_to_recordset(given.rows) AS row(
                id uuid, external_id text, revision int, content_hash text, message_id text, type text, kind text,
                title text, status text, provider_status text, subject_id text, message text, occurred_at timestamptz,
                updated_at timestamptz, tracked_since timestamptz, raw text, followed boolean, body text)
        ),
        stored AS (
            INSERT INTO notification (
                id, source_id, external_id, revision, content_hash, message_id, kind, title, status, provider_status,
                subject_id, message, occurred_at, updated_at, events, raw, first_seen_at, followed, tracked_since,
                absences)
            SELECT id, source_id, external_id, revision, content_hash, message_id, kind, title, status, provider_status,
                   subject_id, message, occurred_at, updated_at, '[]', raw, at, followed, tracked_since, 0
            FROM page ON CONFLICT (source_id, external_id) DO UPDATE SET {_CHANGED}
        ),
        told AS (
            INSERT INTO message (id, type, source_id, notification_id, revision, kind, status, body, created_at)
            SELECT message_id, type, source_id, id, revision, kind, status, convert_to(body, 'UTF8'), at
            FROM page ON CONFLICT DO NOTHING
        )
        INSERT INTO delivery (
            message_id, endpoint_id, notification_id, revision, status, trigger, attempts, round, next_attempt_at,
            created_at)
        SELECT page.message_id, endpoint, page.id, page.revision, 'pending', 'first', 0, 0, page.at, page.at
        FROM page, given, unnest(given.endpoints) AS endpoint ON CONFLICT DO NOTHING
    """,  # noqa: S608  # our own words
    wake="UPDATE endpoint SET due_at = %s WHERE id = ANY(%s)",
    advance="UPDATE source SET high_water = %s WHERE id = %s",
)

SQLITE = OfSqlite(
    known="""
        SELECT n.external_id, n.content_hash, n.revision, n.message_id, n.status, n.first_seen_at
        FROM json_each(?) AS x CROSS JOIN notification n ON n.source_id = ? AND n.external_id = x.value
    """,
    notification=f"""
        INSERT INTO notification (
            id, source_id, external_id, revision, content_hash, message_id, kind, title, status, provider_status,
            subject_id, message, occurred_at, updated_at, events, raw, first_seen_at, followed, tracked_since, absences)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]', ?, ?, ?, ?, 0)
        ON CONFLICT (source_id, external_id) DO UPDATE SET {_CHANGED}
    """,  # noqa: S608  # our own words
    message="""
        INSERT INTO message (id, type, source_id, notification_id, revision, kind, status, body, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
    """,
    delivery="""
        INSERT INTO delivery (
            message_id, endpoint_id, notification_id, revision, status, trigger, attempts, round, next_attempt_at,
            created_at)
        VALUES (?, ?, ?, ?, 'pending', 'first', 0, 0, ?, ?) ON CONFLICT DO NOTHING
    """,
    wake="UPDATE endpoint SET due_at = ? WHERE id = ?",
    advance="UPDATE source SET high_water = ? WHERE id = ?",
)
