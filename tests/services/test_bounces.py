"""S12: what comes back is seen on the message, once, and is nobody's mail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.matching.bcc import TOKEN_CHARS
from shared.ports import DeleteField, Update
from tests.services.test_jobs import audit
from tests.support.bounces import comes_back, postfix
from tests.support.sending import CARLA, MIA, SendingSystem
from tests.support.system import System

ME, MATE = "rep@ours.example", "mate@ours.example"
ADA, BOB = "ada@client.example", "bob@client.example"


def entries(system: System, c: str = "ada", s: str = "s") -> list[Any]:
    return [
        (b.address, b.code, b.permanent)
        for record in system.conversation(c, s=s)
        for b in record.bounces
    ]


def told(system: System) -> list[tuple[str, str, str]]:
    return [
        (e["data"]["subaccount"], e["data"]["contact"], e["data"]["address"])
        for e in system.events()
        if e["type"] == "message.bounced"
    ]


def written(system: System, to: str = ADA, sender: str = ME, **more: Any) -> str:
    sent = system.sends(sender, to, "Offer", **more)
    system.settle()
    return f"<{sent.rfc822_id}>"


def test_s12_gmails_own_bounce_is_seen_on_the_message(system: System) -> None:
    sent = system.sends(ME, ADA, "Offer")
    system.settle()
    me = system.world.account(ME)
    system.world.bounce(me, sent.raw, [ADA])
    system.settle()
    (record,) = system.conversation("ada")
    (bounce,) = record.bounces
    assert (bounce.address, bounce.code, bounce.permanent) == (ADA, "5.1.1", True)
    assert bounce.detail is not None
    assert bounce.detail.startswith("550-5.1.1 The email account that you tried")
    assert record.status == "sent"
    assert told(system) == [("s", "ada", ADA)]


def test_s12_a_mail_and_its_bounce_in_one_notification(system: System) -> None:
    system.world.settings.unknown_addresses_bounce = True
    system.contact("gone", "gone@ours.example")
    system.sends(ME, "gone@ours.example", "Offer")
    system.pushes_merged()
    system.settle()
    assert entries(system, "gone") == [("gone@ours.example", "5.1.1", True)]


def test_s12_a_foreign_report_names_the_message_inside(system: System) -> None:
    notice_id = "<notice@mx.example>"
    comes_back(system, postfix(written(system), ADA, notice_id=notice_id))
    system.settle()
    assert entries(system) == [(ADA, "5.1.1", True)]
    (decision,) = system.decisions(message_id=notice_id)
    assert (decision.outcome, decision.rule) == ("recorded", "S12")
    (place,) = decision.subaccounts
    (record,) = system.conversation("ada")
    assert (place.contact, place.message) == ("ada", record.id)


def test_s12_a_delay_and_then_the_end(system: System) -> None:
    message = written(system)
    for day in range(3):
        late = postfix(
            message, ADA, action="delayed", status="4.4.1", notice_id=f"<late{day}@mx>"
        )
        comes_back(system, late)
    comes_back(system, postfix(message, ADA))
    system.settle()
    assert entries(system) == [(ADA, "4.4.1", False), (ADA, "5.1.1", True)]
    assert told(system) == [("s", "ada", ADA)] * 2


def test_s12_several_recipients_each_have_an_entry(system: System) -> None:
    message = written(system, f"{ADA}, {BOB}")
    comes_back(system, postfix(message, ADA, BOB, "eve@stranger.example"))
    system.settle()
    assert entries(system) == [(ADA, "5.1.1", True), (BOB, "5.1.1", True)]
    assert told(system) == [("s", "ada", ADA), ("s", "ada", BOB)]


def test_s12_is_no_mail_of_a_contact_even_where_the_daemon_is_one(
    system: System,
) -> None:
    system.contact("daemon", "mailer-daemon@mx.client.example")
    comes_back(system, postfix("<nobodys@ours.example>", ADA))
    message = written(system)
    comes_back(system, postfix(message, ADA, headers=[("In-Reply-To", message)]))
    system.settle()
    assert system.conversation("daemon") == []
    assert len(system.conversation("ada")) == 1
    assert entries(system) == [(ADA, "5.1.1", True)]


@pytest.mark.parametrize(
    ("names", "failed", "sender", "auth"),
    [
        ("<guessed@ours.example>", ADA, None, "pass"),
        (None, "eve@stranger.example", None, "pass"),
        (None, ADA, "mailer-daemon@googlemail.com", "fail"),
        (None, ADA, "postmaster@ours.example", "fail"),
    ],
)
def test_s12_a_bounce_that_is_not_to_be_believed_is_ignored(
    names: str | None, failed: str, sender: str | None, auth: str
) -> None:
    system = System()
    system.subaccount(internal_domains=("ours.example",))
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    message = written(system)
    more = {} if sender is None else {"sender": sender}
    notice = postfix(names or message, failed, notice_id="<dsn@mx.example>", **more)
    comes_back(system, notice, auth=auth)
    system.settle()
    assert entries(system) == []
    assert told(system) == []
    (decision,) = system.decisions(message_id="<dsn@mx.example>")
    assert (decision.outcome, decision.rule) == ("ignored", "S12")


def test_s12_a_forger_who_knows_the_id_adds_an_entry_and_no_more(
    system: System,
) -> None:
    """Few servers sign a bounce, so what they know is what they are believed for."""
    message = written(system)
    for number in range(5):
        notice = postfix(message, ADA, words="x" * 9000, notice_id=f"<f{number}@x>")
        comes_back(system, notice, auth="fail")
    system.settle()
    (record,) = system.conversation("ada")
    assert record.status == "sent"
    (bounce,) = record.bounces
    assert len(bounce.detail or "") <= 500
    assert len(told(system)) == 1
    # The relation stays: the next mail of the contact is recorded as ever (M3).
    system.arrives(ADA, ME, "I did get it")
    system.settle()
    assert len(system.conversation("ada")) == 2


def test_s12_another_mailbox_has_no_say(system: System) -> None:
    """A colleague's mailbox gets what claims to be about a mail it never sent."""
    system.user("v", MATE)
    system.connect("v", MATE)
    message = written(system)
    comes_back(system, postfix(message, ADA, to=MATE), to=MATE)
    system.settle()
    assert entries(system) == []


def test_s12_the_same_bounce_in_two_mailboxes_is_one_entry(system: System) -> None:
    system.user("v", MATE)
    system.connect("v", MATE)
    message = written(system, f"{ADA}, {MATE}")
    for mailbox in (ME, MATE):
        comes_back(system, postfix(message, ADA, notice_id="<dsn@mx>"), to=mailbox)
    system.settle()
    assert entries(system) == [(ADA, "5.1.1", True)]
    assert told(system) == [("s", "ada", ADA)]


def test_s12_every_subaccount_that_has_the_message_shows_it(system: System) -> None:
    system.subaccount("s2", logging="all_contacts")
    system.user("u", ME, s="s2")
    system.contact("ada2", ADA, s="s2")
    comes_back(system, postfix(written(system), ADA))
    system.settle()
    assert entries(system) == [(ADA, "5.1.1", True)]
    assert entries(system, "ada2", "s2") == [(ADA, "5.1.1", True)]
    assert sorted(told(system)) == [("s", "ada", ADA), ("s2", "ada2", ADA)]


def test_s12_a_bounce_in_spam_is_not_considered(system: System) -> None:
    written(system)
    units = system.world.calls.units()
    raw = system.mail("MAILER-DAEMON@mx.example", ME, "Undelivered mail").as_bytes()
    system.world.deliver_from_outside(raw, [ME], "none", sender="", spam=True)
    system.settle()
    assert system.world.calls.units() - units == 22
    assert entries(system) == []


def test_s12_a_vacation_reply_is_the_contacts_mail(system: System) -> None:
    """It has an empty Return-Path too, and quotes the address it cannot read."""
    message = written(system)
    reply = system.mail(ADA, ME, "Automatic reply: Offer", "I am away until May.")
    reply["In-Reply-To"], reply["Auto-Submitted"] = message, "auto-replied"
    system.world.deliver_from_outside(reply.as_bytes(), [ME], "pass", sender="")
    system.settle()
    assert [m.direction for m in system.conversation("ada")] == ["outbound", "inbound"]
    assert entries(system) == []


def test_s12_a_contact_who_is_a_postmaster_can_write(system: System) -> None:
    system.contact("pam", "postmaster@client.example")
    system.arrives("postmaster@client.example", ME, "Our new server", text="Moved.")
    system.settle()
    assert len(system.conversation("pam")) == 1


def test_s12_replay_resync_and_audit_agree(system: System) -> None:
    message = written(system)
    comes_back(system, postfix(message, ADA))
    system.settle()
    before = system.state()
    system.world.expire_history(ME)
    system.arrives("eve@stranger.example", ME, "Later")
    system.settle()
    after = system.state()
    path = next(p for p in before if "/messages/" in p)
    assert after[path] == before[path]
    assert told(system) == [("s", "ada", ADA)]


@pytest.mark.parametrize("kind", ["individual", "workflow"])
@pytest.mark.parametrize("rewritten", [True, False])
def test_s12_mail_of_the_crm_comes_back(kind: Any, rewritten: bool) -> None:
    """By Gmail, and by a provider whose bounce reaches the user's mailbox.

    A provider that writes a Message-ID of its own leaves our header.
    """
    system = SendingSystem()
    sent = system.post(kind=kind).ids[0]
    system.settle()
    record = system.record(sent)
    message_id = "<0100-ses@amazonses.example>" if rewritten else ""
    notice = postfix(
        message_id or str(record.rfc822_message_id),
        CARLA,
        to=MIA,
        mark=f"s/{record.id}" if rewritten else None,
    )
    comes_back(system, notice, to=MIA)
    system.settle()
    record = system.record(sent)
    assert [(b.address, b.code) for b in record.bounces] == [(CARLA, "5.1.1")]
    assert record.status == "sent"
    (event,) = [e for e in system.events() if e["type"] == "message.bounced"]
    assert event["data"] == {
        "subaccount": "s",
        "contact": "c",
        "message": record.id,
        "user": "u",
        "address": CARLA,
    }


def test_s12_an_audit_finds_and_repairs_what_a_message_lacks(system: System) -> None:
    system.clock.advance(hours=1)
    comes_back(system, postfix(written(system), ADA))
    system.settle()
    assert audit(system)["differences"] == []
    (record,) = system.conversation("ada")
    path = f"subaccounts/s/messages/{record.id}"
    system.outside.documents.commit([Update(path, {"bounces": DeleteField()})])
    (lacking,) = audit(system)["differences"]
    assert (lacking["outcome"], lacking["rule"]) == ("recorded", "S12")
    audit(system, repair=True)
    assert entries(system) == [(ADA, "5.1.1", True)]
    assert audit(system)["differences"] == []


def test_s12_a_server_that_quotes_a_bcc_address_keeps_it_secret() -> None:
    system = System(bcc_address_format="log+{token}@mail.ours.example")
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    secret = f"log+{'a' * TOKEN_CHARS}@mail.ours.example"
    for cut in (0, 440, 455):
        words = f"550 5.1.1 rejected{'.' * cut} also {secret}"
        comes_back(system, postfix(written(system), ADA, words=words))
    system.settle()
    bounces = [b for record in system.conversation("ada") for b in record.bounces]
    assert len(bounces) == 3
    assert "a" * 8 not in str(bounces)
