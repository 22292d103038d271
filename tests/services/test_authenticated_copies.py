"""M9: of two emails that claim to be one, the authenticated one is the record."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import SubaccountId, UserId
from tests.support.system import System

ME, MATE = "rep@ours.example", "mate@ours.example"
ADA, BOB, EVE = "ada@client.example", "bob@client.example", "eve@stranger.example"
CRM = Caller("crm", frozenset({SubaccountId("s")}))


def team(**settings: Any) -> System:
    system = System()
    system.subaccount(logging="all_contacts")
    system.user("u", ME)
    system.user("v", MATE)
    system.contact("ada", ADA)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.connect("v", MATE)
    system.settle()
    return system


def bill(system: System, to: str = ME, **more: Any) -> EmailMessage:
    return system.mail(ADA, to, "Our bank account", "Pay to REAL-111", **more)


def twisted(mail: EmailMessage, to: str = MATE, **headers: str) -> EmailMessage:
    """A copy under the same Message-ID, From, Date and Subject with other words."""
    copy = EmailMessage()
    for name in ("From", "Subject", "Date", "Message-ID"):
        copy[name] = mail[name]
    copy["To"] = to
    for name, value in headers.items():
        copy[name.replace("_", "-")] = value
    copy.set_content("Pay to FORGED-999")
    return copy


def deliver(
    system: System,
    mail: EmailMessage,
    to: str,
    auth: str = "pass",
    *,
    settle: bool = True,
) -> None:
    system.world.deliver_from_outside(mail.as_bytes(), [to], auth)
    if settle:
        system.settle()


def shown(system: System, contact: str = "ada") -> list[tuple[str, str, list[str]]]:
    return sorted(
        (
            (message.envelope.text or "").strip() if message.envelope else "",
            message.authenticity,
            sorted(held.address for held in message.held_by),
        )
        for message in system.conversation(contact)
    )


def audit(system: System, user: str, *, repair: bool = False) -> dict[str, Any]:
    end = int(system.clock.now().timestamp() * 1000) + 10_000
    job = system.services.jobs.audit(CRM, UserId(user), 0, end, repair=repair)
    system.settle()
    result: dict[str, Any] = system.services.jobs.view(CRM, job.id)[1]
    return result


TRUE = [("Pay to REAL-111", "pass", [ME])]


@pytest.mark.parametrize("to", [MATE, ME])
@pytest.mark.parametrize("auth", ["fail", "none"])
@pytest.mark.parametrize("forged_first", [True, False])
def test_m9_the_authenticated_mail_is_the_record_in_either_order(
    to: str, auth: str, *, forged_first: bool
) -> None:
    system = team()
    true = bill(system)
    forged = twisted(true, to)
    if forged_first:
        deliver(system, forged, MATE, auth)
    deliver(system, true, ME)
    if not forged_first:
        deliver(system, forged, MATE, auth)
    assert shown(system) == TRUE
    told = system.decisions(message_id=str(true["Message-ID"]))
    assert sorted((item.outcome, item.rule, item.mailbox) for item in told) == [
        ("ignored", "M9", MATE),
        ("recorded", "M5", ME),
    ]
    events = [event["type"] for event in system.events()].count("message.recorded")
    assert events == 1 + forged_first
    of_forged = audit(system, "v")
    assert [(d["outcome"], d["rule"]) for d in of_forged["differences"]] == [
        ("ignored", "M9")
    ]
    of_true = audit(system, "u")
    assert of_true["recorded"] == 1
    assert [
        (d["outcome"], d["rule"], d["repaired"]) for d in of_true["differences"]
    ] == [("recorded", "M9", True)] * forged_first
    # Repair, resync and replays change nothing.
    audit(system, "v", repair=True)
    audit(system, "u", repair=True)
    system.world.expire_history(ME)
    system.world.expire_history(MATE)
    system.sweep(0)
    assert shown(system) == TRUE
    assert events == [e["type"] for e in system.events()].count("message.recorded")


def test_m9_attachments_are_replaced_and_none_is_left() -> None:
    system = team()
    true = bill(system)
    true.add_attachment(b"REAL", maintype="a", subtype="b", filename="bill.bin")
    forged = twisted(true)
    for name in ("bill.bin", "more.bin"):
        forged.add_attachment(b"FAKE", maintype="a", subtype="b", filename=name)
    forged.add_attachment(b"x" * 300_000, maintype="text", subtype="plain")
    deliver(system, forged, MATE, "fail")
    deliver(system, true, ME)
    assert shown(system) == TRUE
    blobs = system.outside.blobs._blobs
    (name,) = blobs
    assert name.endswith("attachments/0")
    assert b"REAL" in str(blobs[name]).encode()


def test_m9_a_big_forgery_leaves_no_body() -> None:
    system = team()
    true = bill(system)
    forged = twisted(true)
    forged.set_content("FORGED " * 60_000)
    deliver(system, forged, MATE, "fail")
    assert system.outside.blobs._blobs
    deliver(system, true, ME)
    assert shown(system) == TRUE
    assert not system.outside.blobs._blobs


def test_m9_a_forgery_in_a_foreign_thread_leaves_it_with_all_it_brought() -> None:
    """The forged headers had put it into somebody else's conversation."""
    system = team()
    asked = system.arrives(BOB, ME, "Offer")
    system.settle()
    true = bill(system)
    forged = twisted(true, MATE, In_Reply_To=asked, Cc=EVE)
    deliver(system, forged, MATE, "fail")
    assert len(system.conversation("bob")) == 2
    deliver(system, true, ME)
    assert shown(system) == TRUE
    assert [message.subject for message in system.conversation("bob")] == ["Offer"]
    figures = {
        c: system.outside.documents.get([f"subaccounts/s/contacts/{c}"])[0].data[
            "messages"
        ]
        for c in ("ada", "bob")
    }
    assert figures == {"ada": 1, "bob": 1}
    # Whom it had in copy has no part in the thread.
    system.arrives(EVE, ME, "Re: Offer", reply_to=asked)
    system.settle()
    assert len(system.conversation("bob")) == 1
    # An answer to the true mail goes where that is.
    system.arrives(BOB, ME, "Re: bank", reply_to=str(true["Message-ID"]))
    system.settle()
    assert len(system.conversation("ada")) == 2


def test_m9_an_unauthenticated_copy_with_the_same_words_is_no_forgery() -> None:
    system = team()
    mail = bill(system)
    deliver(system, mail, MATE, "none")
    deliver(system, mail, ME)
    assert shown(system) == [("Pay to REAL-111", "pass", [MATE, ME])]
    assert audit(system, "u")["differences"] == []
    assert audit(system, "v")["differences"] == []


@pytest.mark.parametrize("auth", ["pass", "fail"])
@pytest.mark.parametrize("to", ["everybody@client.example", None])
def test_m9_personalised_mails_with_one_message_id_are_different_emails(
    auth: str, to: str | None
) -> None:
    system = team()
    mine = bill(system, to or ME)
    deliver(system, mine, ME, auth)
    deliver(system, twisted(mine, to or MATE), MATE, auth)
    deliver(system, mine, ME, auth)  # the same one again
    assert [(text, held) for text, _, held in shown(system)] == [
        ("Pay to FORGED-999", [MATE]),
        ("Pay to REAL-111", [ME, ME]),
    ]
    for user in ("u", "v"):
        assert audit(system, user)["differences"] == []
    before = system.state()
    system.world.expire_history(MATE)
    system.sweep(0)
    audit(system, "v", repair=True)
    assert len(system.conversation("ada")) == 2
    assert {k: v for k, v in system.state().items() if "/messages/" in k} == {
        k: v for k, v in before.items() if "/messages/" in k
    }


def test_m9_mail_merge_of_the_user_keeps_every_mail() -> None:
    system = team()
    first = system.mail(ME, ADA, "Offer", "Dear Ada")
    second = system.mail(ME, BOB, "Offer", "Dear Bob")
    for name in ("Message-ID", "Date"):
        del second[name]
        second[name] = first[name]
    for mail in (first, second):
        system.world.send_from_gmail(ME, mail.as_bytes())
    system.settle()
    assert [text for text, _, _ in shown(system, "ada")] == ["Dear Ada"]
    assert [text for text, _, _ in shown(system, "bob")] == ["Dear Bob"]


def test_m9_a_banner_and_new_links_make_no_second_email() -> None:
    """Gateways of the receiver's write them, into each copy anew."""
    system = team()
    plain = system.mail(ADA, "team@client.example", "News", "See https://a.example now")
    marked = twisted(plain, "team@client.example")
    marked.set_content("[External]\n\nSee https://safe.example/?u=9 now")
    deliver(system, plain, ME)
    deliver(system, marked, MATE)
    assert [held for _, _, held in shown(system)] == [[MATE, ME]]


def test_m9_a_colleagues_copy_costs_no_more_than_its_headers() -> None:
    """Both are named in To or Cc: what is authenticated says the same to both."""
    system = team()
    mail = bill(system, f"{ME}, {MATE}")
    deliver(system, mail, ME)
    deliver(system, mail, MATE, settle=False)
    system.pushes_merged()
    assert system.units(system.settle) == 22
    assert shown(system) == [("Pay to REAL-111", "pass", [MATE, ME])]


@pytest.mark.parametrize("true_first", [True, False])
def test_m9_two_mailboxes_at_once(
    monkeypatch: pytest.MonkeyPatch, *, true_first: bool
) -> None:
    """Both have seen that there is no record before either makes it."""
    from shared.services.syncing.record_writer import RecordWriter

    system = team()
    true = bill(system)
    deliver(system, true, ME, settle=False)
    deliver(system, twisted(true), MATE, "fail", settle=False)
    mine = [p for p in system.pushes if ME.encode() in p.event.data]
    mates = [p for p in system.pushes if MATE.encode() in p.event.data]
    system.pushes.clear()
    first, second = (mates, mine) if true_first else (mine, mates)
    write = RecordWriter.commit_batch
    rivals = [second[0]]

    def overtaken(self: Any, *some: Any) -> None:
        if rivals:
            assert system.deliver(rivals.pop())
        write(self, *some)

    monkeypatch.setattr(RecordWriter, "commit_batch", overtaken)
    assert system.deliver(first[0])
    system.settle()
    assert shown(system) == TRUE


@pytest.mark.parametrize("colleague_first", [True, False])
@pytest.mark.parametrize(
    ("alike", "auth"), [(True, "pass"), (False, "pass"), (True, "fail")]
)
def test_m9_a_copy_that_m3_forbids_joins_only_the_email_it_is(
    auth: str, *, alike: bool, colleague_first: bool
) -> None:
    """Its body is never read (M14); what its headers tell must be alike."""
    system = team()
    system.subaccount()
    both = f"{ME}, {MATE}"
    true = bill(system, both)
    copy = true if alike else twisted(true, MATE)
    mine, colleagues = (true, ME, "pass"), (copy, MATE, auth)
    for item in (colleagues, mine) if colleague_first else (mine, colleagues):
        deliver(system, *item)
    joins = alike and auth == "pass"
    assert shown(system) == [("Pay to REAL-111", "pass", [MATE, ME] if joins else [ME])]
