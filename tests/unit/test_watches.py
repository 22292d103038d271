from __future__ import annotations

from collections import Counter

import pytest

from shared.core.ids import HistoryId, mailbox_id
from shared.core.syncing.history import Idle, after_empty
from shared.core.syncing.watches import (
    SHARDS,
    health,
    hours_left,
    is_expiring,
    shard_of,
)
from shared.core.syncing.work import Work, to_sync, work, work_from
from shared.errors import Malformed

HOUR = 3600_000
NOW = 1000 * HOUR


def test_w1_mailboxes_of_one_company_are_spread_evenly() -> None:
    found = Counter(shard_of(mailbox_id(f"rep{n}@ours.example")) for n in range(6400))
    assert set(found) == set(range(SHARDS))
    assert max(found.values()) < 300


def test_w1_a_mailbox_keeps_its_shard_from_version_to_version() -> None:
    assert [shard_of(mailbox_id(f"rep{n}@ours.example")) for n in range(3)] == [
        30,
        11,
        27,
    ]


@pytest.mark.parametrize(
    ("expires", "left", "expiring"),
    [
        (None, 0, True),
        (NOW - 1, 0, True),
        (NOW + 48 * HOUR - 1, 47, True),
        (NOW + 48 * HOUR, 48, False),
        (NOW + 168 * HOUR, 168, False),
    ],
)
def test_w1_a_watch_is_unhealthy_within_48_hours_of_its_end(
    expires: int | None, left: int, expiring: bool
) -> None:
    assert (hours_left(expires, NOW), is_expiring(expires, NOW)) == (left, expiring)


@pytest.mark.parametrize(
    ("expires", "synced", "expected"),
    [
        (NOW + 100 * HOUR, NOW - 6 * HOUR, ("good",)),
        (NOW + 100 * HOUR, NOW - 6 * HOUR - 1, ("sync_late",)),
        (NOW + 40 * HOUR, NOW, ("watch_expiring",)),
        (None, 0, ("sync_late", "watch_expiring")),
    ],
)
def test_c8_health(expires: int | None, synced: int, expected: tuple[str, ...]) -> None:
    assert health(watch_expires_at=expires, synced_at=synced, now=NOW) == expected


def test_w2_the_first_empty_answer_is_only_noted() -> None:
    assert after_empty(None, HistoryId("7"), NOW) == (None, Idle(HistoryId("7"), NOW))


def test_w2_the_cursor_follows_to_what_was_noted_long_enough_ago() -> None:
    noted = Idle(HistoryId("7"), NOW)
    soon, later = NOW + 599_999, NOW + 600_000
    assert after_empty(noted, HistoryId("9"), soon) == (None, noted)
    assert after_empty(noted, HistoryId("9"), later) == (
        HistoryId("7"),
        Idle(HistoryId("9"), later),
    )


def test_work_survives_its_way_through_the_topic() -> None:
    item = work("renew", mailbox="m", started=5)
    again = work_from(item.to_bytes())
    assert again == item
    assert (again.mailbox, again.number("started"), again.has("after")) == (
        "m",
        5,
        False,
    )


def test_work_is_written_as_the_topics_other_consumers_read_it() -> None:
    assert work("renew", mailbox="m").to_bytes() == b'{"work": "renew", "mailbox": "m"}'
    assert work_from(b'{"work": "renew", "mailbox": "m"}') == Work(
        "renew", {"mailbox": "m"}
    )
    assert Work("sweep").to_bytes() == b'{"work": "sweep"}'


def test_w2_a_sweep_reads_a_mailbox_only_if_it_was_quiet() -> None:
    mailbox = mailbox_id("rep@ours.example")
    assert to_sync(mailbox) == Work("sync", {"mailbox": mailbox})
    assert to_sync(mailbox, 0) == Work("sync", {"mailbox": mailbox, "silent_since": 0})


def test_the_bounds_of_a_field_are_part_of_it() -> None:
    assert work("renew", started=0, mailbox="x" * 128).number("started") == 0
    assert work("renew", mailbox="x" * 128).text("mailbox") == "x" * 128
    assert work("renew", after="").has("after")


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "1"])
def test_a_number_of_a_piece_of_work_is_one(value: object) -> None:
    with pytest.raises(Malformed):
        work("renew", started=value).number("started")


@pytest.mark.parametrize("value", [None, "", "a/b", 1, "x" * 129])
def test_an_id_of_a_piece_of_work_is_one(value: object) -> None:
    with pytest.raises(Malformed):
        work("renew", mailbox=value).text("mailbox")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"work":1}', b"[" * 100_000])
def test_what_is_no_work_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        work_from(data)
