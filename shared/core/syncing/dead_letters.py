"""A message that no function could handle, as Pub/Sub hands it on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.ids import MailboxId, mailbox_id
from shared.core.parsing.address import normalise

TOPICS = (
    "scheduled-jobs",
    "gmail-notifications",
    "bcc-notifications",
    "outbound-messages",
    "mailbox-work",
)
"""Those whose consumers have dead letters."""

_PREFIX = "CloudPubSubDeadLetter"
_SUBSCRIPTION = f"{_PREFIX}SourceSubscription"
_COUNT = f"{_PREFIX}SourceDeliveryCount"


@dataclass(frozen=True, slots=True)
class Letter:
    """What was published, without what Pub/Sub added."""

    data: bytes
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that came back, and where it was for. Holds ids, no mail."""

    topic: str
    mailbox: MailboxId | None
    attempts: int
    event: Letter


def read(
    data: bytes, attributes: Mapping[str, str], pushed_by: str
) -> DeadLetter | None:
    """Read what Pub/Sub forwarded; None when it does not say where it comes from.

    `pushed_by` is the dead letters' own subscription: its name tells the topic too,
    also where Pub/Sub adds no attributes (the emulator).
    """
    source = attributes.get(_SUBSCRIPTION) or pushed_by
    subscription = source.rpartition("/")[2]
    topic = next((name for name in TOPICS if subscription.startswith(f"{name}-")), None)
    if topic is None:
        return None
    count = attributes.get(_COUNT, "")
    own = {k: v for k, v in attributes.items() if not k.startswith(_PREFIX)}
    return DeadLetter(
        topic=topic,
        mailbox=_mailbox(data),
        attempts=int(count[:6]) if count.isascii() and count.isdigit() else 0,
        event=Letter(data, own),
    )


def _mailbox(data: bytes) -> MailboxId | None:
    """The mailbox that a notification or a piece of work is about."""
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    name, address = payload.get("mailbox"), payload.get("emailAddress")
    if isinstance(name, str) and name.isalnum():
        return MailboxId(name)
    if isinstance(address, str) and (known := normalise(address)):
        return mailbox_id(known)
    return None
