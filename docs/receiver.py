import os
import sqlite3

from fastapi import FastAPI, HTTPException, Request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook, app = Webhook(os.environ["TOCSIN_SECRET"]), FastAPI()  # whsec_…, as `tocsin endpoints secret erp` prints it
inbox = sqlite3.connect("inbox.db")
inbox.execute("CREATE TABLE IF NOT EXISTS message (webhook_id PRIMARY KEY, type, body)")
inbox.execute("CREATE TABLE IF NOT EXISTS latest (notification PRIMARY KEY, revision INTEGER, status, body)")
NEWER = """INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision,
    status = excluded.status, body = excluded.body WHERE excluded.revision > latest.revision"""


@app.post("/hooks/tocsin", status_code=204)
async def receive(request: Request) -> None:
    try:
        message = webhook.verify(body := await request.body(), dict(request.headers))
    except WebhookVerificationError as reason:  # not ours, changed on its way, or more than five minutes old
        raise HTTPException(400, str(reason)) from None
    kind, data, identity = message["type"], message["data"], request.headers["webhook-id"]
    with inbox:  # one commit, and then the answer: what is to be done with it can wait, and survives a crash
        inbox.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?)", (identity, kind, body))  # once each
        if kind.startswith("notification."):  # an older revision that comes late changes nothing
            inbox.execute(NEWER, (data["id"], data["revision"], data["status"], body))
