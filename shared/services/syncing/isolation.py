"""Tells a fault that follows one message from one that affects its whole mailbox (E3).

An outage or a rate limit holds every message of the mailbox until it is over, and puts
none aside. A fault that follows one message must not: everything behind it would wait
for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.core.ids import GmailMessageId
from shared.core.mail import MessageHeaders
from shared.errors import RateLimited, Transient
from shared.ports import Gmail
from shared.services.syncing.batch import Item

_CONTROLS = 5
"""Other messages that are looked at: some of them may be in trouble too."""


def follows_the_message(
    gmail: Gmail, failed: Item, batch: Sequence[Item], fault: Transient
) -> bool:
    """Whether other messages of the mailbox can be read while this one cannot.

    Headers that this batch has read are proof enough. Otherwise a few others are asked
    for: headers only, because nothing says that they may be recorded (M14).
    """
    if isinstance(fault, RateLimited):
        return False
    if any(item.headers is not None for item in batch if item is not failed):
        return True
    try:
        return _can_be_read(gmail, {item.todo.gmail_message_id for item in batch})
    except Transient:
        return False


def _can_be_read(gmail: Gmail, left_out: Collection[GmailMessageId]) -> bool:
    listed = gmail.list_messages("").gmail_message_ids
    others = [message for message in listed if message not in left_out][:_CONTROLS]
    found = gmail.headers(others) if others else {}
    return any(isinstance(result, MessageHeaders) for result in found.values())
