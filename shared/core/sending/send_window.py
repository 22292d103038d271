"""The daily cap (S5): which sends of a mailbox count, and when one is free again.

A send is reserved before it begins and becomes a moment when Gmail has taken it; one
that was not sent leaves nothing. See docs/decisions/2026-11-daily-cap.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.ids import MessageId

WINDOW_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The sends of one mailbox that count.

    `taken` are the moments (seconds) at which Gmail took one, oldest first; `reserved`
    those under way, with the moment (ms) they were accepted. `blocked_until` (ms) is
    when Gmail itself allows sending again. `cap` overrides the deployment's.
    """

    taken: tuple[int, ...] = ()
    reserved: Mapping[MessageId, int] = field(default_factory=dict)
    blocked_until: int = 0
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """No send is free before `retry_at` (ms)."""

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
    if live.blocked_until > now:
        return Full(live.blocked_until)
    cap = live.cap or default_cap
    used = len(live.taken) + len(live.reserved)
    if used < cap:
        return replace(live, reserved={**live.reserved, message: now})
    ends = sorted(
        [at * 1000 + WINDOW_MS for at in live.taken]
        + [at + WINDOW_MS for at in live.reserved.values()]
    )
    return Full(max(now + 1000, ends[used - cap]))


def confirm(window: SendWindow, message: MessageId, sent_at: int) -> SendWindow:
    """Gmail took it at this moment (ms)."""
    second = -(-sent_at // 1000)
    return replace(
        window,
        taken=tuple(sorted((*window.taken, second))),
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


def _without(window: SendWindow, message: MessageId) -> dict[MessageId, int]:
    return {one: at for one, at in window.reserved.items() if one != message}
