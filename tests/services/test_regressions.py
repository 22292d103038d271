"""Bugs that were found, each as the shortest story that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import ContactId, MessageId, UserId
from shared.errors import Transient
from shared.gateways.gmail import GmailMailbox
from shared.repositories.facts import FactFinder
from shared.services.sending.completion import SendCompletion
from shared.services.sending.recipients import RequestedRecipient as Recipient
from shared.services.syncing.copies import CopyReconciler
from tests.support import bcc
from tests.support.bcc import BccSystem
from tests.support.crash import Crash
from tests.support.sending import BOB, CARLA, MIA, S, SendingSystem
from tests.support.system import System

ME = "rep@ours.example"
MATE = "mate@ours.example"
ADA = "ada@client.example"


def test_m9_a_crash_after_the_record_does_not_lose_a_colleagues_earlier_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: the record was there, so its copies were not looked for.

    The colleague's mailbox comes first and may not record the mail by itself (M3).
    """
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.user("v", MATE)
    system.contact("ada", ADA, assigned_to="u")
    system.connect("u", ME)
    system.connect("v", MATE)
    system.settle()
    system.arrives(ADA, f"{ME}, {MATE}")
    mine, colleagues = sorted(
        system.pushes, key=lambda push: MATE.encode() in push.event.data
    )
    system.pushes.clear()
    assert system.deliver(colleagues)

    def dies(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as dead:
        dead.setattr(CopyReconciler, "join_earlier", dies)
        with pytest.raises(Crash):
            system.deliver(mine)
    system.restart()
    system.clock.advance(seconds=10)
    system.pushes.append(mine)
    system.settle()
    (message,) = system.conversation("ada")
    assert {copy.address for copy in message.held_by} == {ME, MATE}


def _two_subaccounts() -> SendingSystem:
    """Mia in `s` and `s2`, each with Carla as a contact."""
    system = SendingSystem()
    system.subaccount("s2", logging="all_contacts")
    system.contact("c2", CARLA, s="s2")
    return system


def test_t3_mail_of_another_subaccounts_crm_is_nothing_to_a_colleague_in_copy() -> None:
    """Found by the simulation: a copy in the mailbox of somebody else's subaccount.

    Bob belongs to `s2` only, where the mail's record cannot be looked up.
    """
    system = _two_subaccounts()
    system.user("bob", BOB, s="s2")
    system.user("u", MIA, s="s2")
    system.connect("bob", BOB)
    system.post(cc=(Recipient("/cc/0", address=BOB),))
    system.settle()
    assert len(system.conversation("c")) == 1
    assert system.conversation("c2", s="s2") == []


def test_t3_an_erased_mail_of_the_crm_does_not_come_back_elsewhere() -> None:
    """Its Sent copy is read after the contact was erased in its own subaccount."""
    system = _two_subaccounts()
    system.user("u", MIA, s="s2")
    system.post()
    system.send_all()
    system.services.directory.delete_contact(S, ContactId("c"))
    system.settle()
    assert system.conversation("c2", s="s2") == []


def test_t3_an_answer_to_a_forward_of_crm_mail_stays_in_its_subaccount() -> None:
    """Found by the simulation: a forward left its thread (M10), and T3 with it."""
    system = _two_subaccounts()
    system.user("u", MIA, s="s2")
    system.contact("ada", ADA)
    system.contact("ada2", ADA, s="s2")
    (sent,) = system.post().ids
    system.settle()
    parent = system.record(sent).rfc822_message_id
    forward = system.sends(MIA, ADA, "Fwd: Offer", reply_to=parent)
    system.arrives(ADA, MIA, "Re: Offer", reply_to=f"<{forward.rfc822_id}>")
    system.settle()
    assert len(system.conversation("ada")) == 2
    assert system.conversation("ada2", s="s2") == []


def test_m12_what_is_listed_while_a_run_begins_counts_for_mail_that_comes_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: settings were read before the history was."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    real = GmailMailbox.history

    def history(self: Any, *where: Any) -> Any:
        monkeypatch.undo()
        system.subaccount(never_log=(ADA,))
        system.arrives(ADA, ME, "private")
        return real(self, *where)

    monkeypatch.setattr(GmailMailbox, "history", history)
    system.arrives("stranger@nowhere.example", ME)
    system.settle()
    assert system.conversation("ada") == []


def test_w3_a_resync_finds_what_came_while_its_holder_was_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: the end of a run counted as the time of its reading."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    system.arrives(ADA, ME, "first")
    real = GmailMailbox.history

    def history(self: Any, *where: Any) -> Any:
        page = real(self, *where)
        monkeypatch.undo()
        system.arrives(ADA, ME, "second")
        system.clock.advance(days=8)
        system.world.expire_history(ME)
        return page

    monkeypatch.setattr(GmailMailbox, "history", history)
    system.settle()
    system.sweep(0)
    subjects = [message.subject for message in system.conversation("ada")]
    assert subjects == ["first", "second"]


def test_t2_an_answer_in_the_batch_of_the_mail_that_made_the_contact_joins_it() -> None:
    """Found by the simulation: the contact was remembered as missing (B2).

    The second of two new people answers, whose own conversation it is not.
    """
    system = BccSystem()
    sent = system.sends(bcc.ME, f"{bcc.ADA}, {bcc.BOB}", headers={"Bcc": system.drop()})
    system.arrives(bcc.BOB, bcc.ME, reply_to=f"<{sent.rfc822_id}>")
    mine = next(push for push in system.pushes if bcc.ME.encode() in push.event.data)
    assert system.deliver(mine)
    system.settle()
    assert len(system.said(bcc.ADA)) == 2


def test_t2_an_answer_joins_a_mail_that_a_colleagues_mailbox_recorded_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: the batch's facts were older than the record.

    The answer is by somebody who is no contact, so only its thread brings it in.
    """
    system = System()
    system.subaccount(logging="all_contacts")
    system.user("u", ME)
    system.user("v", MATE)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.connect("v", MATE)
    system.settle()
    first = system.arrives(ADA, f"{ME}, {MATE}", headers={"Cc": "bob@client.example"})
    system.arrives("bob@client.example", MATE, reply_to=first)
    mine, *colleagues = sorted(
        system.pushes, key=lambda push: MATE.encode() in push.event.data
    )
    system.pushes.clear()
    real = FactFinder.prefetch

    def prefetch(self: Any, askings: Any) -> Any:
        found = real(self, askings)
        monkeypatch.undo()
        assert system.deliver(mine)
        return found

    monkeypatch.setattr(FactFinder, "prefetch", prefetch)
    assert system.deliver(colleagues[0])
    system.settle()
    assert len(system.conversation("ada")) == 2


def _sent_unheard(system: SendingSystem, **fields: Any) -> MessageId:
    """A mail that Gmail has sent, without an answer and without being found again."""
    faults = system.world.faults
    faults.add("drop_after", method="gmail.users.drafts.send", count=1)
    (message,) = system.post(**fields).ids
    push = system.outgoing.popleft()
    for method in ("threads.get", "messages.list"):
        faults.add("status", method=f"gmail.users.{method}", status=503)
    system.clock.advance(minutes=3)
    assert not system.push_out(push)
    system.outgoing.append(push)
    return message


def test_s7_a_mail_whose_sent_copy_was_synced_is_no_mail_of_unknown_fate() -> None:
    """Found by the simulation: the record listed the copy, and said `fate_unknown`.

    Gmail cannot be asked any more: the user leaves before the worker comes again.
    """
    system = SendingSystem()
    asked = system.arrives(CARLA, MIA)
    system.settle()
    system.forget_events()
    message = _sent_unheard(system, answers=system.conversation("c")[0].id)
    System.settle(system)
    assert len(system.record(message).held_by) == 1
    system.services.connections.disconnect(UserId("u"))
    system.send_all(pause=600)
    record = system.record(message)
    assert (record.status, record.reason, record.in_reply_to) == ("sent", None, asked)
    assert [kind for kind, _ in system.new_events()] == [
        "connection.disconnected",
        "message.sent",
    ]
    assert (system.under_way(), len(system.world.outside)) == (0, 1)


def test_s7_a_sent_copy_that_is_synced_while_its_fate_is_given_up_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker has looked for the last time, and the sync comes before it says so."""
    system = SendingSystem()
    message = _sent_unheard(system)
    real = SendCompletion.failed

    def failed(self: Any, *what: Any) -> None:
        System.settle(system)
        real(self, *what)

    monkeypatch.setattr(SendCompletion, "failed", failed)
    system.send_all(pause=600)
    assert system.record(message).status == "sent"
    assert [kind for kind, _ in system.new_events()] == ["message.sent"]


def test_t4_a_conversation_shows_when_a_mail_went_out_that_was_queued_long_before() -> (
    None
):
    """Found by the simulation: the record followed its Sent copy, the figure did not.

    So the conversation stood below others that were older.
    """
    system = SendingSystem()
    message = _sent_unheard(system)
    system.send_all(pause=600)
    assert system.record(message).reason["code"] == "fate_unknown"
    System.settle(system)
    shown = system.services.directory.contact(S, ContactId("c"))
    assert system.record(message).status == "sent"
    assert shown.last_message_at == system.record(message).sent_at


def test_s7_who_was_overtaken_does_not_give_up_anothers_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: patience was over, and the mail in other hands."""
    system = SendingSystem()
    (message,) = system.post().ids
    first = system.outgoing.popleft()
    second = replace(first, delivery="another")
    real, calls = GmailMailbox.create_draft, []

    def create_draft(self: Any, *what: Any) -> Any:
        calls.append(what)
        if len(calls) == 1:
            system.clock.advance(hours=2)
            with pytest.raises(Crash):
                system.push_out(second)
            raise Transient
        real(self, *what)
        raise Crash

    monkeypatch.setattr(GmailMailbox, "create_draft", create_draft)
    assert not system.push_out(first)
    monkeypatch.undo()
    assert system.record(message).status == "queued"
    system.outgoing.extend((first, second))
    system.send_all()
    assert system.record(message).status == "sent"
    assert len(system.outside_mail()) == 1
