"""What Pub/Sub takes as a topic and a message."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.errors import Permanent
from shared.ports import Event

# Pub/Sub "Quotas and limits" (read 2026-11).
MAX_EVENT_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_BYTES = 1024
_TOPIC = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def check_events(topic: str, events: Sequence[Event]) -> None:
    """Refuse what Pub/Sub refuses, before anything is published."""
    if not _TOPIC.fullmatch(topic) or topic.startswith("goog"):
        raise Permanent("That is no topic name.")
    for event in events:
        if not event.data and not event.attributes:
            raise Permanent("An event has data or attributes.")
        if len(event.attributes) > MAX_ATTRIBUTES or any(
            not 0 < len(key.encode()) <= MAX_ATTRIBUTE_KEY_BYTES
            or len(value.encode()) > MAX_ATTRIBUTE_BYTES
            or key.startswith("goog")
            for key, value in event.attributes.items()
        ):
            raise Permanent("An event's attributes are too many or too long.")
        if event_size(event) > MAX_EVENT_BYTES:
            raise Permanent("An event is too big.")


def event_size(event: Event) -> int:
    """Bytes an event takes in a request, a little more than less."""
    return (
        64
        + len(event.data)
        + sum(
            16 + len(key.encode()) + len(value.encode())
            for key, value in event.attributes.items()
        )
    )
