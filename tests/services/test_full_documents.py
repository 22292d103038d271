"""A document that anybody can fill loses no email when it is full."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import SubaccountId
from shared.core.limits import MAX_COPIES_LISTED
from shared.core.matching import recording
from shared.core.records import HeldBy
from shared.gateways.document_rules import MAX_DOCUMENT_BYTES, document_size
from shared.ports import Create, Merge
from shared.repositories import bounded, paths
from tests.support.bcc import BccSystem
from tests.support.sending import CARLA, SendingSystem
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"
CRM = Caller("crm", frozenset({SubaccountId("s")}))
LONG = ".".join(("d" * 60, "e" * 60, "f" * 60, "example"))


def crowd(number: int) -> str:
    """100 addresses of some 250 bytes each, and no two alike."""
    return ", ".join(f"{'x' * 50}{number:03}{n:03}@{LONG}" for n in range(100))


def fill(system: System, path: str, data: dict[str, Any]) -> None:
    """Put so much into a document that nothing more fits."""
    documents = system.outside.documents
    found = documents.get([path])[0]
    left = MAX_DOCUMENT_BYTES - document_size(path, {**found.data, **data})
    filler = {"filler": "x" * (left - len("filler") - 2)}
    write = Merge(path, data | filler) if found.exists else Create(path, data | filler)
    documents.commit([write])


def assert_all_fit(system: System) -> None:
    for path, data in system.outside.documents.dump().items():
        assert document_size(path, dict(data)) <= MAX_DOCUMENT_BYTES, path


def test_t2_all_mails_of_a_thread_with_many_long_recipients_are_recorded(
    system: System,
) -> None:
    first = system.arrives(ADA, ME, "first")
    for number in range(50):
        system.clock.advance(seconds=1)
        mail = system.mail(ADA, ME, f"{number}", headers={"Cc": crowd(number)})
        mail["In-Reply-To"] = first
        system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
        system.settle()
    assert len(system.conversation("ada")) == 51
    assert {message.thread for message in system.conversation("ada")} == {
        system.conversation("ada")[0].thread
    }
    assert system.services.quarantine.items(CRM) == ()
    assert_all_fit(system)


@pytest.mark.parametrize("full", ["threads", "message_ids", "both"])
def test_m9_a_message_is_recorded_although_what_would_lead_to_it_is_full(
    system: System, full: str
) -> None:
    first = system.arrives(ADA, ME, "first")
    system.settle()
    (root,) = system.conversation("ada")
    if full != "message_ids":
        fill(system, paths.thread(SubaccountId("s"), root.thread), {})
    mail = system.mail(ADA, ME, "second")
    mail["In-Reply-To"] = first
    if full != "threads":
        message_id = str(mail["Message-ID"])
        fill(system, paths.message_id(SubaccountId("s"), message_id), {"entries": {}})
    system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    system.settle()
    assert [message.subject for message in system.conversation("ada")] == [
        "first",
        "second",
    ]
    assert system.conversation("ada")[1].thread == root.thread
    assert system.services.quarantine.items(CRM) == ()
    assert_all_fit(system)


def test_s1_a_reply_goes_out_in_a_thread_that_is_full(system: System) -> None:
    first = system.arrives(ADA, ME, "first")
    system.settle()
    (root,) = system.conversation("ada")
    fill(system, paths.thread(SubaccountId("s"), root.thread), {})
    system.sends(ME, ADA, "Re: first", headers={"In-Reply-To": first})
    system.settle()
    assert len(system.conversation("ada")) == 2
    assert_all_fit(system)


def test_m3_a_send_ends_although_its_address_remembers_nothing_more(
    system: System,
) -> None:
    """Else it went out and stayed queued for ever."""
    path = paths.address(SubaccountId("s"), ADA)
    fill(system, path, {})
    writes = [
        Merge(path, {"established": {"u": "crm"}}),
        Create("subaccounts/s/messages/x", {"status": "sent"}),
    ]
    bounded.commit(system.outside.documents, writes)
    assert system.outside.documents.get(["subaccounts/s/messages/x"])[0].exists


@pytest.mark.parametrize("moves", [False, True])
def test_m9_the_authenticated_mail_is_the_record_although_its_thread_is_full(
    system: System,
    moves: bool,
) -> None:
    first = system.arrives(ADA, ME, "first")
    system.settle()
    (root,) = system.conversation("ada")
    true = system.mail(ADA, ME, "second", "the true words", headers={"Cc": crowd(1)})
    true["In-Reply-To"] = first
    forged = system.mail(ADA, ME, "second", "the forged words")
    for name in ("Message-ID", "Date"):
        del forged[name]
        forged[name] = true[name]
    if not moves:
        forged["In-Reply-To"] = first
    system.world.deliver_from_outside(forged.as_bytes(), [ME], "fail")
    system.settle()
    fill(system, paths.thread(SubaccountId("s"), root.thread), {})
    system.world.deliver_from_outside(true.as_bytes(), [ME], "pass")
    system.settle()
    shown = [
        message for message in system.conversation("ada") if message.subject == "second"
    ]
    assert [(item.authenticity, item.thread) for item in shown] == [
        ("pass", root.thread)
    ]
    assert shown[0].envelope
    assert shown[0].envelope.text
    assert shown[0].envelope.text.strip() == "the true words"
    assert system.services.quarantine.items(CRM) == ()
    assert_all_fit(system)


def test_b3_mail_is_logged_although_its_address_holds_no_more() -> None:
    system = BccSystem()
    system.contact("c", ADA, assigned_to="colleague")
    fill(system, paths.address(SubaccountId("s"), ADA), {})
    system.outlook(subject="Logged")
    system.settle()
    assert [message.subject for message in system.conversation("c")] == ["Logged"]
    assert system.services.quarantine.items(CRM) == ()
    assert_all_fit(system)


def test_m3_a_send_ends_although_its_address_holds_no_more() -> None:
    system = SendingSystem()
    (message,) = system.post().ids
    fill(system, paths.address(SubaccountId("s"), CARLA), {})
    system.send_all()
    assert system.record(message).status == "sent"
    assert (system.under_way(), len(system.outside_mail())) == (0, 1)
    assert_all_fit(system)


def test_m9_a_record_lists_copies_up_to_a_cap() -> None:
    def copy(number: int) -> HeldBy:
        name: Any = f"u{number:0>120}"
        return HeldBy(name, f"m{number:0>31}", f"{'x' * 60}@{LONG}", name, name)  # type: ignore[arg-type]

    from shared.core.ids import MailboxId
    from tests.support.api import a_message
    from tests.support.crm import mail

    held = tuple(copy(number) for number in range(MAX_COPIES_LISTED - 1))
    record = a_message(held_by=held)
    more = (copy(9998), copy(9999))
    joined = recording.join(record, mail(ADA, at=record.sent_at), more)
    assert joined is not None
    assert len(joined.held_by) == MAX_COPIES_LISTED
    assert MailboxId(joined.held_by[-1].mailbox) == more[0].mailbox
    stored = {
        "held_by": {str(n): vars_of(item) for n, item in enumerate(joined.held_by)}
    }
    assert document_size("subaccounts/s/messages/m", stored) < MAX_DOCUMENT_BYTES


def vars_of(copy: HeldBy) -> dict[str, str]:
    return {name: str(getattr(copy, name)) for name in copy.__dataclass_fields__}
