"""A message as a CloudEvents 1.0 event in structured mode (INTERFACE, section 4; CloudEvents 1.0.2, JSON format). Pure.

The event follows from the sealed message alone, so that the same message is the same bytes whenever it is made. `data`
is taken over byte for byte: no number, letter or order of it is written anew.
"""

import re

FORMAT = "cloudevents"
CONTENT_TYPE = "application/cloudevents+json"
_ENVELOPE = re.compile(rb'\{"type":("[a-z_.]+"),"timestamp":("[0-9TZ:.+-]+"),"data":(.*)\}', re.DOTALL)


def event(envelope: bytes, message_id: str, source: str | None, notification_id: str | None) -> bytes:
    """The event of a sealed message, UTF-8.

    `id` is the webhook-id; `source` is `/tocsin/sources/NAME`, or `/tocsin` for what concerns no source, so that source
    and id together are unique, as the specification asks; `type` and `time` are the message's; `subject` is the
    notification's id (`data.id`), absent for operational messages. Raises ValueError for what is no sealed message.
    """
    found = _ENVELOPE.fullmatch(envelope)
    if found is None:
        raise ValueError(f"message {message_id} is not sealed as messages are")
    origin = f"/tocsin/sources/{source}" if source else "/tocsin"
    kind, made_at, content = found.groups()
    head = b'{"specversion":"1.0","id":"%s","source":"%s","type":%s,"time":%s' % (
        message_id.encode(), origin.encode(), kind, made_at,
    )  # fmt: skip
    subject = b',"subject":"%s"' % notification_id.encode() if notification_id else b""
    return head + subject + b',"datacontenttype":"application/json","data":' + content + b"}"
