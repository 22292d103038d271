"""Who may work on a mailbox: one holder, and another when it has died."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.syncing.lease import (
    ACK_DEADLINE_SECONDS,
    FUNCTION_SECONDS,
    GMAIL_CALL_SECONDS,
    LEASE_SECONDS,
    TAKE_OVER_SECONDS,
    WORK_BUDGET_SECONDS,
    Lease,
    LeaseDecision,
    release,
    take,
)

NOW = 1_793_600_000_000
LEASE = LEASE_SECONDS * 1000
HELD = take(Lease(), "d1", NOW).lease


def test_the_times_nest() -> None:
    """As Terraform has them, and so that a dead holder's redelivery comes after it."""
    assert [
        TAKE_OVER_SECONDS,
        GMAIL_CALL_SECONDS,
        WORK_BUDGET_SECONDS,
        FUNCTION_SECONDS,
        LEASE_SECONDS,
        ACK_DEADLINE_SECONDS,
    ] == [10, 20, 100, 120, 130, 180]
    assert GMAIL_CALL_SECONDS + WORK_BUDGET_SECONDS <= FUNCTION_SECONDS


def test_a_new_mailbox_is_free():
    assert Lease() == Lease(
        holder=None, fence=0, expires_at=0, unreleased=0, dirty=False
    )


def test_a_free_mailbox_is_taken_with_the_next_fencing_number() -> None:
    free = Lease(fence=7, dirty=True)
    assert take(free, "d1", NOW) == LeaseDecision(
        "work",
        Lease("d1", fence=8, expires_at=NOW + LEASE, unreleased=1, dirty=False),
        changed=True,
    )


@pytest.mark.parametrize(
    ("delivery", "after", "action"),
    [
        ("d2", 0, "wait"),
        ("d2", LEASE - 1, "wait"),
        ("d2", LEASE, "work"),
        ("d1", 0, "again"),
        ("d1", TAKE_OVER_SECONDS * 1000 - 1, "again"),
        ("d1", TAKE_OVER_SECONDS * 1000, "work"),
    ],
)
def test_who_takes_a_held_mailbox_over_and_when(
    delivery: str, after: int, action: str
) -> None:
    assert take(HELD, delivery, NOW + after).action == action


def test_others_leave_their_work_to_the_holder_once() -> None:
    left = take(HELD, "d2", NOW + 1)
    assert left == LeaseDecision("wait", replace(HELD, dirty=True), changed=True)
    assert take(left.lease, "d3", NOW + 2) == replace(left, changed=False)


def test_the_holders_own_delivery_too_soon_changes_nothing() -> None:
    assert take(HELD, "d1", NOW + 1) == LeaseDecision("again", HELD, changed=False)


def test_a_mailbox_that_keeps_killing_is_worked_on_with_care() -> None:
    lease, one_at_a_time = Lease(), []
    for n in range(4):
        decision = take(lease, f"d{n}", NOW + n * LEASE)
        one_at_a_time.append(decision.one_at_a_time)
        lease = decision.lease
    assert one_at_a_time == [False, False, False, True]
    assert not take(release(lease), "d", NOW).one_at_a_time


def test_a_released_mailbox_is_free_and_keeps_its_fencing_number() -> None:
    assert release(replace(HELD, fence=7, dirty=True)) == Lease(fence=7)
