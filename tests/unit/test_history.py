"""M1, W2: from Gmail's history to the messages that must be read."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shared.core.ids import GmailMessageId, HistoryId
from shared.core.syncing.history import (
    Idle,
    ToRead,
    brings_into_view,
    is_older,
    newest,
    plan_reading,
    was_just_looked_for,
)


@dataclass(frozen=True)
class Change:
    history_id: str
    gmail_message_id: str
    kind: str = "added"
    labels: frozenset[str] = frozenset({"INBOX"})


HUGE = str(2**64)


@pytest.mark.parametrize(
    ("hint", "cursor", "older"),
    [("9", "10", True), ("10", "10", False), ("11", "10", False), (HUGE, "9", False)],
)
def test_w2_a_hint_equal_to_the_cursor_is_inspected(
    hint: str, cursor: str, older: bool
) -> None:
    assert is_older(HistoryId(hint), HistoryId(cursor)) is older


@pytest.mark.parametrize(
    ("hint", "counted", "seconds_ago", "just_looked_for"),
    [
        ("10", "10", 0, True),
        ("9", "10", 4.999, True),
        ("10", "10", 5, False),
        # Newer than what the empty answer counted.
        ("11", "10", 0, False),
        (HUGE, "9", 0, False),
        # The last look was not empty, or there was none.
        ("10", None, 0, False),
        ("10", "10", None, False),
    ],
)
def test_w2_a_change_is_not_looked_for_twice_in_a_few_seconds(
    hint: str, counted: str | None, seconds_ago: float | None, just_looked_for: bool
) -> None:
    now = 1_000_000
    idle = Idle(HistoryId(counted), 0) if counted else None
    looked_at = None if seconds_ago is None else now - int(seconds_ago * 1000)
    found = was_just_looked_for(HistoryId(hint), idle, looked_at, now)
    assert found is just_looked_for


def test_w2_the_newest_id_is_the_greatest_number() -> None:
    assert newest(HistoryId("9"), None, HistoryId(HUGE), HistoryId("10")) == HUGE
    assert newest(None) is None
    assert newest() is None


@pytest.mark.parametrize(
    ("kind", "labels", "considered"),
    [
        ("added", ["INBOX"], True),
        ("added", [], True),
        ("added", ["SPAM"], True),
        ("added", ["DRAFT"], False),
        ("added", ["CHAT", "INBOX"], False),
        ("labels_added", ["SENT"], True),
        ("labels_added", ["STARRED"], False),
        ("labels_removed", ["SPAM"], True),
        ("labels_removed", ["TRASH", "STARRED"], True),
        ("labels_removed", ["UNREAD"], False),
        ("labels_removed", ["SENT"], False),
    ],
)
def test_m1_what_brings_a_message_into_view(
    kind: str, labels: list[str], considered: bool
) -> None:
    assert brings_into_view(Change("1", "a", kind, frozenset(labels))) is considered


def test_m1_each_message_is_read_once_in_the_order_of_the_history() -> None:
    pages = [
        Change("1", "b"),
        Change("2", "read before"),
        Change("3", "draft", labels=frozenset({"DRAFT"})),
        Change("4", "a"),
        Change("5", "b", "labels_removed", frozenset({"SPAM"})),
        Change("6", "draft", "labels_added", frozenset({"SENT"})),
    ]
    already = frozenset({GmailMessageId("read before")})
    assert plan_reading(pages, already) == (
        ToRead("b", "1"),
        ToRead("a", "4"),
        ToRead("draft", "6"),
    )
    assert plan_reading(pages[:2]) == (ToRead("b", "1"), ToRead("read before", "2"))
