"""What the pages of the web mailbox show of messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from . import composing, headers, parts
from .accounts import Account
from .messages import Message


def row_of(message: Message, account: Account) -> dict[str, Any]:
    """Return what a folder shows of a conversation, by one of its messages."""
    drafts = {m: d for d, m in account.mailbox.drafts.items()}
    outgoing = message.labels & {"SENT", "DRAFT"} and "INBOX" not in message.labels
    people = headers.addresses([message.header("To" if outgoing else "From")])
    names = ", ".join(name or address for name, address in people[:3])
    return {
        "thread_id": message.thread_id,
        "draft": drafts.get(message.id),
        "people": ("To: " if outgoing else "") + (names or "(nobody)"),
        "subject": message.subject or "(no subject)",
        "snippet": _plain(message.snippet),
        "when": _when(message),
        "count": 0,
        "unread": False,
        "attached": any(p.filename for p in parts.walk(message.root)),
    }


def shown(message: Message, account: Account) -> dict[str, Any]:
    """Return what an opened message shows."""
    hidden = {"CATEGORY_PERSONAL", "INBOX", "UNREAD"}
    drafts = {m: d for d, m in account.mailbox.drafts.items()}
    return {
        "id": message.id,
        "draft": drafts.get(message.id),
        "from": message.header("From"),
        "to": message.header("To"),
        "cc": message.header("Cc"),
        "bcc": message.header("Bcc"),
        "when": _when(message),
        "html": composing.html_of(message),
        "text": composing.text_of(message),
        "labels": [
            account.mailbox.labels[name].name.capitalize()
            for name in message.label_ids()
            if name not in hidden
        ],
        "spam": "SPAM" in message.labels,
        "trash": "TRASH" in message.labels,
        "inbox": "INBOX" in message.labels,
        "attachments": [
            {"id": p.part_id or "root", "name": p.filename, "size": len(p.data)}
            for p in parts.walk(message.root)
            if p.filename
        ],
    }


def _plain(snippet: str) -> str:
    """Undo the API's escapes; the template escapes for itself."""
    for escaped, plain in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"')):
        snippet = snippet.replace(escaped, plain)
    return snippet.replace("&#39;", "'").replace("&amp;", "&")


def _when(message: Message) -> str:
    moment = datetime.fromtimestamp(message.internal_date / 1000, UTC)
    return f"{moment:%d %b %Y, %H:%M}"
