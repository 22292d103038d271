"""The recipients, bodies and attachment list of a message, as one JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict

from shared.core.mail import Address
from shared.core.records import Attachment, Envelope


def to_json(envelope: Envelope) -> bytes:
    """Write an envelope; what no UTF-8 can say becomes a question mark."""
    people = {
        name: [address_fields(address) for address in getattr(envelope, name)]
        for name in ("to", "cc", "bcc")
    }
    data = {**asdict(envelope), **people}
    if not envelope.list_unsubscribe:
        del data["list_unsubscribe"]
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def address_fields(address: Address) -> dict[str, str | None]:
    """Write an address; its own spelling where it has one."""
    fields = {"name": address.name, "address": address.address}
    other = address.shown != address.address
    return fields | ({"written": address.written} if other else {})


def from_json(text: str | bytes) -> Envelope:
    """Read what `to_json` wrote."""
    data = json.loads(text)
    return Envelope(
        to=tuple(Address(**recipient) for recipient in data["to"]),
        cc=tuple(Address(**recipient) for recipient in data["cc"]),
        bcc=tuple(Address(**recipient) for recipient in data["bcc"]),
        text=data["text"],
        html=data["html"],
        html_original=data["html_original"],
        attachments=tuple(
            Attachment(**attachment) for attachment in data["attachments"]
        ),
        truncated=data.get("truncated", False),
        list_unsubscribe=tuple(data.get("list_unsubscribe", ())),
    )
