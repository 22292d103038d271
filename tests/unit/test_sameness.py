"""M9: which copies are one email, and whose words are believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MailboxId, MessageId
from shared.core.mail import Address, AttachmentPart, Content, MessageHeaders
from shared.core.matching.places import Decision, Placement
from shared.core.matching.sameness import (
    apart_ids,
    fits,
    likeness,
    said_by,
    said_in,
    standing,
    without_unproven,
)
from shared.core.records import Attachment, Envelope, HeldBy, Message
from tests.support.api import a_message
from tests.support.crm import ME, Crm, S, mail

MATE, EVE = "mate@ours.example", "eve@stranger.example"
MAILBOX = Crm().mailbox()
THERE = HeldBy("v", MailboxId("b2"), MATE, "g2", "gt2")  # type: ignore[arg-type]
HERE = HeldBy("u", MAILBOX.id, ME, "g", "gt")  # type: ignore[arg-type]
BOTH = [ME, MATE]
WORDS = "Pay to IBAN 111"
FILE = Attachment("0", "a.pdf", "application/pdf", 9, stored=True)
PART = AttachmentPart("0", "a.pdf", "application/pdf", 9)


def people(some: list[str]) -> tuple[Address, ...]:
    return tuple(Address(None, item) for item in some)


def record(
    *,
    proven: bool = True,
    to: list[str] | None = None,
    text: str = WORDS,
    files: tuple[Attachment, ...] = (),
    bcc: tuple[Address, ...] = (),
    **fields: Any,
) -> Message:
    return a_message(
        "m",
        S,
        authenticity="pass" if proven else "fail",
        envelope=Envelope(
            to=people(BOTH if to is None else to),
            bcc=bcc,
            text=text,
            attachments=files,
        ),
        **{"held_by": (THERE,), **fields},
    )


def copy(*, proven: bool = True, to: list[str] | None = None) -> MessageHeaders:
    return mail(to=BOTH if to is None else to, authenticated=proven)


SAME = Content(WORDS, None)
OTHER = Content("Pay to IBAN 999", None)
LONGER = Content(f"[EXTERNAL] {WORDS} https://a.example/1", None)
HIDDEN = ["team@client.example"]


@pytest.mark.parametrize(
    ("known", "seen", "content", "becomes"),
    [
        # Mail of the CRM, and a copy that is listed already.
        (record(route="crm", to=[EVE]), copy(), None, "joins"),
        (record(held_by=(HERE,), to=[EVE]), copy(), None, "joins"),
        (record(held_by=(HERE,), proven=False), copy(proven=False), None, "joins"),
        (record(held_by=(HERE,), proven=False), copy(), None, "compare"),
        # Two that are proven: the recipients tell, or the words where those are hidden.
        (record(), copy(), None, "joins"),
        (record(to=[MATE]), copy(to=[ME]), None, "apart"),
        (record(to=[MATE]), copy(to=[ME]), SAME, "apart"),
        (record(to=HIDDEN), copy(to=HIDDEN), None, "compare"),
        (record(to=[ME]), copy(to=[ME]), None, "compare"),
        (record(to=[MATE]), copy(to=[MATE]), None, "compare"),
        (record(to=HIDDEN), copy(to=HIDDEN), SAME, "joins"),
        (record(to=HIDDEN), copy(to=HIDDEN), LONGER, "joins"),
        (record(to=HIDDEN), copy(to=HIDDEN), OTHER, "apart"),
        (record(to=HIDDEN, text=LONGER.text or ""), copy(to=HIDDEN), SAME, "joins"),
        (record(to=HIDDEN, files=(FILE,)), copy(to=HIDDEN), SAME, "apart"),
        (
            record(to=HIDDEN, files=(FILE,)),
            copy(to=HIDDEN),
            replace(SAME, attachments=(PART,)),
            "joins",
        ),
        # Our own mail is proven, and its recipients tell.
        (record(proven=False, direction="outbound"), copy(), None, "joins"),
        (record(to=HIDDEN, direction="outbound"), copy(to=HIDDEN), None, "joins"),
        (record(to=[MATE], direction="outbound"), copy(to=[ME]), None, "apart"),
        # A forgery that came later.
        (record(), copy(proven=False), None, "compare"),
        (record(), copy(proven=False), SAME, "joins"),
        (record(), copy(proven=False), OTHER, "refused"),
        (record(), copy(proven=False), LONGER, "refused"),
        (record(to=[MATE]), copy(proven=False, to=[ME]), None, "refused"),
        # A forgery that came first.
        (record(proven=False), copy(), None, "compare"),
        (record(proven=False), copy(), SAME, "joins"),
        (record(proven=False), copy(), OTHER, "replaces"),
        (record(proven=False), copy(), LONGER, "replaces"),
        (record(proven=False, to=[MATE]), copy(to=[ME]), None, "replaces"),
        (
            record(proven=False, files=(FILE,)),
            copy(),
            replace(SAME, attachments=(PART,)),
            "replaces",
        ),
        (record(proven=False, bcc=people([EVE])), copy(), SAME, "replaces"),
        (
            record(proven=False),
            replace(copy(), bcc=people([EVE])),
            SAME,
            "replaces",
        ),
        # Nobody knows which of two is true: both are kept.
        (record(proven=False), copy(proven=False), None, "compare"),
        (record(proven=False), copy(proven=False), SAME, "joins"),
        (record(proven=False), copy(proven=False), OTHER, "apart"),
        (record(proven=False), copy(proven=False), LONGER, "apart"),
        (record(proven=False, to=[MATE]), copy(proven=False), None, "apart"),
    ],
)
def test_m9_copies_join_only_when_nothing_that_matters_differs(
    known: Message, seen: MessageHeaders, content: Content | None, becomes: str
) -> None:
    assert standing(known, seen, MAILBOX, content) == becomes


def test_m9_a_sent_copy_is_proven() -> None:
    sent = mail(ME, BOTH, authenticated=False, sent=True)
    assert standing(record(proven=False), sent, MAILBOX, OTHER) == "replaces"


def test_m9_a_record_without_its_envelope_names_nobody() -> None:
    bare = replace(record(proven=False), envelope=None)
    assert said_in(bare) == said_by(Content(None, None))
    assert standing(bare, copy(to=[]), MAILBOX, Content(None, None)) == "joins"
    assert standing(bare, copy(), MAILBOX, SAME) == "replaces"


def test_m9_spaces_do_not_matter() -> None:
    assert said_by(Content(" a\r\nb", "<p> c")) == said_by(Content("a b", "<p>\tc"))
    assert said_by(Content("a", None)) != said_by(Content("b", None))
    assert said_by(Content("", "a")) != said_by(Content("", "b"))


@pytest.mark.parametrize(
    "other",
    [
        replace(FILE, filename="b.pdf"),
        replace(FILE, content_type="text/plain"),
        replace(FILE, size=8),
    ],
)
def test_m9_an_attachment_is_known_by_its_outline(other: Attachment) -> None:
    content = Content(WORDS, None, attachments=(PART,))
    assert said_in(record(files=(FILE,))) == said_by(content)
    assert said_in(record(files=(other,))) != said_by(content)


def test_m9_emails_apart_have_ids_by_recipients_then_by_their_place() -> None:
    first, own = apart_ids(MessageId("m"), copy(), MAILBOX.id)
    swapped = copy(to=BOTH[::-1])
    assert apart_ids(MessageId("m"), swapped, MAILBOX.id) == (first, own)
    elsewhere = apart_ids(MessageId("m"), copy(), MailboxId("b2"))
    assert (elsewhere[0] == first, elsewhere[1] == own) == (True, False)
    later = replace(copy(), gmail_message_id="g9")
    again = apart_ids(MessageId("m"), later, MAILBOX.id)
    assert (again[0] == first, again[1] == own) == (True, False)
    others = apart_ids(MessageId("m"), copy(to=[ME]), MAILBOX.id)
    assert (others[0] == first, others[1] == own) == (False, True)
    assert not {first, own} & {*apart_ids(MessageId("n"), copy(), MAILBOX.id), "m"}


@pytest.mark.parametrize(
    ("known", "seen", "may"),
    [
        (record(), copy(), True),
        (record(), copy(to=BOTH[::-1]), True),
        (record(), copy(proven=False), False),
        (record(proven=False), copy(proven=False), True),
        (record(proven=False), copy(), False),
        (record(), copy(to=[ME]), False),
        (record(route="crm", proven=False), copy(to=[ME]), True),
    ],
)
def test_m9_a_copy_whose_body_may_not_be_read_joins_by_its_headers(
    known: Message, seen: MessageHeaders, may: bool
) -> None:
    assert fits(known, seen) is may
    if known.route != "crm":
        twin = copy(proven=known.authenticity == "pass", to=BOTH)
        assert (likeness(seen) == likeness(twin)) is may


def test_m9_only_a_proven_copy_tells_hidden_recipients() -> None:
    telling = replace(copy(), bcc=people([EVE]))
    assert without_unproven(telling) == telling
    forged = replace(telling, authenticated=False)
    assert without_unproven(forged) == replace(forged, bcc=())


def test_m9_a_decision_without_the_places_that_refused() -> None:
    here, there = (
        Placement(item, "c", "t", "inbound", rule, ("u",))  # type: ignore[arg-type]
        for item, rule in (("a", "M5"), ("b", "T2"))
    )
    decided = Decision("M5", (here, there), refusals={"c": "M7"})  # type: ignore[dict-item]
    assert decided.without({}) is decided
    left = decided.without({here.subaccount: "M9"})
    assert (left.rule, left.places) == ("T2", (there,))
    assert left.refusals == {"c": "M7", "a": "M9"}
    none = decided.without({here.subaccount: "M9", there.subaccount: "M9"})
    assert (none.rule, none.places, none.recorded) == ("M9", (), False)
