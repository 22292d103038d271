"""The operator's switch as a rule: who waits, who is dropped, which order counts."""

from __future__ import annotations

import pytest

from shared.core.ids import MessageId, SubaccountId, UserId
from shared.core.sending.pausing import Switch, Switches, pause, release
from shared.core.sending.states import Send, claim, is_dropped, waits

A, B = SubaccountId("a"), SubaccountId("b")
NONE = Switches()


def send(state="queued", route="gmail", accepted_at=100):
    return Send(
        subaccount=A,
        message=MessageId("m"),
        kind="individual",
        route=route,
        user=UserId("u"),
        accepted_at=accepted_at,
        state=state,
    )


def test_a_deployments_switch_holds_for_all_and_a_subaccounts_for_itself():
    assert not NONE.of(A).paused
    everywhere = pause(NONE, None, 5)
    assert everywhere.of(A).paused
    once = pause(NONE, A, 5)
    assert (once.of(A).paused, once.of(B).paused) == (True, False)
    assert pause(everywhere, A, 6).paused == 2


def test_releasing_one_switch_leaves_the_other():
    both = pause(pause(NONE, None, 5), A, 6)
    assert release(both, None, 7).of(A).paused
    assert not release(release(both, None, 7), A, 8).of(A).paused


@pytest.mark.parametrize("whose", [None, A])
def test_an_order_that_comes_again_or_late_does_nothing(whose):
    paused = pause(NONE, whose, 5)
    released = release(paused, whose, 7)
    assert pause(released, whose, 5) == released
    assert pause(released, whose, 7) == released
    assert release(pause(released, whose, 8), whose, 7).of(A).paused


def test_what_is_dropped_stays_dropped_after_another_pause():
    dropped = release(pause(NONE, A, 5), A, 7, drop_until=6)
    again = release(pause(dropped, A, 8), A, 9)
    assert again.of(A) == Switch(paused=False, changed_at=9, drop_until=6)


def test_released_switches_are_forgotten_after_a_week_and_set_ones_never():
    week = 7 * 24 * 3600 * 1000
    old = pause(release(pause(NONE, A, 5), A, 7), B, 8)
    assert set(pause(old, SubaccountId("c"), 6 + week).subaccounts) == {A, B, "c"}
    assert set(pause(old, SubaccountId("c"), 7 + week).subaccounts) == {B, "c"}


def test_a_switch_that_was_never_set_holds_nothing():
    assert Switch() == Switch(paused=False, changed_at=0, drop_until=0)
    assert NONE.of(A) == Switch()
    assert NONE.paused == 0


@pytest.mark.parametrize(
    ("state", "waiting"),
    [("queued", True), ("sending", True), ("taken", False), ("cleaning", False)],
)
def test_what_gmail_has_taken_is_brought_to_its_end_during_a_pause(state, waiting):
    queued = send(state)
    assert waits(queued, paused=True) is waiting
    assert not waits(queued, paused=False)
    claimed = claim(queued, "d", 200, paused=True)
    assert claimed.action == ("leave" if waiting else "work")
    assert (claimed.send == queued) is waiting


@pytest.mark.parametrize(
    ("state", "route", "dropped"),
    [
        ("queued", "gmail", True),
        ("queued", "provider", True),
        ("sending", "gmail", True),
        # A relay may have it: nobody can call it back.
        ("sending", "provider", False),
        ("taken", "gmail", False),
    ],
)
def test_only_what_cannot_be_out_yet_is_dropped(state, route, dropped):
    assert is_dropped(send(state, route), drop_until=100) is dropped
    assert not is_dropped(send(state, route), drop_until=99)
