"""The sweep brings silent mailboxes up to date without a notification (W2)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.ids import UserId
from shared.core.syncing.lease import take
from tests.support.system import System

ME, ADA, BOB = "rep@ours.example", "ada@client.example", "bob@client.example"


def a_system() -> System:
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.settle()
    return system


@pytest.fixture
def system() -> System:
    return a_system()


def subjects(system: System, c: str = "ada") -> list[str]:
    return [message.subject for message in system.conversation(c)]


def six_days(system: System, *, deaf: bool) -> None:
    """A rep's week; `deaf`: no notification ever comes."""
    for day in range(6):
        first = system.arrives(ADA, ME, f"Question {day}")
        system.clock.advance(hours=5)
        system.sends(ME, ADA, f"Re: Question {day}", reply_to=first)
        system.arrives("stranger@else.example", ME, "Buy now")
        system.arrives(BOB, f"{ME}, {ADA}", f"To both {day}", spam=day % 2 == 1)
        system.clock.advance(hours=19)
        if deaf:
            system.pushes.clear()
        else:
            system.settle()


def recorded(system: System) -> dict[str, Any]:
    """What is stored of mail: records, conversations, threads and decisions."""
    return {
        path: data
        for path, data in system.state().items()
        if path.startswith("subaccounts/")
    }


def test_w2_six_days_without_a_notification_then_one_sweep() -> None:
    hearing, deaf = a_system(), a_system()
    six_days(hearing, deaf=False)
    six_days(deaf, deaf=True)
    deaf.sweep()
    assert len(subjects(deaf)) == 12
    assert recorded(deaf) == recorded(hearing)
    assert len(deaf.events()) == len(hearing.events())


def test_w2_only_mailboxes_silent_for_an_hour_are_looked_at(system: System) -> None:
    system.clock.advance(minutes=50)
    system.arrives(ADA, ME)
    system.settle()
    system.clock.advance(minutes=59)
    assert system.units(system.sweep) == 0
    system.clock.advance(minutes=2)
    assert system.units(system.sweep) == 3
    assert system.units(system.sweep) == 0


def test_w2_silent_for_chooses_other_seconds(system: System) -> None:
    system.clock.advance(seconds=30)
    assert system.units(lambda: system.sweep(60)) == 0
    assert system.units(lambda: system.sweep(20)) == 3
    assert system.units(lambda: system.sweep(0)) == 3


def test_w2_a_busy_mailbox_is_not_disturbed(system: System) -> None:
    system.clock.advance(hours=2)
    _hold(system)
    before = system.mailbox(ME)
    assert system.units(system.sweep) == 0
    assert system.mailbox(ME).lease == before.lease


def test_w2_a_mailbox_whose_holder_died_is_taken_over(system: System) -> None:
    system.clock.advance(hours=2)
    system.arrives(ADA, ME, "Left lying")
    system.pushes.clear()
    _hold(system)
    system.clock.advance(minutes=3)
    system.sweep()
    assert subjects(system) == ["Left lying"]


def test_w2_a_piece_of_work_that_comes_late_finds_it_done(system: System) -> None:
    system.clock.advance(hours=2)
    system.services.sweep.sweep_all()
    late = list(system.work)
    system.settle()
    calls = len(system.world.calls)
    for push in late:
        assert system.do_work(push)
    assert len(system.world.calls) == calls


def test_w2_many_silent_mailboxes_are_passed_on_page_by_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.services.syncing.sweep.PAGE", 1)
    system = System()
    system.subaccount()
    for number in range(40):  # more than there are shards
        system.user(f"u{number}", f"u{number}@ours.example")
        system.connect(f"u{number}", f"u{number}@ours.example")
    system.settle()
    system.clock.advance(hours=2)
    before = system.world.calls.count("gmail.users.history.list")
    system.services.sweep.sweep_all()
    system.settle(400)
    assert system.world.calls.count("gmail.users.history.list") - before == 40


def test_w2_an_idle_mailbox_follows_so_that_its_history_never_expires(
    system: System,
) -> None:
    """Changes that are no mail of ours move Gmail's id, and make no record for us."""
    system.clock.advance(hours=2)
    account = system.world.account(ME)
    start = int(system.mailbox(ME).cursor)
    account.mailbox.history_id += 500
    for _ in range(3):
        system.sweep()
        system.clock.advance(hours=2)
    assert int(system.mailbox(ME).cursor) == start + 500


def test_w2_a_change_that_is_not_readable_yet_is_not_passed_over(
    system: System,
) -> None:
    system.clock.advance(hours=2)
    system.sweep()
    system.clock.advance(hours=2)
    system.world.faults.add("history_lag", seconds=60)
    system.arrives(ADA, ME, "Not readable yet")
    system.pushes.clear()
    system.sweep()
    assert subjects(system) == []
    system.clock.advance(hours=2)
    system.sweep()
    assert subjects(system) == ["Not readable yet"]


def test_w2_leftover_events_are_published(system: System) -> None:
    topics = system.outside.topics
    publish = topics.publish

    def down(topic: str, events: Any) -> None:
        from shared.errors import Transient

        if topic == "crm-events":
            raise Transient
        publish(topic, events)

    topics.publish = down
    system.services.connections.disconnect(UserId("u"))
    topics.publish = publish
    assert [event["type"] for event in system.events()] == ["connection.connected"]
    system.clock.advance(minutes=15)
    system.sweep()
    assert [event["type"] for event in system.events()] == [
        "connection.connected",
        "connection.disconnected",
    ]


def test_w2_a_mailbox_that_can_not_be_read_is_shown_as_late(system: System) -> None:
    system.world.faults.add("status", method="gmail.users.history.list", status=503)
    for _ in range(8):
        system.clock.advance(hours=1)
        system.services.sweep.sweep_all()
        while system.work:
            system.do_work(system.work.popleft())
    view = system.services.connections.view(UserId("u"))
    assert [warning["code"] for warning in view["warnings"]] == ["sync_late"]
    assert system.mailbox(ME).failure == "temporarily_unavailable"
    system.world.faults.clear()
    system.clock.advance(hours=1)
    system.sweep()
    assert system.services.connections.view(UserId("u"))["warnings"] == []
    assert system.mailbox(ME).failing_since is None


def _hold(system: System) -> None:
    from dataclasses import replace

    now = int(system.clock.now().timestamp() * 1000)
    system.services.sync._lease._mailboxes.change(
        system.mailbox_id(ME),
        lambda before: replace(before, lease=take(before.lease, "other", now).lease),
    )
