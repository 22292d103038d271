"""C9: the account, not the address, is the mailbox."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

from shared.core.ids import UserId, mailbox_id
from shared.core.matching.bcc import LOGGING
from shared.services.connecting.renaming import SEARCH_AGAIN_MS
from tests.support.system import System

OLD, NEW, MATE = "rep@ours.example", "rep@new-name.example", "mate@ours.example"
ADA = "ada@client.example"


@pytest.fixture
def system() -> System:
    system = System(bcc_address_format="log+{token}@logs.example")
    system.subaccount()
    system.user("u", OLD)
    system.contact("ada", ADA)
    for address in (OLD, MATE):
        system.world.add_account(address)
    assert system.connect("u", OLD).code == "connected"
    system.settle()
    return system


def rename(system: System) -> None:
    system.world.rename_account(OLD, NEW)


def said(system: System) -> list[tuple[str, str]]:
    return [(m.direction, m.subject) for m in system.conversation("ada")]


def told(system: System) -> list[tuple[str, Any, Any]]:
    return [
        (event["type"], event["data"]["user"], event["data"]["address"])
        for event in system.events()
        if event["type"] == "connection.updated"
    ]


def shown(system: System, user: str = "u") -> str:
    address: str = system.services.connections.view(UserId(user))["address"]
    return address


def at_next_push(system: System) -> None:
    system.arrives(ADA, NEW, "First")
    system.settle()


def at_next_sweep(system: System) -> None:
    system.arrives(ADA, NEW, "First")
    system.pushes.clear()
    system.clock.advance(hours=2)
    system.sweep()


def at_next_renewal(system: System) -> None:
    system.clock.advance(hours=25)
    system.renew()
    system.arrives(ADA, NEW, "First")
    system.settle()


def at_reauthorisation(system: System) -> None:
    system.world.change_password(NEW)
    system.arrives(ADA, NEW, "First")
    system.pushes.clear()
    system.clock.advance(hours=2)
    system.sweep()
    assert system.mailbox(OLD).status == "reauth_required"
    assert system.connect("u", NEW).how == "resumed"
    system.settle()


@pytest.mark.parametrize(
    "notice", [at_next_push, at_next_sweep, at_next_renewal, at_reauthorisation]
)
def test_c9_nothing_is_missed_or_doubled(system: System, notice: Any) -> None:
    system.arrives(ADA, OLD, "Before")
    system.settle()
    rename(system)
    notice(system)
    assert said(system) == [("inbound", "Before"), ("inbound", "First")]
    assert shown(system) == NEW
    if notice is not at_reauthorisation:
        assert told(system) == [("connection.updated", "u", NEW)]
    system.sends(NEW, ADA, "Second")
    system.arrives(ADA, OLD, "Third")
    system.settle()
    assert said(system)[2:] == [("outbound", "Second"), ("inbound", "Third")]
    mailboxes = {m.id for m in system.services.accounts._mailboxes.active(None, 9)}
    assert mailboxes == {mailbox_id(OLD)}


def test_c9_m11_former_addresses_stay_the_owners(system: System) -> None:
    system.user("v", MATE)
    system.connect("v", MATE)
    rename(system)
    at_next_push(system)
    system.renew()
    system.sends(MATE, OLD, "Between colleagues")
    system.sends(MATE, NEW, "Between colleagues too")
    system.settle()
    assert [s for _, s in said(system)] == ["First"]
    assert {OLD, NEW} <= system.mailbox(OLD).own_addresses


def test_c9_a_shared_mailbox_is_renamed_for_all_its_users(system: System) -> None:
    system.user("v", MATE)
    assert system.connect("v", OLD).code == "connected"
    system.settle()
    rename(system)
    at_next_push(system)
    assert (shown(system), shown(system, "v")) == (NEW, NEW)
    assert sorted(told(system)) == [
        ("connection.updated", "u", NEW),
        ("connection.updated", "v", NEW),
    ]


def test_c9_a_second_user_of_the_renamed_account_joins_its_mailbox(
    system: System,
) -> None:
    rename(system)
    system.user("v", MATE)
    assert system.connect("v", NEW).code == "connected"
    system.settle()
    assert (shown(system), shown(system, "v")) == (NEW, NEW)
    at_next_push(system)
    (message,) = system.conversation("ada")
    assert {copy.user for copy in message.held_by} == {"u", "v"}


def test_c9_c2_another_account_at_the_old_address_is_another_mailbox(
    system: System,
) -> None:
    rename(system)
    at_next_push(system)
    system.subaccount(logging="all_contacts")
    world = system.world
    with world.transaction():  # Google gives the old address to somebody else
        world._receiving.pop(OLD)
        world.account(NEW).send_as.pop(OLD)
    world.add_account(OLD)
    system.user("w", "w@ours.example")
    assert system.connect("w", OLD).code == "connected"
    system.settle()
    system.arrives(ADA, OLD, "To the new owner")
    system.arrives(ADA, NEW, "To the old one")
    system.settle()
    held = {
        m.subject: {copy.user for copy in m.held_by} for m in system.conversation("ada")
    }
    assert held["To the new owner"] == {"w"}
    assert held["To the old one"] == {"u"}


def test_c9_the_logging_mailbox(system: System) -> None:
    system.world.add_account("log@logs.example", catch_all=True)
    assert system.connect(LOGGING, "log@logs.example").code == "connected"
    system.settle()
    drop = system.services.bcc.show("s", UserId("u"))  # type: ignore[arg-type]
    system.world.rename_account("log@logs.example", "logger@logs.example")
    message: EmailMessage = system.mail(OLD, ADA, "Logged")
    system.world.deliver_from_outside(message.as_bytes(), [drop], "pass")
    system.settle()
    assert said(system) == [("outbound", "Logged")]


def test_c9_a_disconnected_mailbox_under_its_new_address_starts_fresh(
    system: System,
) -> None:
    system.services.connections.disconnect(UserId("u"))
    system.settle()
    rename(system)
    system.arrives(ADA, NEW, "Meanwhile")
    system.settle()
    assert system.connect("u", NEW).how == "began"
    system.settle()
    at_next_push(system)
    assert said(system) == [("inbound", "First")]


def test_c9_an_address_that_nobody_has_is_looked_for_once_a_day(system: System) -> None:
    system.world.calls.clear()

    def announced() -> int:
        system.arrives(ADA, OLD, "x")
        push = system.pushes.pop()
        system.pushes.clear()
        stranger = push.event.data.replace(OLD.encode(), b"stranger@x.example")
        system.pushes.append(type(push)(type(push.event)(stranger, {}), "d"))
        before = len(system.world.calls)
        system.settle()
        return len(system.world.calls) - before

    asked = [announced(), announced()]
    system.clock.advance(seconds=SEARCH_AGAIN_MS // 1000)
    asked.append(announced())
    assert asked[0] > 0
    assert asked[1] == 0
    assert asked[2] > 0


def test_c9_a_mailbox_that_cannot_be_asked_stops_nothing(system: System) -> None:
    system.user("v", MATE)
    system.connect("v", MATE)
    system.settle()
    system.world.change_password(MATE)
    rename(system)
    at_next_push(system)
    assert said(system) == [("inbound", "First")]
    assert system.mailbox(MATE).status in {"active", "reauth_required"}
