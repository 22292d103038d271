"""B7: so many contacts a day, and no more, are made by mail to one BCC address."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.bcc import ADA, BOB, ME, PROFILE, BccSystem
from tests.support.crash import Crash, CrashPlan
from tests.support.rival import Overtaken

WINDOW = "subaccounts/s/contact_windows/{}"


def capped(cap: int = 2, **settings: Any) -> BccSystem:
    return BccSystem(daily_contact_cap=cap, **settings)


def counted(system: BccSystem, u: str = "u") -> int:
    found = system.outside.documents.get([WINDOW.format(u)])[0]
    return len(found.data.get("taken", b"")) // 4


def log(system: BccSystem, *to: str, **more: Any) -> str:
    message_id = system.outlook(to=", ".join(to), **more)
    system.settle()
    return message_id


def people(count: int, begin: int = 0) -> list[str]:
    return [f"p{n}@client.example" for n in range(begin, begin + count)]


def test_b7_above_the_cap_mail_to_strangers_is_not_recorded_and_says_so() -> None:
    system = capped(2)
    log(system, ADA)
    log(system, BOB)
    refused = log(system, *people(1))
    assert set(system.contacts()) == {ADA, BOB}
    assert len(system.recorded()) == 2
    assert [decision.rule for decision in system.decisions(message_id=refused)] == [
        "B7"
    ]


def test_b7_above_the_cap_mail_to_a_known_contact_is_logged_without_new_ones() -> None:
    system = capped(1)
    log(system, ADA)
    mixed = log(system, *people(1), ADA, subject="To both")
    assert [message.subject for message in system.said(ADA)] == ["Hello", "To both"]
    assert set(system.contacts()) == {ADA}
    assert [decision.rule for decision in system.decisions(message_id=mixed)] == ["B7"]
    assert len(system.published("contact.created")) == 1


def test_b7_the_cap_is_a_rolling_day() -> None:
    system = capped(2)
    log(system, ADA)
    system.clock.advance(hours=12)
    log(system, BOB)
    log(system, *people(1))
    assert len(system.contacts()) == 2
    system.clock.advance(hours=12, seconds=2)
    log(system, *people(1), subject="a day later")
    assert len(system.contacts()) == 3
    log(system, *people(1, 1))
    assert len(system.contacts()) == 3


def test_b7_each_users_address_has_its_own_day_and_rotation_begins_no_new_one() -> None:
    system = capped(1)
    system.user("v", "v@ours.example")
    log(system, ADA)
    system.services.bcc.rotate("s", "u")  # type: ignore[arg-type]
    log(system, BOB)
    assert set(system.contacts()) == {ADA}
    log(system, BOB, sender="v@ours.example", rcpt=system.drop("v"))
    assert set(system.contacts()) == {ADA, BOB}
    assert (counted(system), counted(system, "v")) == (1, 1)


def test_b7_mails_of_one_notification_share_what_is_left() -> None:
    system = capped(3)
    for number in range(5):
        system.outlook(to=people(1, number)[0], subject=str(number))
    system.pushes_merged()
    system.settle()
    assert (len(system.contacts()), counted(system)) == (3, 3)
    assert len(system.recorded()) == 3


def test_b7_mail_that_is_read_again_counts_once() -> None:
    system = capped(10)
    log(system, ADA, BOB)
    system.clock.advance(days=8)
    system.world.expire_history("log@logs.example")
    log(system, ADA, BOB, subject="Again")
    system.sweep(0)
    assert counted(system) == 2
    assert len(system.recorded()) == 2


def both_routes(system: BccSystem) -> None:
    headers = {"Bcc": system.drop()}
    system.sends(ME, f"{ADA}, {BOB}", "Both", headers=headers)


@pytest.mark.parametrize("seed", range(2))
def test_b7_both_routes_at_the_same_moment_count_each_contact_once(seed: int) -> None:
    system = capped(5)
    for number in range(4):
        headers = {"Bcc": system.drop()}
        to = f"{ADA}, p{seed}-{number}@client.example"
        system.sends(ME, to, f"{number}", headers=headers)
    pushes = list(system.pushes)
    system.pushes.clear()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(system.deliver, pushes))
    system.pushes.extend(p for p, ok in zip(pushes, done, strict=True) if not ok)
    system.settle()
    assert len(system.contacts()) == counted(system) == 5
    assert len(system.recorded()) == 4


@pytest.mark.parametrize("begun", [False, True], ids=["first contact", "later"])
@pytest.mark.parametrize("after", [1, 2], ids=["decided", "ready to commit"])
@pytest.mark.parametrize(("taken", "made"), [(1, 2), (2, 0)])
def test_b7_a_rival_between_reading_and_writing_is_counted(
    begun: bool, after: int, taken: int, made: int
) -> None:
    """The mail is decided anew, in the same delivery."""
    system = capped(3 + begun)
    if begun:
        log(system, "early@client.example")
    documents, quota = system.outside.documents, system.services._contact_quota

    def rival() -> None:
        documents.commit([quota.take("s", "u", taken)])

    system.outlook(to=f"{ADA}, {BOB}", subject="Overtaken")
    system.outside.documents = Overtaken(
        documents, WINDOW.format("u"), rival, after=after
    )
    system.restart()
    assert system.deliver(system.pushes.popleft())
    system.outside.documents = documents
    assert len(system.contacts()) == begun + made
    assert counted(system) == begun + taken + made


def points(first: int) -> list[Any]:
    system = capped(3)
    both_routes(system)
    system.pushes.rotate(first)
    plan = CrashPlan()
    system.restart(plan)
    system.settle()
    # Only commits change what is counted; tests/faults dies at every call.
    return [(first, point) for point in plan.points() if point.name.endswith("commit")]


@pytest.mark.parametrize(("first", "point"), points(1), ids=str)
def test_b7_a_crash_around_any_commit_counts_each_contact_once(
    first: int, point: Any
) -> None:
    system = capped(3)
    both_routes(system)
    system.pushes.rotate(first)
    pushes = list(system.pushes)
    system.restart(CrashPlan(point))
    with contextlib.suppress(Crash):
        system.settle()
    system.restart()
    system.clock.advance(seconds=200)
    system.pushes.clear()
    system.pushes.extend(pushes)
    system.settle()
    assert len(system.contacts()) == counted(system) == 2
    log(system, *people(2))
    assert len(system.contacts()) == 2, "one is left, two are not made"
    log(system, *people(1))
    assert len(system.contacts()) == counted(system) == 3


def test_b7_only_mail_that_makes_contacts_reads_the_day() -> None:
    system = BccSystem()
    log(system, ADA)
    asked: list[str] = []
    get = system.outside.documents.get
    system.outside.documents.get = lambda paths: asked.extend(paths) or get(paths)
    system.restart()
    log(system, ADA, sender=PROFILE, subject="Once more")
    assert WINDOW.format("u") not in asked
    log(system, BOB, subject="Somebody new")
    assert asked.count(WINDOW.format("u")) == 2
