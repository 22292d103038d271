"""M9: one record for one email, whichever of its copies comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MailboxId, MessageId
from shared.core.limits import MAX_INDEXED_ADDRESSES
from shared.core.mail import Address, Content, MessageHeaders
from shared.core.matching.places import Placement
from shared.core.matching.recording import (
    compose,
    held_by,
    join,
    message_id,
    record_id,
)
from shared.core.records import Attachment, Envelope, HeldBy, Message
from tests.support.api import a_message
from tests.support.crm import CONNECTED, ME, Crm, S, mail

ADA, BOB = "ada@client.example", "bob@client.example"
HERE, THERE = MailboxId("b"), MailboxId("b2")


def place(**fields: Any) -> Placement:
    base: dict[str, Any] = {
        "contact": "c",
        "thread": "t",
        "direction": "inbound",
        "rule": "M5",
        "holders": ("u",),
    }
    return Placement(S, **{**base, **fields})


def holds(user: str = "u", gmail_message: str = "g", mailbox: str = "b") -> HeldBy:
    return HeldBy(user, MailboxId(mailbox), ME, gmail_message, "gt")  # type: ignore[arg-type]


# --- which email it is -----------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (mail(ADA), True),
        (mail(ADA, [BOB], labels=["SPAM"], at=CONNECTED + 9), True),
        (mail(ADA, subject=" Hello\r\n"), True),
        (mail(ADA, message_id="<m2@x>"), False),
        (mail(BOB), False),
        (mail(None, sent=False), False),
        (mail(ADA, subject="Hello again"), False),
        (mail(ADA, subject="Hel lo"), False),
        (replace(mail(ADA), date=1), False),
    ],
)
def test_m9_message_id_from_date_and_subject_tell_emails_apart(
    other: MessageHeaders, same: bool
) -> None:
    assert (message_id(mail(ADA), HERE) == message_id(other, THERE)) is same


def test_m9_a_mail_without_message_id_is_known_by_its_place_in_the_mailbox() -> None:
    nameless = mail(ADA, message_id=None)
    elsewhere = replace(nameless, gmail_message_id="g2")
    again = replace(nameless, subject="Read again")
    assert message_id(nameless, HERE) == message_id(again, HERE)
    assert message_id(nameless, HERE) != message_id(nameless, THERE)
    assert message_id(nameless, HERE) != message_id(elsewhere, HERE)


def test_s1_a_copy_of_crm_mail_has_the_records_id() -> None:
    sent = place(message=MessageId("m1"))
    assert record_id(mail(ADA), HERE, sent) == "m1"
    for message in (mail(ADA), mail(ADA, message_id=None)):
        assert record_id(message, HERE, place()) == message_id(message, HERE)
        assert composed(message).id == message_id(message, HERE)


# --- the record ------------------------------------------------------------------


def test_m9_each_user_of_the_mailbox_holds_it() -> None:
    held = held_by(mail(ADA), Crm().mailbox(), place(holders=("u", "v")))
    assert held == (holds("u"), holds("v"))


def composed(headers: MessageHeaders, **fields: Any) -> Message:
    content = Content("Hi", "<p onclick>Hi</p>", snippet="Hi …")
    parts = (Attachment("1", "a.pdf", "application/pdf", 3, stored=True),)
    return compose(
        headers, Crm().mailbox(), place(**fields), content, parts, "<p>Hi</p>", 99
    )


def test_m5_a_record_says_what_the_message_is() -> None:
    message = replace(
        mail(ADA, [ME], [BOB], in_reply_to=["<p@x>", "<q@x>"]),
        automated=True,
        authenticity="pass",
    )
    assert composed(message, exclusive=True) == Message(
        id=message_id(message, HERE),
        subaccount=S,
        contact="c",
        thread="t",
        direction="inbound",
        route="gmail",
        status="received",
        rule="M5",
        sent_at=CONNECTED + 5,
        recorded_at=99,
        sender=Address(None, ADA),
        subject="Hello",
        snippet="Hi …",
        rfc822_message_id="<m@x>",
        in_reply_to="<p@x>",
        references=("<p@x>",),
        exclusive=True,
        automated=True,
        authenticity="pass",
        held_by=(holds(),),
        addresses=(ADA, ME, BOB),
        envelope=Envelope(
            to=(Address(None, ME),),
            cc=(Address(None, BOB),),
            text="Hi",
            html="<p>Hi</p>",
            html_original="<p onclick>Hi</p>",
            attachments=(Attachment("1", "a.pdf", "application/pdf", 3, stored=True),),
        ),
    )


def test_b2_a_logged_mail_says_who_sent_it_and_by_which_route() -> None:
    message = mail(ME, [ADA], bcc=[BOB], message_id=None)
    record = composed(
        message, direction="outbound", rule="B2", route="bcc", user="u", message="m1"
    )
    assert (record.id, record.status, record.user) == ("m1", "sent", "u")
    assert (record.rule, record.route) == ("B2", "bcc")
    assert (record.rfc822_message_id, record.in_reply_to) == (None, None)
    assert record.envelope is not None
    assert record.envelope.bcc == (Address(None, BOB),)


def test_b6_only_real_addresses_can_be_asked_for_and_not_too_many() -> None:
    hidden = replace(mail(ME), cc=(Address("BCC address", ""),), sender=None)
    assert composed(hidden).addresses == (ME,)
    assert composed(hidden).sender == Address(None, "")
    crowd = [f"p{n}@client.example" for n in range(MAX_INDEXED_ADDRESSES)]
    assert composed(mail(ADA, crowd)).addresses == (ADA, *crowd[:-1])


# --- what a second copy adds -----------------------------------------------------

RECORD = a_message(
    sent_at=1000,
    held_by=(holds(),),
    rfc822_message_id="<m@x>",
    addresses=(ADA,),
    envelope=Envelope(to=(Address(None, ME),)),
)
COPY = mail(ADA, at=1000)


def test_m9_the_same_copy_again_adds_nothing() -> None:
    assert join(RECORD, COPY, (holds(),)) is None


@pytest.mark.parametrize(
    "more", [holds("v"), holds("u", "g2"), holds("v", mailbox="b2")]
)
def test_m9_every_mailbox_that_holds_it_is_listed_once(more: HeldBy) -> None:
    joined = join(RECORD, COPY, (holds(), more))
    assert joined == replace(RECORD, held_by=(holds(), more))


@pytest.mark.parametrize(("at", "shown"), [(999, 999), (1001, 1000)])
def test_t4_the_earlier_date_counts(at: int, shown: int) -> None:
    joined = join(RECORD, mail(ADA, at=at), (holds("v"),))
    assert joined is not None
    assert joined.sent_at == shown


def test_m5_bcc_is_shown_where_a_copy_shows_it() -> None:
    joined = join(RECORD, mail(ADA, bcc=[BOB], at=1000), ())
    assert joined is not None
    assert joined.envelope == Envelope(
        to=(Address(None, ME),), bcc=(Address(None, BOB),)
    )
    assert joined.addresses == (ADA, BOB)
    assert join(joined, COPY, ()) is None
    assert join(joined, mail(ADA, bcc=[ME], at=1000), ()) == replace(
        joined, addresses=(ADA, BOB, ME)
    )


def test_m5_a_record_whose_envelope_was_not_read_keeps_it_so() -> None:
    light = replace(RECORD, envelope=None)
    joined = join(light, mail(ADA, bcc=[BOB], at=1000), ())
    assert joined == replace(light, addresses=(ADA, BOB))


def test_b6_a_hidden_bcc_address_is_no_address() -> None:
    hidden = replace(COPY, bcc=(Address("BCC address", ""),))
    joined = join(RECORD, hidden, ())
    assert joined is not None
    assert joined.addresses == (ADA,)


def test_the_addresses_that_can_be_asked_for_stay_bounded() -> None:
    full = replace(RECORD, addresses=tuple(map(str, range(MAX_INDEXED_ADDRESSES))))
    assert join(full, mail(ADA, bcc=[BOB], at=1000), (holds("v"),)) == replace(
        full,
        held_by=(holds(), holds("v")),
        envelope=Envelope(to=(Address(None, ME),), bcc=(Address(None, BOB),)),
    )


@pytest.mark.parametrize(
    ("direction", "before", "sent", "copys", "shown"),
    [
        ("inbound", "unknown", False, "pass", "pass"),
        ("inbound", "pass", False, "fail", "pass"),
        ("inbound", "fail", False, "pass", "pass"),
        ("inbound", "fail", False, "unknown", "fail"),
        ("outbound", "unknown", False, "pass", "unknown"),
        ("outbound", "pass", True, "unknown", "unknown"),
        ("inbound", "pass", True, "unknown", "pass"),
    ],
)
def test_m2_the_senders_own_copy_decides_then_the_first_verdict(
    direction: Any, before: Any, sent: bool, copys: Any, shown: str
) -> None:
    record = replace(RECORD, direction=direction, authenticity=before)
    proven = copys == "pass"
    copy = replace(
        mail(ADA, sent=sent, at=1000, authenticated=proven), authenticity=copys
    )
    joined = join(record, copy, (holds("v"),))
    assert joined is not None
    assert joined.authenticity == shown


@pytest.mark.parametrize("copys", ["<gmail@x>", None])
def test_s1_gmails_own_message_id_replaces_ours(copys: str | None) -> None:
    joined = join(RECORD, mail(ADA, message_id=copys, at=1000), (holds("v"),))
    assert joined is not None
    assert joined.rfc822_message_id == (copys or "<m@x>")


# --- S7: mail of the CRM ---------------------------------------------------------

QUEUED = replace(RECORD, route="crm", direction="outbound", status="queued")
LOST = {"code": "fate_unknown", "detail": "Nobody can tell."}


@pytest.mark.parametrize(("sent", "at"), [(True, 2000), (False, 1000)])
def test_t4_crm_mail_has_the_date_of_its_sent_copy(sent: bool, at: int) -> None:
    joined = join(QUEUED, mail(ADA, sent=sent, at=2000), (holds("v"),))
    assert joined is not None
    assert joined.sent_at == at


@pytest.mark.parametrize(
    ("route", "known", "shown"),
    [("crm", None, "<a@x>"), ("crm", "<k@x>", "<k@x>"), ("gmail", None, None)],
)
def test_s4_a_copy_tells_what_our_mail_answers_when_nobody_noted_it(
    route: Any, known: Any, shown: str | None
) -> None:
    copy = mail(ADA, sent=True, at=1000, in_reply_to=("<a@x>",))
    record = replace(QUEUED, route=route, in_reply_to=known)
    joined = join(record, copy, (holds("v"),))
    assert joined is not None
    assert joined.in_reply_to == shown


@pytest.mark.parametrize(
    ("reason", "sent", "status"),
    [
        (LOST, True, "sent"),
        (LOST, False, "failed"),
        ({"code": "rejected"}, True, "failed"),
        (None, True, "failed"),
    ],
)
def test_s7_a_sent_copy_settles_an_unknown_fate(
    reason: dict[str, str] | None, sent: bool, status: str
) -> None:
    record = replace(QUEUED, status="failed", reason=reason)
    joined = join(record, mail(ADA, sent=sent, at=1000), (holds("v"),))
    assert joined is not None
    assert joined.status == status
    assert joined.reason == (None if status == "sent" else reason)


# --- B4: which of two routes is shown --------------------------------------------

BY_BCC = place(rule="B2", route="bcc", user="v")
BY_GMAIL = place(rule="T2", route="gmail", user="v")


@pytest.mark.parametrize(
    ("direction", "route", "second", "shown"),
    [
        ("outbound", "gmail", BY_BCC, ("bcc", "B2", "v")),
        ("outbound", "bcc", BY_GMAIL, ("bcc", "M5", "u")),
        ("outbound", "gmail", BY_GMAIL, ("gmail", "M5", "u")),
        ("outbound", "bcc", BY_BCC, ("bcc", "M5", "u")),
        ("inbound", "bcc", BY_GMAIL, ("gmail", "T2", "v")),
        ("inbound", "gmail", BY_BCC, ("gmail", "M5", "u")),
        ("inbound", "bcc", replace(BY_GMAIL, user=None), ("gmail", "T2", "u")),
        ("outbound", "crm", BY_BCC, ("crm", "M5", "u")),
        ("inbound", "bcc", None, ("bcc", "M5", "u")),
    ],
)
def test_b4_our_own_mail_shows_the_bcc_route_and_an_answer_gmails(
    direction: Any, route: Any, second: Placement | None, shown: tuple[str, ...]
) -> None:
    record = replace(RECORD, direction=direction, route=route, user="u")
    joined = join(record, COPY, (holds("v"),), second)
    assert joined is not None
    assert (joined.route, joined.rule, joined.user) == shown
