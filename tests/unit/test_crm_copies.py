"""S1, M9: a mail that the CRM sent is recognised when Gmail shows it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MessageId
from shared.core.mail import MessageHeaders
from shared.core.matching.rules import Decision, Place
from tests.support.crm import ALIAS, ME, Crm, S, mail

ADA = "ada@client.example"


def marked(mark: str | None = "s/m1", sender: str = ME, **more: Any) -> MessageHeaders:
    return replace(mail(sender, [ADA], **more), crm_message=mark)


def test_s1_the_sent_copy_is_the_record_that_the_crm_made() -> None:
    decision = Crm().sent_from_crm().decide(marked(authenticated=False))
    assert decision == Decision(
        "S1",
        (
            Place(
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
    found = {one.subaccount: one.rule for one in decision.places}
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
