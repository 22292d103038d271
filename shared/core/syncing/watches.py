"""When a mailbox is looked after without a notification (W1, W2), as values."""

from __future__ import annotations

from typing import Literal

from shared.core.ids import MailboxId, digest

SHARDS = 32
"""Parts of the mailboxes that are worked through side by side. So many renewals run at
the same time, whatever their number: a shard is a chain of pages, not a crowd."""

UNHEALTHY_HOURS = 48
"""A watch that ends sooner has missed its renewals for days."""

LATE_HOURS = 6
"""Every mailbox is read at least every 75 minutes; one that was not is in trouble."""

_HOUR = 3600 * 1000

Health = Literal["good", "watch_expiring", "sync_late"]


def shard_of(mailbox: MailboxId) -> int:
    """The part that a mailbox belongs to.

    Ids are digests: mailboxes of one company or one day are spread over all shards, and
    within a shard over the whole run. That is the jitter: each mailbox has its own
    place in the run, the same one every day.
    """
    return int(digest("shard", mailbox)[:4], 16) % SHARDS


def hours_left(watch_expires_at: int | None, now: int) -> int:
    """Whole hours until the watch ends; 0 when it has ended or there is none."""
    return max(0, ((watch_expires_at or 0) - now) // _HOUR)


def is_expiring(watch_expires_at: int | None, now: int) -> bool:
    """Say whether the watch ends within 48 hours."""
    return (watch_expires_at or 0) - now < UNHEALTHY_HOURS * _HOUR


def health(
    *, watch_expires_at: int | None, synced_at: int, now: int
) -> tuple[Health, ...]:
    """What is wrong with an active mailbox, the worst first; `good` alone is well.

    `synced_at` is the last success, or the moment of connecting when there is none.
    """
    troubles: list[Health] = []
    if now - synced_at > LATE_HOURS * _HOUR:
        troubles.append("sync_late")
    if is_expiring(watch_expires_at, now):
        troubles.append("watch_expiring")
    return tuple(troubles) or ("good",)
