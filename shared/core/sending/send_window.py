"""Daily caps (S5): what counts in a rolling day, and when there is room again.

A mailbox's send is reserved before it begins and becomes a moment when Gmail has taken
it; one that was not sent leaves nothing. What counts when it is accepted is taken at
once. See docs/decisions/2026-11-daily-cap.md and 2026-11-abuse-limits.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.ids import MessageId

WINDOW_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class SendWindow:
    """What counts for one cap: the sends of a mailbox, or of a provider.

    `taken` are the moments (seconds) at which one counted, oldest first; `reserved`
    those under way, with the moment (ms) they were accepted. `blocked_until` (ms) is
    when Gmail itself allows sending again. `cap` overrides the deployment's.
    """

    taken: tuple[int, ...] = ()
    reserved: Mapping[MessageId, int] = field(default_factory=dict)
    blocked_until: int = 0
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room before `retry_at` (ms)."""

    retry_at: int


def current(window: SendWindow, now: int) -> SendWindow:
    """The window without what is older than 24 hours."""
    # A moment counts through its whole second, so that no 24 hours hold too many.
    taken = tuple(at for at in window.taken if at * 1000 + WINDOW_MS > now)
    return replace(window, taken=taken)


def left(window: SendWindow, default_cap: int, now: int) -> int:
    """How many sends are free now."""
    live = current(window, now)
    if live.blocked_until > now:
        return 0
    used = len(live.taken) + len(live.reserved)
    return max(0, (live.cap or default_cap) - used)


def reserve(
    window: SendWindow, message: MessageId, default_cap: int, now: int
) -> SendWindow | Full:
    """Take one send for this message, or say when one is free.

    Reserving again for the same message changes nothing.
    """
    live = current(window, now)
    if message in live.reserved:
        return live
    full = _room(live, 1, live.cap or default_cap, now)
    return full or replace(live, reserved={**live.reserved, message: now})


def take(window: SendWindow, number: int, cap: int, now: int) -> SendWindow | Full:
    """Count so many at this moment, all or none; `number` is no more than the cap."""
    live = current(window, now)
    moments = (_second(now),) * number
    full = _room(live, number, cap, now)
    return full or replace(live, taken=tuple(sorted((*live.taken, *moments))))


def confirm(window: SendWindow, message: MessageId, sent_at: int) -> SendWindow:
    """Gmail took it at this moment (ms)."""
    return replace(
        window,
        taken=tuple(sorted((*window.taken, _second(sent_at)))),
        reserved=_without(window, message),
    )


def release(window: SendWindow, message: MessageId) -> SendWindow:
    """It was not sent, so it does not count."""
    return replace(window, reserved=_without(window, message))


def block(window: SendWindow, until: int) -> SendWindow:
    """Gmail itself refuses until then (ms)."""
    return replace(window, blocked_until=max(window.blocked_until, until))


def pack(taken: tuple[int, ...]) -> bytes:
    """Write moments down: four bytes each, 2 kB for a day of 500."""
    return struct.pack(f">{len(taken)}I", *taken)


def unpack(data: bytes) -> tuple[int, ...]:
    """Read what `pack` wrote."""
    return struct.unpack(f">{len(data) // 4}I", data)


def _room(live: SendWindow, number: int, cap: int, now: int) -> Full | None:
    """None when so many fit, else when they will."""
    if live.blocked_until > now:
        return Full(live.blocked_until)
    too_many = len(live.taken) + len(live.reserved) + number - cap
    if too_many <= 0:
        return None
    ends = sorted(
        [at * 1000 + WINDOW_MS for at in live.taken]
        + [at + WINDOW_MS for at in live.reserved.values()]
    )
    return Full(max(now + 1000, ends[too_many - 1]))


def _second(at: int) -> int:
    """A moment (ms) in whole seconds, rounded up: it counts for 24 hours at least."""
    return -(-at // 1000)


def _without(window: SendWindow, message: MessageId) -> dict[MessageId, int]:
    return {
        message_id: at
        for message_id, at in window.reserved.items()
        if message_id != message
    }
