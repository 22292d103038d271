"""What a subaccount's provider is given in a day is bounded (S2 is counted apart)."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import Permanent, Problem
from tests.support.crash import Crash, CrashPlan
from tests.support.rival import Overtaken
from tests.support.sending import S, SendingSystem


def given_today(system):
    """Mails that count for the provider of `s`."""
    path = f"subaccounts/{S}/send_windows/provider"
    return len(system.outside.documents.get([path])[0].data.get("taken", b"")) // 4


def refusal(call):
    with pytest.raises(Problem) as refused:
        call()
    return refused.value


def test_bulk_and_workflow_mail_share_a_rolling_day_and_are_told_when_it_is_free():
    system = SendingSystem(daily_provider_cap=3)
    system.bulk("c", "b")
    system.clock.advance(hours=6)
    system.post(kind="workflow")
    for call in (
        lambda: system.post(kind="workflow"),
        lambda: system.bulk("c", key="more"),
    ):
        problem = refusal(call)
        assert (problem.status, problem.code) == (429, "daily_limit_reached")
        assert problem.headers["Retry-After"] == str(18 * 3600)
        assert problem.extra["retry_at"] == "2026-03-03T09:00:00.000Z"
    system.clock.advance(hours=18, seconds=1)
    system.bulk("c", "b", key="the next day")
    assert refusal(lambda: system.bulk("c", key="again")).code == "daily_limit_reached"


def test_a_bulk_call_is_taken_whole_or_not_at_all():
    system = SendingSystem(daily_provider_cap=3)
    system.post(kind="workflow")
    system.post(kind="workflow")
    before = system.outside.blobs.keys()
    refusal(lambda: system.bulk("c", "b"))
    assert system.outside.blobs.keys() == before
    assert given_today(system) == 2
    system.bulk("c")


def test_a_call_that_no_day_has_room_for_is_not_told_to_wait():
    system = SendingSystem(daily_provider_cap=1)
    problem = refusal(lambda: system.bulk("c", "b"))
    assert (problem.status, problem.code) == (422, "too_many_contacts")


def test_who_has_no_gmail_cannot_go_round_it_with_individual_mail():
    system = SendingSystem(connected=False, daily_provider_cap=1)
    system.post()
    assert refusal(system.post).code == "daily_limit_reached"


def test_s5_gmail_is_not_touched_by_it_nor_another_subaccount():
    system = SendingSystem(daily_provider_cap=1)
    system.post(kind="workflow")
    system.post()
    assert system.left_today() == 499
    assert given_today(system) == 1
    system.subaccount("t", default_provider=None)
    system.services.caps.take("t")


def test_what_fails_counts_as_well():
    """It is a bound on what a stolen key can do, not a quota of the provider."""
    system = SendingSystem(daily_provider_cap=1)

    def refuse(_):
        raise Permanent

    system.relay.before = refuse
    (message,) = system.post(kind="workflow").ids
    system.settle()
    assert system.record(message).status == "failed"
    assert given_today(system) == 1


@pytest.mark.parametrize("bulk", [False, True])
def test_of_many_calls_at_once_no_more_than_fit_are_taken(bulk):
    system = SendingSystem(daily_provider_cap=5)
    outcomes, lock = [], threading.Lock()

    def call(number):
        try:
            if bulk:
                system.bulk("c", key=f"k{number}")
            else:
                system.post(kind="workflow", key=f"k{number}")
            outcome = "taken"
        except Problem as problem:
            outcome = problem.code
        with lock:
            outcomes.append(outcome)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(12)))
    assert sorted(outcomes) == ["daily_limit_reached"] * 7 + ["taken"] * 5
    assert given_today(system) == 5


@pytest.mark.parametrize("begun", [False, True], ids=["first mail", "later"])
@pytest.mark.parametrize("bulk", [False, True])
def test_a_rival_between_reading_and_writing_is_counted(begun, bulk):
    system = SendingSystem(daily_provider_cap=1 + begun)
    if begun:
        system.post(kind="workflow")
    documents, caps = system.outside.documents, system.services.caps
    system.outside.documents = Overtaken(
        documents,
        f"subaccounts/{S}/send_windows/provider",
        lambda: documents.commit([caps.take(S)]),
        after=2,  # a first look comes before anything is stored
    )
    system.restart()
    call = system.bulk if bulk else system.post
    assert refusal(lambda: call("c", kind="bulk" if bulk else "workflow")).code == (
        "daily_limit_reached"
    )
    assert given_today(system) == 1 + begun


def accept(system):
    system.post("b", kind="workflow", key="one")
    system.bulk("c", "b", key="two")


def points():
    system = SendingSystem()
    plan = CrashPlan()
    system.restart(plan)
    accept(system)
    return plan.points()


@pytest.mark.parametrize("point", points(), ids=str)
def test_a_call_that_is_repeated_after_a_crash_counts_once(point):
    system = SendingSystem()
    system.restart(CrashPlan(point))
    with contextlib.suppress(Crash):
        accept(system)
    system.restart()
    accept(system)
    accept(system)
    assert given_today(system) == 3
    system.settle()
    assert len(system.relay.taken) == 3
