from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import GmailMessageId, HistoryId
from shared.core.syncing.resync import (
    Resync,
    narrowed,
    passed,
    plan_resync,
    still_to_read,
)

HOUR = 3600_000
TARGET = HistoryId("9")


def ids(*names: str) -> list[GmailMessageId]:
    return [GmailMessageId(name) for name in names]


def test_w3_begins_an_hour_before_the_last_success() -> None:
    plan = plan_resync(
        TARGET, now=100 * HOUR + 999, connected_at=HOUR, last_success=50 * HOUR + 999
    )
    begin, end = 49 * 3600, 100 * 3600 + 1
    assert plan == Resync(TARGET, begin, end, span=end - begin, last=None)
    assert plan.query == f"after:{plan.begin}"


@pytest.mark.parametrize("last_success", [None, 10 * HOUR + 1000])
def test_w3_never_begins_before_the_connection(last_success: int | None) -> None:
    plan = plan_resync(
        TARGET, now=100 * HOUR, connected_at=10 * HOUR, last_success=last_success
    )
    assert plan.begin == 10 * 3600


def test_w3_a_clock_that_went_back_still_leaves_a_second_to_read() -> None:
    plan = plan_resync(TARGET, now=0, connected_at=HOUR, last_success=None)
    assert (plan.begin, plan.end) == (0, 1)


def test_w3_only_the_last_window_is_open() -> None:
    state = Resync(TARGET, begin=0, end=100, span=40)
    assert state.query == "after:0 before:40"
    assert Resync(TARGET, begin=80, end=100, span=40).query == "after:80"


def test_w3_a_window_is_halved_down_to_one_second() -> None:
    state = Resync(TARGET, begin=1000, end=1100, span=100)
    spans = []
    while not state.is_narrow:
        state = narrowed(state)
        spans.append(state.span)
    assert spans == [50, 25, 12, 6, 3, 1]
    assert not Resync(TARGET, begin=1000, end=1100, span=2).is_narrow


def test_w3_after_a_window_with_few_mails_comes_a_longer_one() -> None:
    state = Resync(TARGET, begin=0, end=100, span=10, last=GmailMessageId("a"))
    assert passed(state, 100) == Resync(TARGET, begin=10, end=100, span=20)
    assert passed(state, 101) == Resync(TARGET, begin=10, end=100, span=10)
    assert passed(Resync(TARGET, begin=90, end=100, span=10), 1) is None


def test_w3_a_page_is_read_from_its_end() -> None:
    newest_first = ids("c", "b", "a")
    assert still_to_read(newest_first, None) == ids("a", "b", "c")
    assert still_to_read(newest_first, GmailMessageId("a")) == ids("b", "c")
    assert still_to_read(newest_first, GmailMessageId("c")) == []
    assert still_to_read(newest_first, GmailMessageId("gone")) == ids("a", "b", "c")


@pytest.mark.slow
@given(
    moments=st.lists(st.integers(0, 5000), max_size=80),
    page=st.integers(1, 20),
)
def test_w3_windows_cover_every_second_once_and_in_order(
    moments: list[int], page: int
) -> None:
    state: Resync | None = plan_resync(
        TARGET, now=5000_000, connected_at=0, last_success=None
    )
    read: list[int] = []
    while state is not None:
        end = 10**9 if state.window_end >= state.end else state.window_end
        found = [moment for moment in moments if state.begin <= moment < end]
        if len(found) > page and not state.is_narrow:
            state = narrowed(state)
            continue
        read += sorted(found)
        state = passed(state, len(found))
    assert read == sorted(moments)
