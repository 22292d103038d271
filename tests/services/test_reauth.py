"""Credentials that die, and coming back (C7), on the simulated Gmail."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from shared.core.ids import UserId
from shared.errors import Misconfigured
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"


def status(system: System, user: str = "u") -> str:
    return str(system.services.connections.view(UserId(user))["status"])


def events(system: System, kind: str) -> int:
    return [event["type"] for event in system.events()].count(f"connection.{kind}")


def subjects(system: System) -> list[str]:
    return [message.subject for message in system.conversation("ada")]


def _blocked(description: str, subtype: str | None) -> Callable[[System], None]:
    def block(system: System) -> None:
        system.world.oauth.block(system.world.account(ME), description, subtype)

    return block


def _refused(reason: str) -> Callable[[System], None]:
    def refuse(system: System) -> None:
        system.world.faults.add(
            "status", method="gmail.users.*", status=403, reason=reason
        )

    return refuse


CAUSES: dict[str, Callable[[System], None]] = {
    "password": lambda system: system.world.change_password(ME),
    "revoked": lambda system: system.world.revoke_access(ME),
    "admin_policy_enforced": _blocked("admin_policy_enforced", None),
    "invalid_rapt": _blocked("reauth related error", "invalid_rapt"),
    "domainPolicy": _refused("domainPolicy"),
    "insufficientPermissions": _refused("insufficientPermissions"),
    "gmail_says_401": lambda system: system.world.faults.add(
        "status", method="gmail.users.*", status=401
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_c7_every_cause_is_said_once_and_nothing_is_tried_in_vain(
    system: System, cause: str
) -> None:
    CAUSES[cause](system)
    system.clock.advance(hours=2)  # the cached access token ends as well
    for number in range(3):
        system.arrives(ADA, ME, f"Missed {number}")
    system.settle()
    assert status(system) == "reauth_required"
    assert events(system, "reauth_required") == 1
    calls = len(system.world.calls)
    system.arrives(ADA, ME, "Missed too")
    system.clock.advance(days=1)
    system.renew()
    system.sweep()
    system.settle()
    assert len(system.world.calls) == calls
    assert events(system, "reauth_required") == 1


@pytest.mark.parametrize("cause", CAUSES)
def test_c7_the_renewal_notices_it_too(system: System, cause: str) -> None:
    CAUSES[cause](system)
    system.clock.advance(days=1)
    system.renew()
    assert status(system) == "reauth_required"
    assert events(system, "reauth_required") == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 401, "reason": "invalid_client"},
        {"action": "status", "status": 400, "reason": "unauthorized_client"},
        {"action": "status", "status": 503},
        {"action": "status", "status": 500},
        {"action": "status", "status": 429},
        {"action": "status", "status": 400, "reason": "invalid_request"},
        {"action": "drop_before"},
        {"action": "drop_after"},
    ],
    ids=lambda fault: "-".join(str(item) for item in fault.values()),
)
def test_a_token_endpoint_in_trouble_disconnects_nobody(
    system: System, fault: dict[str, object]
) -> None:
    system.clock.advance(hours=2)
    rule = system.world.faults.add(method="oauth.token", **fault)  # type: ignore[arg-type]
    system.arrives(ADA, ME, "Later")
    for push in list(system.pushes):
        with contextlib.suppress(Misconfigured):  # the deployment's fault
            system.deliver(push)
    system.services.watches.renew_all()
    assert rule.struck
    assert status(system) == "active"
    system.world.faults.clear()
    system.clock.advance(hours=2)
    system.sweep()
    assert subjects(system) == ["Later"]
    assert events(system, "reauth_required") == 0


def test_c7_coming_back_brings_in_what_was_missed_once_each(system: System) -> None:
    system.arrives(ADA, ME, "Before")
    system.settle()
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    for number in range(30):
        system.arrives(ADA, ME, f"Missed {number}")
    system.settle()
    assert subjects(system) == ["Before"]
    system.clock.advance(days=3)
    system.pushes.clear()
    assert system.connect("u", ME).code == "connected"
    system.settle()
    assert subjects(system) == ["Before", *(f"Missed {n}" for n in range(30))]
    assert status(system) == "active"
    assert events(system, "connected") == 2
    assert system.services.connections.view(UserId("u"))["connected_at"].startswith(
        "2026-03-02T09:00"
    )


def test_c7_with_the_history_expired_every_mail_since_once(system: System) -> None:
    system.arrives(ADA, ME, "Before")
    system.settle()
    system.world.change_password(ME)
    for number in range(60):
        system.clock.advance(hours=3)
        system.arrives(ADA, ME, f"Missed {number}")
    system.settle()
    system.world.expire_history(ME)
    system.connect("u", ME)
    system.settle(2000)
    assert subjects(system) == ["Before", *(f"Missed {n}" for n in range(60))]
    ids = [
        event["data"]["message"]
        for event in system.events()
        if "message" in event["data"]
    ]
    assert len(ids) == len(set(ids)) == 61


def test_c7_the_old_tokens_end_does_not_count_against_the_new_one(
    system: System,
) -> None:
    """A run with the old token that fails after the user came back changes nothing."""
    mailbox = system.mailbox(ME)
    system.world.change_password(ME)
    system.connect("u", ME)
    accounts = system.services.accounts
    accounts.needs_reauth(mailbox.id, mailbox.lease.fence)
    accounts.needs_reauth(mailbox.id, consents=mailbox.consents)
    assert status(system) == "active"
    assert events(system, "reauth_required") == 0


def test_c4_c7_one_user_coming_back_mends_it_for_all(system: System) -> None:
    system.user("v", "v@ours.example")
    system.connect("v", ME)
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    system.arrives(ADA, ME, "Missed")
    system.settle()
    assert (status(system), status(system, "v")) == ("reauth_required",) * 2
    assert events(system, "reauth_required") == 2
    system.connect("v", ME)
    system.settle()
    assert (status(system), status(system, "v")) == ("active", "active")
    assert subjects(system) == ["Missed"]


def test_c5_another_address_instead_of_reauthorising(system: System) -> None:
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    system.arrives(ADA, ME, "Missed")
    system.settle()
    system.connect("u", "rep@new.example", intent="update")
    system.settle()
    assert status(system) == "active"
    assert subjects(system) == []
    assert system.mailbox(ME).status == "disconnected"
    assert len(system.outside.secrets.names()) == 1


def test_c7_the_page_and_the_api_say_what_to_do(system: System) -> None:
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    system.arrives(ADA, ME)
    system.settle()
    view = system.services.connections.view(UserId("u"))
    assert [warning["code"] for warning in view["warnings"]] == ["reauth_required"]
    assert view["sends_left_today"] == 0
