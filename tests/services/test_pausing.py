"""An operator stops all sending, or that of one subaccount, and lets it go on."""

from __future__ import annotations

import contextlib
import json

import pytest

from functions import schedule
from shared.errors import Problem
from shared.ports import Event
from shared.services.sending.pause_service import FRESH_SECONDS
from tests.support.crash import Crash, CrashPlan
from tests.support.sending import BOB, S, SendingSystem
from tools.metered import MeteredDocuments


@pytest.fixture
def system():
    return SendingSystem()


def order(system, job, *, subaccount=None, drop=False, at=None):
    """The operator's order as the clock's function gets it, with all that it starts."""
    given = {"job": job, "at": at or int(system.clock.now().timestamp() * 1000)}
    given |= {"subaccount": subaccount} if subaccount else {}
    given |= {"drop": True} if drop else {}
    event = Event(json.dumps(given).encode())
    schedule.run(system.services, schedule.Job.from_push(event))


def pause(system, subaccount=None):
    order(system, "pause-sending", subaccount=subaccount)
    system.clock.advance(seconds=FRESH_SECONDS)


def resume(system, subaccount=None, *, drop=False):
    order(system, "resume-sending", subaccount=subaccount, drop=drop)
    goes_on(system)


def goes_on(system):
    """What the release has started publishes what waits; then that is sent."""
    system.settle()
    system.settle()


def went_out(system):
    return len(system.outside_mail()) + len(system.relay.taken)


@pytest.mark.parametrize("whose", [None, "s"])
@pytest.mark.parametrize("kind", ["individual", "workflow"])
def test_accepted_mail_waits_and_goes_out_once_when_it_is_resumed(system, whose, kind):
    (message,) = system.post(kind=kind).ids
    pause(system, whose)
    system.settle()
    assert not system.outgoing, "Pub/Sub does not knock for as long as the pause lasts"
    assert (went_out(system), system.record(message).status) == (0, "queued")
    resume(system, whose)
    assert (went_out(system), system.record(message).status) == (1, "sent")


@pytest.mark.parametrize("send", ["post", "bulk"])
def test_new_mail_is_refused_with_a_problem_and_the_same_key_works_later(system, send):
    def call():
        return getattr(system, send)("c", key="k")

    pause(system)
    with pytest.raises(Problem) as refused:
        call()
    assert (refused.value.status, refused.value.code) == (409, "sending_paused")
    assert system.under_way() == 0
    resume(system)
    call()
    system.settle()
    assert went_out(system) == 1


def test_a_call_that_was_accepted_before_is_answered_as_before(system):
    first = system.post(key="k")
    pause(system)
    assert system.post(key="k").ids == first.ids


def test_another_subaccount_goes_on(system):
    pause(system, "other")
    system.post()
    system.settle()
    assert went_out(system) == 1


def test_what_waits_can_be_dropped_and_fails_as_cancelled(system):
    (mail,) = system.post().ids
    news = system.bulk("c", "b").ids
    pause(system)
    system.send_all()
    resume(system, drop=True)
    assert went_out(system) == 0
    for message in (mail, *news):
        assert system.record(message).reason["code"] == "cancelled"
    assert {kind for kind, _ in system.new_events()} == {"message.failed"}
    assert (system.left_today(), system.under_way(), system.drafts()) == (500, 0, 0)
    system.clock.advance(seconds=1)
    system.post()
    system.settle()
    assert went_out(system) == 1, "what is accepted after it is not dropped"


def test_a_draft_that_was_about_to_be_sent_is_dropped_with_the_rest(system):
    """The worker died between its mark and Gmail; nobody has looked since."""
    system.world.faults.add("drop_before", method="gmail.users.drafts.send", count=1)
    system.world.faults.add("status", method="gmail.users.drafts.get", status=503)
    (message,) = system.post().ids
    assert not system.push_out(system.outgoing[0])
    system.world.faults.clear()
    assert system.drafts() == 1
    pause(system)
    system.send_all()
    assert system.drafts() == 1
    resume(system, drop=True)
    assert system.record(message).reason["code"] == "cancelled"
    assert (went_out(system), system.drafts()) == (0, 0)


def test_a_backlog_of_many_pages_goes_out_at_once(system, monkeypatch):
    monkeypatch.setattr("shared.repositories.sends.PAGE", 3)
    for _ in range(8):
        system.post()
    pause(system)
    system.send_all()
    resume(system)
    assert went_out(system) == 8


def test_waiting_for_the_operator_is_not_counted_as_an_outage(system):
    """S11: else the first rate limit after a long pause would fail the mail."""
    (message,) = system.post().ids
    pause(system)
    system.send_all()
    system.clock.advance(hours=30)
    order(system, "resume-sending")
    system.world.faults.add(
        "status", method="gmail.users.drafts.create", status=429, count=2
    )
    goes_on(system)
    assert system.record(message).status == "sent"


def test_a_sweep_does_not_wake_what_waits(system):
    system.post()
    pause(system)
    system.send_all()
    system.clock.advance(minutes=20)
    assert system.services.sending.resume(2**50) == 0
    resume(system)
    assert went_out(system) == 1


def test_an_order_that_is_delivered_again_does_not_pause_anew(system):
    at = int(system.clock.now().timestamp() * 1000)
    order(system, "pause-sending", at=at)
    system.clock.advance(seconds=10)
    resume(system)
    order(system, "pause-sending", at=at)
    assert not system.services.pausing.of(S).paused


def test_a_clock_that_is_ahead_locks_nobody_out(system):
    ahead = int(system.clock.now().timestamp() * 1000) + 3_600_000
    order(system, "pause-sending", at=ahead)
    system.clock.advance(seconds=10)
    resume(system)
    assert not system.services.pausing.of(S).paused


def test_a_switch_takes_effect_within_seconds_and_a_release_at_once(system):
    """Elsewhere: this instance has just read that nothing is paused."""
    system.post()
    other = system.services
    assert not other.pausing.of(S).paused
    system.restart()
    order(system, "pause-sending")
    assert not other.pausing.of(S).paused
    system.clock.advance(seconds=5)
    assert other.pausing.of(S).paused
    order(system, "resume-sending")
    assert not other.pausing.of(S).paused


def test_a_thousand_mails_of_an_instance_read_the_switch_once(system):
    meter = MeteredDocuments(system.outside.documents)
    system.outside.documents = meter
    system.restart()
    before = meter.usage.reads
    for _ in range(1000):
        system.services.pausing.refuse_if_paused(S)
    assert meter.usage.reads - before == 1


def test_healthz_shows_a_pause_at_once(system):
    assert system.services.health.overall().well
    order(system, "pause-sending")
    order(system, "pause-sending", subaccount="s")
    assert system.services.health.overall().issues == {"sending_paused": 2}


def accept(system):
    """Mail of both ways; its own crashes are in test_sending_crashes.py."""
    system.post("b", key="one")
    system.post("b", key="two", kind="workflow")


def pause_and_resume(system, *, drop):
    order(system, "pause-sending", at=1)
    system.clock.advance(seconds=FRESH_SECONDS)
    system.send_all()
    order(system, "resume-sending", at=2, drop=drop)
    system.work, waiting = type(system.work)(), system.work
    for push in waiting:
        assert system.do_work(push)


def points():
    system = SendingSystem()
    accept(system)
    plan = CrashPlan()
    system.restart(plan)
    pause_and_resume(system, drop=False)
    return plan.points()


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("point", points(), ids=str)
def test_a_crash_anywhere_in_a_pause_loses_and_doubles_nothing(point, drop):
    system = SendingSystem()
    accept(system)
    system.restart(CrashPlan(point))
    with contextlib.suppress(Crash):
        pause_and_resume(system, drop=drop)
    assert went_out(system) == 0
    system.restart()
    pause_and_resume(system, drop=drop)  # Pub/Sub delivers what was not acknowledged
    system.send_all()
    system.clock.advance(seconds=200)
    system.sweep(0)
    system.send_all()
    assert not system.services.pausing.of(S).paused
    assert {message.status for message in system.conversation("b")} == (
        {"failed"} if drop else {"sent"}
    )
    inbox = system.world.account(BOB).mailbox.messages
    once = 0 if drop else 1
    assert (len(inbox), len(system.relay.taken)) == (once, once)
    assert len({item for _, item in system.new_events()}) == 2
    assert (system.under_way(), system.drafts()) == (0, 0)
