"""Replays of a valid push are bounded in what they cost, and hide no mail (W2)."""

from __future__ import annotations

from typing import Any

from shared.core.syncing.history import LOOK_AGAIN_SECONDS
from shared.ports import Event
from tests.support.system import Push, System
from tools.metered import MeteredDocuments

ME = "rep@ours.example"
ADA = "ada@client.example"


def replays(system: System, event: Event, number: int, seconds: float = 0) -> Any:
    """Deliver one event as so many pushes; Gmail units, reads and writes."""
    meter = MeteredDocuments(system.outside.documents)
    system.outside.documents = meter
    system.restart()
    units = system.world.calls.units()
    for count in range(number):
        system.deliver(Push(event, f"replay-{count}"))
        system.clock.advance(seconds=seconds)
    usage = meter.usage
    return system.world.calls.units() - units, usage.reads, usage.writes


def test_w2_replays_of_one_push_cost_one_look_a_few_seconds(system: System) -> None:
    system.arrives(ADA, ME)
    (push,) = system.pushes
    system.settle()
    units, reads, writes = replays(system, push.event, 200)
    assert (units, writes) == (2, 2)
    assert reads <= 200 + 10
    units, _, writes = replays(system, push.event, 300, seconds=0.1)
    assert units <= 2 * 30 / LOOK_AGAIN_SECONDS
    assert writes <= 2 * 30 / LOOK_AGAIN_SECONDS


def test_w2_ten_thousand_replays_in_the_life_of_a_token_are_bounded(
    system: System,
) -> None:
    """A stolen push is good for an hour, as often as somebody sends it."""
    system.arrives(ADA, ME)
    (push,) = system.pushes
    system.settle()
    units, _, writes = replays(system, push.event, 10_000, seconds=0.36)
    assert units <= 2 * 3600 / LOOK_AGAIN_SECONDS
    assert writes <= 2 * 3600 / LOOK_AGAIN_SECONDS
    assert [message.subject for message in system.conversation("ada")] == ["Hello"]


def test_w2_replays_of_a_push_whose_change_is_never_shown_are_bounded_too(
    system: System,
) -> None:
    """Gmail's mailbox id can be ahead of everything that its history lists."""
    system.world.faults.add("history_lag", seconds=10_000, reports="current")
    system.arrives(ADA, ME)
    (push,) = system.pushes
    units, _, _ = replays(system, push.event, 300, seconds=0.1)
    assert units <= 2 * (4 + 30 / LOOK_AGAIN_SECONDS)


def test_w2_a_newer_push_is_looked_after_at_once(system: System) -> None:
    system.arrives(ADA, ME, "One")
    (push,) = system.pushes
    system.settle()
    replays(system, push.event, 3)
    system.arrives(ADA, ME, "Two")
    assert system.deliver(system.pushes.popleft())
    assert [message.subject for message in system.conversation("ada")] == ["One", "Two"]


def test_w2_a_hint_equal_to_the_cursor_is_inspected_again_a_little_later(
    system: System,
) -> None:
    system.arrives(ADA, ME, "One")
    (push,) = system.pushes
    system.settle()
    for _ in range(3):
        system.clock.advance(seconds=LOOK_AGAIN_SECONDS)
        assert replays(system, push.event, 1)[0] == 2
