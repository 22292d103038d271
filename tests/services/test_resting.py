"""A mailbox that Gmail wants to be left alone: nobody asks, nothing is lost (W2)."""

from __future__ import annotations

from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"
DAILY_LIMIT = {"status": 403, "reason": "dailyLimitExceeded"}
HISTORY = "gmail.users.history.list"


def test_a_daily_limit_is_slept_through_and_the_sweep_goes_on(system: System) -> None:
    """Every delivery would use up its tries, and ask in vain each time."""
    system.world.faults.add("status", method=HISTORY, count=1, **DAILY_LIMIT)
    system.arrives(ADA, ME, "One")
    (push,) = system.pushes
    assert not system.deliver(push)
    for number in range(20):
        system.clock.advance(minutes=10)
        system.arrives(ADA, ME, f"More {number}")
        assert system.units(system.settle) == 0
        assert system.units(system.sweep) == 0
        system.settle()
    system.clock.advance(hours=1)
    assert system.conversation("ada") == []
    system.sweep()
    system.settle()
    assert len(system.conversation("ada")) == 21
    assert system.mailbox(ME).rests_until is None


def test_deliveries_before_retry_after_ask_gmail_nothing_and_come_again(
    system: System,
) -> None:
    system.world.faults.add(
        "status", method=HISTORY, count=1, status=429, retry_after=300
    )
    system.arrives(ADA, ME, "One")
    (push,) = system.pushes
    assert not system.deliver(push)
    system.clock.advance(seconds=299)
    calls = len(system.world.calls)
    assert not system.deliver(push)
    assert len(system.world.calls) == calls
    system.clock.advance(seconds=1)
    assert system.deliver(push)
    assert [message.subject for message in system.conversation("ada")] == ["One"]


def test_a_new_consent_ends_the_rest(system: System) -> None:
    system.world.faults.add("status", method=HISTORY, count=1, **DAILY_LIMIT)
    system.arrives(ADA, ME, "One")
    system.deliver(system.pushes.popleft())
    assert system.mailbox(ME).rests_until
    assert system.connect("u", ME).code == "connected"
    assert system.mailbox(ME).rests_until is None
