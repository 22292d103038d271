"""Where a resync after an expired history goes on (W3), as a value.

Gmail lists the newest mail first, threads want the oldest first. So the time that is to
be read is cut into windows, the oldest first, each small enough for one page; within a
window the page is read from its end. What is kept between two steps fits in a few
numbers, whatever the number of mails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.ids import GmailMessageId, HistoryId

OVERLAP_SECONDS = 3600
"""How far before the last success a resync begins; what is known is joined."""

FEW = 100
"""A window with no more mails than this is followed by a longer one."""


@dataclass(frozen=True, slots=True)
class Resync:
    """A resync under way: the seconds from `begin` to `end` are still to be read.

    `target` is the history id to go on from afterwards, asked for before anything was
    listed. `span` is the length of the next window, `last` the newest message of it
    that is durable.
    """

    target: HistoryId
    begin: int
    end: int
    span: int
    last: GmailMessageId | None = None

    @property
    def window_end(self) -> int:
        """Where the next window ends."""
        return min(self.begin + self.span, self.end)

    @property
    def is_narrow(self) -> bool:
        """Whether the window can't be cut any more: Gmail searches by the second."""
        return self.window_end - self.begin <= 1

    @property
    def query(self) -> str:
        """Gmail's search for the next window.

        The last one is open: Gmail's clock may be ahead of ours.
        """
        if self.window_end >= self.end:
            return f"after:{self.begin}"
        return f"after:{self.begin} before:{self.window_end}"


def plan_resync(
    target: HistoryId, *, now: int, connected_at: int, last_success: int | None
) -> Resync:
    """Plan to read everything since the last success, never from before connecting.

    All moments are in milliseconds.
    """
    since = connected_at
    if last_success is not None:
        since = max(since, last_success - OVERLAP_SECONDS * 1000)
    begin, end = since // 1000, now // 1000 + 1
    begin = min(begin, end - 1)
    return Resync(target, begin, end, span=end - begin)


def narrowed(resync: Resync) -> Resync:
    """Take half the window: it holds more than a page."""
    return replace(resync, span=max(1, (resync.window_end - resync.begin) // 2))


def still_to_read(
    newest_first: Sequence[GmailMessageId], last: GmailMessageId | None
) -> list[GmailMessageId]:
    """The messages of a window that are not durable yet, the oldest first.

    Should the last durable one have vanished, the window is read again: what is
    recorded stays as it is.
    """
    oldest_first = list(reversed(newest_first))
    if last is None or last not in oldest_first:
        return oldest_first
    return oldest_first[oldest_first.index(last) + 1 :]


def passed(resync: Resync, count: int) -> Resync | None:
    """Go on behind the window, which held so many; None when all is read."""
    if resync.window_end >= resync.end:
        return None
    span = resync.span * 2 if count <= FEW else resync.span
    return replace(resync, begin=resync.window_end, span=span, last=None)
