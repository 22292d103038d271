"""The Message-ID that the CRM's mail goes out with: it holds the id of its record."""

from __future__ import annotations

import re

from shared.core.ids import MessageId, Rfc822MessageId, is_id

_OWN = re.compile(r"<crm\.([A-Za-z0-9_-]{1,128})@[^<>@\s]+>")


def own_message_id(record: MessageId, domain: str) -> Rfc822MessageId:
    """The Message-ID that we write; Gmail may replace it."""
    return Rfc822MessageId(f"<crm.{record}@{domain}>")


def record_named_by(rfc822: str) -> MessageId | None:
    """The record that a Message-ID of ours holds. It names it, and proves nothing."""
    found = _OWN.fullmatch(rfc822)
    return MessageId(found[1]) if found and is_id(found[1]) else None
