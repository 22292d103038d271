"""Dying before and after every gateway call of whatever changes a connection.

What is left is whole, and the next try or sweep finishes it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.core.ids import UserId
from shared.errors import SyncError
from tests.support.crash import Crash, CrashPlan, CrashPoint
from tests.support.system import System

ME, NEW = "rep@ours.example", "rep@new.example"
ADA = "ada@client.example"
U = UserId("u")
MAILS = 5


def connected() -> System:
    system = fresh()
    system.connect("u", ME)
    system.settle()
    system.arrives(ADA, ME, "First")
    system.settle()
    system.clock.advance(minutes=1)
    return system


def fresh() -> System:
    system = System(gmail_headers_per_batch=2)
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.world.add_account(ME)
    system.world.add_account(NEW)
    return system


def dead() -> System:
    """The token has ended, and mail was missed."""
    system = connected()
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    system.arrives(ADA, ME, "Missed")
    system.settle()
    system.clock.advance(hours=2)
    return system


def expired() -> System:
    system = connected()
    for number in range(MAILS):
        system.clock.advance(hours=1)
        system.arrives(ADA, ME, f"Mail {number}")
    system.pushes.clear()
    system.world.expire_history(ME)
    system.clock.advance(hours=2)
    system.services.sweep.sweep_all()
    return system


def reads(system: System) -> None:
    """Every piece of work that waits, once each; the queue itself survives a crash."""
    for push in list(system.work):
        if system.do_work(push):
            system.work.remove(push)


def renews(system: System) -> None:
    system.services.watches.renew_all()
    reads(system)


@dataclass(frozen=True)
class Scenario:
    name: str
    before: Callable[[], System]
    act: Callable[[System], object]


SCENARIOS = [
    Scenario("connect", fresh, lambda system: system.connect("u", ME)),
    Scenario("update", connected, lambda system: system.connect("u", NEW)),
    Scenario(
        "disconnect",
        connected,
        lambda system: system.services.connections.disconnect(U),
    ),
    Scenario("reauthorise", dead, lambda system: system.connect("u", ME)),
    Scenario("renew", connected, renews),
    Scenario("resync", expired, reads),
]


def points_of(scenario: Scenario) -> list[CrashPoint]:
    """Before and after each gateway call, as a dry run counts them."""
    system = scenario.before()
    plan = CrashPlan()
    system.restart(plan)
    scenario.act(system)
    return plan.points()


def crashed(scenario: Scenario, point: CrashPoint) -> System:
    """The system after it died there and was started again."""
    system = scenario.before()
    system.restart(CrashPlan(point))
    with contextlib.suppress(Crash, SyncError):
        scenario.act(system)
    system.restart()
    return system


def later(system: System) -> None:
    """A quarter of an hour, and the sweeps that come."""
    system.clock.advance(minutes=15)
    system.sweep()
    system.clock.advance(hours=2)
    system.sweep()


def check_whole(system: System) -> None:
    """What must hold whatever happened: tokens, watches and states agree."""
    documents = system.outside.documents.dump()
    mailboxes = {
        path.split("/")[1]: data
        for path, data in documents.items()
        if path.startswith("mailboxes/")
    }
    used = {name for name, data in mailboxes.items() if data["users"]}
    tokens = {
        name.removeprefix("gmail-token-")
        for name in system.outside.secrets.names()
        if name.startswith("gmail-token-")
    }
    assert tokens == used
    assert not any(data["closing_at"] for data in mailboxes.values())
    assert not any(path.startswith("outbox/") for path in documents)
    for path, data in documents.items():
        if path.startswith("connections/") and data["status"] != "disconnected":
            assert data["mailbox"] in used
            assert mailboxes[data["mailbox"]]["status"] == data["status"]


def subjects(system: System) -> list[str]:
    return [one.subject for one in system.conversation("ada")]


def status(system: System) -> str:
    found = system.outside.documents.get(["connections/u"])[0]
    return str(found.data.get("status"))


def mail_flows(system: System, address: str) -> None:
    before = len(subjects(system))
    system.arrives(ADA, address, "Flows")
    system.settle()
    assert subjects(system)[before:] == ["Flows"]


def check_events(system: System) -> None:
    """Each event that was published twice has one id."""
    bodies = {one["id"]: one["type"] for one in system.events()}
    counts = Counter(bodies.values())
    assert counts["connection.disconnected"] <= 1
    assert counts["connection.updated"] <= 1
    assert counts["connection.reauth_required"] <= 1


def after_connect(system: System) -> None:
    assert status(system) in {"None", "active"}
    if status(system) == "None":
        assert system.connect("u", ME).code == "connected"
    mail_flows(system, ME)


def after_update(system: System) -> None:
    assert status(system) == "active"
    address = system.services.connections.view(U)["address"]
    mail_flows(system, address)
    assert system.connect("u", NEW).code == "connected"
    later(system)
    check_whole(system)
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0
    mail_flows(system, NEW)


def after_disconnect(system: System) -> None:
    system.services.connections.disconnect(U)
    system.settle()
    check_whole(system)
    assert status(system) == "disconnected"
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0
    system.arrives(ADA, ME, "Not for us")
    system.settle()
    assert subjects(system) == ["First"]


def after_reauthorise(system: System) -> None:
    if status(system) != "active":
        assert system.connect("u", ME).code == "connected"
    later(system)
    assert subjects(system) == ["First", "Missed"]
    mail_flows(system, ME)


def after_renew(system: System) -> None:
    assert status(system) == "active"
    mail_flows(system, ME)


def after_resync(system: System) -> None:
    assert subjects(system) == ["First", *(f"Mail {number}" for number in range(MAILS))]
    assert system.mailbox(ME).resync is None
    mail_flows(system, ME)


AFTER = {
    "connect": after_connect,
    "update": after_update,
    "disconnect": after_disconnect,
    "reauthorise": after_reauthorise,
    "renew": after_renew,
    "resync": after_resync,
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_every_crash_point_is_survived(scenario: Scenario) -> None:
    tried = 0
    for point in points_of(scenario):
        system = crashed(scenario, point)
        try:
            if scenario.name != "reauthorise":
                later(system)
                check_whole(system)
            AFTER[scenario.name](system)
            later(system)
            check_whole(system)
            check_events(system)
        except AssertionError as error:
            raise AssertionError(f"crash {point}: {error}") from error
        tried += 1
    assert tried > 10


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda one: one.name)
def test_a_half_done_disconnect_is_finished_by_the_next_one(
    scenario: Scenario,
) -> None:
    """DELETE after any crash leaves nothing behind, without waiting for a sweep."""
    for point in points_of(scenario):
        system = crashed(scenario, point)
        system.services.connections.disconnect(U)
        system.settle()
        assert status(system) in {"None", "disconnected"}, str(point)
        later(system)
        check_whole(system)
