"""From Gmail's history to the messages that must be read (M1), as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.core.ids import GmailMessageId, HistoryId
from shared.core.mail import LABELS_OUT_OF_SIGHT, NEVER_READ


class Entry(Protocol):
    """One change of the history, as `ports.HistoryEntry` carries it."""

    @property
    def history_id(self) -> HistoryId:
        """Id of the record."""

    @property
    def gmail_message_id(self) -> GmailMessageId:
        """The message that changed."""

    @property
    def kind(self) -> str:
        """`added`, `labels_added` or `labels_removed`."""

    @property
    def labels(self) -> frozenset[str]:
        """The labels that changed; for `added` the message's own."""


@dataclass(frozen=True, slots=True)
class ToRead:
    """A message to read, and the history record that first asked for it."""

    gmail_message_id: GmailMessageId
    history_id: HistoryId


def order(history_id: HistoryId) -> int:
    """Rank of a history id: they are numbers that can exceed 64 bits."""
    return int(history_id)


def is_older(hint: HistoryId, cursor: HistoryId) -> bool:
    """Say whether a notification tells nothing new.

    One equal to the cursor is still inspected: Gmail may have pushed before the change
    was readable.
    """
    return order(hint) < order(cursor)


def newest(*history_ids: HistoryId | None) -> HistoryId | None:
    """The greatest of these ids, None when there is none."""
    return max(
        (history_id for history_id in history_ids if history_id is not None),
        key=order,
        default=None,
    )


def brings_into_view(entry: Entry) -> bool:
    """Say whether a change can make a message one to consider (M1)."""
    if entry.kind == "added":
        return not entry.labels & NEVER_READ
    if entry.kind == "labels_added":
        # A draft that is sent keeps its message id in some clients.
        return "SENT" in entry.labels
    return bool(entry.labels & LABELS_OUT_OF_SIGHT)


def plan_reading(
    entries: Iterable[Entry], already: frozenset[GmailMessageId] = frozenset()
) -> tuple[ToRead, ...]:
    """Choose the messages to read, each once, in the order of the history.

    `already` were read in this run: a page can name a message again.
    """
    chosen: dict[GmailMessageId, ToRead] = {}
    for entry in entries:
        message = entry.gmail_message_id
        if message not in already and message not in chosen and brings_into_view(entry):
            chosen[message] = ToRead(message, entry.history_id)
    return tuple(chosen.values())


# --- what an empty history tells (W2) ---------------------------------------------

IDLE_SECONDS = 600
"""Changes become readable within seconds; after this long an empty answer is true."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The mailbox's newest id in an empty answer, and when it was given (ms)."""

    history_id: HistoryId
    at: int


LOOK_AGAIN_SECONDS = 5
"""So soon after an empty answer nobody looks for the same change once more."""


def was_just_looked_for(
    hint: HistoryId, idle: Idle | None, looked_at: int | None, now: int
) -> bool:
    """Say whether an answer of a moment ago counted this change, and was empty.

    So replays of one notification cost one look in LOOK_AGAIN_SECONDS, however many
    come; `looked_at` (ms) is when the last look ended.
    """
    if idle is None or looked_at is None or order(hint) > order(idle.history_id):
        return False
    return now - looked_at < LOOK_AGAIN_SECONDS * 1000


def after_empty(
    before: Idle | None, seen: HistoryId, now: int
) -> tuple[HistoryId | None, Idle]:
    """Say how far the cursor may move after one more empty answer, and what to note.

    Not to `seen`: a change can be counted in it and not be readable yet. But what an
    earlier answer counted has become readable since, so nothing is there up to it. So
    the cursor of an idle mailbox follows one sweep behind, and never expires.
    """
    if before is None:
        return None, Idle(seen, now)
    if now - before.at < IDLE_SECONDS * 1000:
        return None, before
    return before.history_id, Idle(seen, now)
