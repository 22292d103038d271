"""When a message that alone cannot be read is set aside (E3): after some tries.

A busy mailbox makes many tries in a second, so they must also span some time.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.ids import GmailMessageId
from shared.core.limits import MAX_TRIES, MIN_TRYING_SECONDS


@dataclass(frozen=True, slots=True)
class Trouble:
    """The message that holds its mailbox: failed tries, the first at `since` (ms)."""

    message: GmailMessageId
    tries: int
    since: int


def failed_again(before: Trouble | None, message: GmailMessageId, now: int) -> Trouble:
    """Count a failed try; another message than before begins with its first."""
    if before is None or before.message != message:
        return Trouble(message, 1, now)
    return Trouble(message, before.tries + 1, before.since)


def is_given_up(trouble: Trouble, now: int) -> bool:
    """Whether the mailbox goes on without the message."""
    lasted = now - trouble.since >= MIN_TRYING_SECONDS * 1000
    return trouble.tries >= MAX_TRIES and lasted
