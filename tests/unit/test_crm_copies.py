"""S1, M9: a mail that the CRM sent is recognised when Gmail shows it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MessageId
from shared.core.mail import MessageHeaders
from shared.core.matching.facts import CrmMessageKey, MessageIdKey
from shared.core.matching.rules import Decision, Placement
from tests.support.crm import ALIAS, ME, Crm, S, mail

ADA = "ada@client.example"


def marked(mark: str | None = "s/m1", sender: str = ME, **more: Any) -> MessageHeaders:
    return replace(mail(sender, [ADA], **more), crm_message=mark)


def test_s1_the_sent_copy_is_the_record_that_the_crm_made() -> None:
    decision = Crm().sent_from_crm().decide(marked(authenticated=False))
    assert decision == Decision(
        "S1",
        (
            Placement(
                S,
                contact="c",
                thread="t",
                direction="outbound",
                rule="S1",
                holders=("u",),
                user="u",
                exclusive=True,
                participants=(),
                message=MessageId("m1"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("copy", "is_it"),
    [
        (marked(), True),
        (marked(subject=" Hello\r\n"), True),
        (marked(subject="Hello again"), False),
        (marked(sender=ALIAS), False),
        (marked(sent=False, authenticated=True), True),
        (marked(sent=False, authenticated=False), False),
        (marked("s/m2"), False),
        (marked("s"), False),
        (marked("s/"), False),
        (marked("/m1"), False),
        (marked("foreign/m1"), False),
        (marked(None), False),
    ],
)
def test_s1_our_header_alone_proves_nothing(copy: MessageHeaders, is_it: bool) -> None:
    crm = Crm().sent_from_crm().sent_from_crm(s="foreign")
    assert (crm.decide(copy).rule == "S1") is is_it


@pytest.mark.parametrize(
    ("mark", "where"),
    [
        ("s2/m9", {"s": "T3", "s2": "M6"}),
        ("s9/m9", {"s": "T3", "s2": "T3"}),
        ("s2", {"s": "T3", "s2": "M6"}),
        ("s2/a/b", {"s": "T3", "s2": "M6"}),
        (None, {"s": "M6", "s2": "M6"}),
    ],
)
def test_t3_a_mail_marked_by_one_subaccounts_crm_is_in_no_other(
    mark: str | None, where: dict[str, str]
) -> None:
    crm = Crm().contact(ADA).subaccount("s2").contact(ADA, c="c2", s="s2")
    decision = crm.decide(marked(mark))
    found = {place.subaccount: place.rule for place in decision.places}
    assert {**found, **decision.refusals} == where


def test_t3_a_contacts_mark_hides_nothing() -> None:
    assert Crm().contact(ADA).decide(marked("s2/m9", sender=ADA)).rule == "M5"


@pytest.mark.parametrize(
    ("mark", "more", "rule"),
    [
        ("s2/m1", {"authenticated": True}, "T3"),
        ("s2/m2", {"authenticated": True}, "M5"),
        ("s3/erased", {"authenticated": True}, "T3"),
        ("s3", {"authenticated": True}, "M5"),
        ("s2/m1", {"authenticated": False}, "M5"),
        ("s2/m1", {"authenticated": True, "subject": "Another"}, "M5"),
        ("../m1", {"authenticated": True}, "M5"),
        ("s3/__m__", {"authenticated": True}, "M5"),
    ],
)
def test_t3_a_strangers_mail_is_another_subaccounts_when_its_crm_has_sent_it(
    mark: str, more: dict[str, Any], rule: str
) -> None:
    """Found by the simulation: a user of s2 only, who is a contact here."""
    crm = Crm().contact(ADA).sent_from_crm(s="s2", sender=ADA).member(ADA, s="s3")
    assert crm.decide(marked(mark, sender=ADA, **more)).rule == rule


def test_m9_it_lists_the_users_of_that_subaccount_who_hold_it() -> None:
    crm = Crm().subaccount("s2").user("v", s=["s2"]).user("w", s=["s", "s2"])
    (place,) = crm.sent_from_crm().decide(marked()).places
    assert place.holders == ("u", "w")


# --- without our header ------------------------------------------------------------


def bare(
    message_id: str | None = "<crm.m1@ours.example>", **more: Any
) -> MessageHeaders:
    return mail(more.pop("sender", ME), [ADA], message_id=message_id, **more)


@pytest.mark.parametrize(
    ("copy", "is_it"),
    [
        (bare(), True),
        (bare(sent=False), True),
        (bare(sent=False, authenticated=False), False),
        (bare(subject="Hello again"), False),
        (bare(sender=ALIAS), False),
        (bare("<crm.m2@ours.example>"), False),
        (bare("<crm.m1@>"), False),
        (bare("<crm.m 1@ours.example>"), False),
        (bare("<mcrm.m1@ours.example>"), False),
        (bare("<crm.m1@ours.example>x"), False),
        (bare(None), False),
    ],
)
def test_m9_our_message_id_names_the_record(copy: MessageHeaders, is_it: bool) -> None:
    decision = Crm().sent_from_crm().decide(copy)
    assert [place.message for place in decision.places] == ["m1"] * is_it


def crm_with_known(*, exclusive: bool = True) -> Crm:
    """A mail that Gmail sent under a Message-ID of its own."""
    crm = Crm().sent_from_crm("record of <g@x>")
    return crm.known("<g@x>", exclusive=exclusive)


MATE = "mate@ours.example"


@pytest.mark.parametrize(
    ("crm", "copy", "is_it"),
    [
        (crm_with_known(), bare("<g@x>"), True),
        (crm_with_known(), bare("<g@x>", sent=False), True),
        (crm_with_known(exclusive=False), bare("<g@x>"), False),
        (crm_with_known(), bare("<g2@x>"), False),
        (crm_with_known(), bare("<g@x>", subject="Hello again"), False),
        (crm_with_known(), replace(bare("<g@x>"), crm_message="s/m9"), False),
        (
            crm_with_known().sent_from_crm("record of <g@x>", sender=MATE),
            bare("<g@x>", sender=MATE),
            False,
        ),
        (
            crm_with_known().sent_from_crm("record of <g@x>", sender=MATE).member(MATE),
            bare("<g@x>", sender=MATE),
            True,
        ),
        (
            crm_with_known().sent_from_crm("record of <g@x>", sender=MATE).member(MATE),
            bare("<g@x>", sender=MATE, authenticated=False),
            False,
        ),
    ],
)
def test_m9_the_message_id_that_gmail_wrote_names_the_record(
    crm: Crm, copy: MessageHeaders, is_it: bool
) -> None:
    decision = crm.decide(copy)
    found = [place.message for place in decision.places if place.message]
    assert found == ["record of <g@x>"] * is_it


def test_m9_mail_from_outside_asks_no_more_than_before() -> None:
    crm = Crm()
    crm.decide(mail(ADA, message_id="<g@x>"))
    assert not any(isinstance(key, MessageIdKey | CrmMessageKey) for key in crm.asked)
