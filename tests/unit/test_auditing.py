"""E4: what Gmail has against what was recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.ids import SubaccountId
from shared.core.matching.places import Decision, Placement, Returned
from shared.core.matching.recording import message_id
from shared.core.matching.sameness import apart_ids
from shared.core.records import Bounce, HeldBy, Message
from shared.core.syncing.auditing import (
    Difference,
    DifferencePlace,
    RecordKey,
    compare,
    records_apart,
    records_to_read,
)
from tests.support.api import a_message
from tests.support.crm import ME, Crm, mail

MAILBOX = Crm().mailbox()
MAIL = mail()
OWN = message_id(MAIL, MAILBOX.id)
S, S2, S3 = (SubaccountId(item) for item in ("s", "s2", "s3"))
HERE = HeldBy("u", MAILBOX.id, ME, MAIL.gmail_message_id, MAIL.gmail_thread_id)


def place(subaccount: SubaccountId = S, rule: str = "M5") -> Placement:
    return Placement(subaccount, "c", "t", "inbound", rule, ("u",))


def record(
    subaccount: SubaccountId = S, held_by: HeldBy = HERE
) -> tuple[RecordKey, Message]:
    found = a_message(OWN, subaccount, held_by=(held_by,), authenticity="pass")
    return (subaccount, OWN), found


def compared(
    decided: Decision,
    *found: tuple[RecordKey, Message],
    only: tuple[SubaccountId, ...] = (S, S2, S3),
) -> tuple[Difference, ...]:
    return compare(MAIL, MAILBOX, decided, only, dict(found))


def difference(outcome: str, rule: str, *places: DifferencePlace) -> Difference:
    return Difference("g", "<m@x>", outcome, rule, places)  # type: ignore[arg-type]


HELD_ELSEWHERE = [
    replace(HERE, mailbox="b2"),
    replace(HERE, gmail_message_id="g2"),
]


def test_e4_records_are_looked_for_under_the_own_id_and_that_of_crm_mail() -> None:
    sent = replace(place(S2, "S1"), message="m1")
    decided = Decision("S1", (sent, place(S3)))
    assert records_to_read(MAIL, MAILBOX, decided, {S2, S}) == (
        (S, OWN),
        (S2, OWN),
        (S2, "m1"),
    )


def test_e4_no_difference_where_all_is_as_the_rules_say() -> None:
    assert compared(Decision("M5", (place(),)), record()) == ()
    assert compared(Decision("M7")) == ()


def test_s12_a_message_may_lack_what_a_bounce_says() -> None:
    late = Bounce("ada@client.example", None, None, permanent=False, at=1)
    gone = Bounce("ada@client.example", "5.1.1", None, permanent=True, at=2)
    said = tuple(Returned(s, "m1", "c", (late, gone)) for s in (S, S2))
    decided = Decision("S12", returned=said)
    assert records_to_read(MAIL, MAILBOX, decided, {S}) == ((S, OWN), (S, "m1"))
    whole = ((S, "m1"), a_message("m1", S, bounces=(gone, late)))
    lacks = ((S2, "m1"), a_message("m1", S2, bounces=(gone,)))
    there = DifferencePlace(S2, "c", "m1")
    assert compared(decided, whole) == ()
    assert compared(decided, whole, lacks) == (difference("recorded", "S12", there),)
    assert compared(decided, whole, lacks, only=(S,)) == ()


def test_e4_a_record_may_be_missing() -> None:
    decided = Decision("M5", (place(S), place(S2, "T2"), place(S3, "B2")))
    assert compared(decided, record()) == (
        difference(
            "recorded",
            "T2",
            DifferencePlace(S2, "c", OWN),
            DifferencePlace(S3, "c", OWN),
        ),
    )
    assert compared(decided, record(), only=(S,)) == ()
    assert compared(decided, record(), only=(S2,)) == (
        difference("recorded", "T2", DifferencePlace(S2, "c", OWN)),
    )


def test_e4_a_mail_without_message_id_is_found_by_its_place_in_the_mailbox() -> None:
    nameless = mail(message_id=None)
    own, decided = message_id(nameless, MAILBOX.id), Decision("M5", (place(),))
    assert records_to_read(nameless, MAILBOX, decided, {S}) == ((S, own),)
    found = {(S, own): a_message(own, S, held_by=(HERE,), authenticity="pass")}
    assert compare(nameless, MAILBOX, decided, {S}, found) == ()


@pytest.mark.parametrize("elsewhere", HELD_ELSEWHERE)
def test_e4_a_record_that_does_not_name_this_copy_is_missing(elsewhere: HeldBy) -> None:
    assert compared(Decision("M5", (place(),)), record(held_by=elsewhere)) == (
        difference("recorded", "M5", DifferencePlace(S, "c", OWN)),
    )


def test_e4_a_record_may_be_there_that_no_rule_permits() -> None:
    decided = Decision("M11", refusals={S2: "M12"})
    assert compared(decided, record(S), record(S2)) == (
        difference("ignored", "M11", DifferencePlace(S, "c1", OWN)),
        difference("ignored", "M12", DifferencePlace(S2, "c1", OWN)),
    )


def test_e4_a_record_that_another_mailbox_brought_is_no_difference() -> None:
    by_another = Decision("M3", copies=(place(rule="M3"),))
    assert compared(by_another, record()) == ()
    assert compared(by_another) == ()
    for elsewhere in HELD_ELSEWHERE:
        assert compared(Decision("M11"), record(held_by=elsewhere)) == ()


@pytest.mark.parametrize("elsewhere", HELD_ELSEWHERE)
def test_m9_a_record_that_another_mailbox_brought_must_name_this_copy(
    elsewhere: HeldBy,
) -> None:
    by_another = Decision("M3", copies=(place(rule="M3"),))
    assert compared(by_another, record(held_by=elsewhere)) == (
        difference("recorded", "M9", DifferencePlace(S, "c", OWN)),
    )


def test_e4_each_record_is_judged_by_itself() -> None:
    decided = Decision("M5", (place(S),), refusals={S3: "M7"})
    elsewhere = record(S2, replace(HERE, gmail_message_id="g2"))
    assert compared(decided, record(S), elsewhere, record(S3)) == (
        difference("ignored", "M7", DifferencePlace(S3, "c1", OWN)),
    )


def test_e4_one_message_can_be_missing_here_and_too_much_there() -> None:
    decided = Decision("M5", (place(S),), refusals={S2: "M7"})
    assert [item.outcome for item in compared(decided, record(S2))] == [
        "recorded",
        "ignored",
    ]


def test_m9_where_another_email_has_the_id_two_more_are_looked_for() -> None:
    key, other = record(held_by=HELD_ELSEWHERE[0])
    ids = apart_ids(OWN, MAIL, MAILBOX.id)
    assert records_apart(MAIL, MAILBOX, {key: other}) == tuple((S, id_) for id_ in ids)
    assert records_apart(MAIL, MAILBOX, dict([record()])) == ()
    mine = (S, ids[1]), replace(record()[1], id=ids[1])
    assert compared(Decision("M5", (place(),)), (key, other), mine) == ()


def test_m9_an_unauthenticated_record_is_a_difference_to_repair() -> None:
    key, found = record()
    forged = key, replace(found, authenticity="fail")
    assert compared(Decision("M5", (place(),)), forged) == (
        difference("recorded", "M5", DifferencePlace(S, "c", OWN)),
    )


def test_m9_a_record_that_has_replaced_another_is_told_as_repaired() -> None:
    key, found = record()
    again = key, replace(found, replaced_at=5)
    told = difference("recorded", "M9", DifferencePlace(S, "c1", OWN))
    assert compared(Decision("M5", (place(),)), again) == (
        replace(told, repaired=True),
    )
    # One that is to be repaired elsewhere is told as that.
    both = Decision("M5", (place(), place(S2)))
    assert compared(both, again) == (
        difference("recorded", "M5", DifferencePlace(S2, "c", OWN)),
    )


def test_m9_a_copy_that_is_refused_is_told() -> None:
    forged = mail(authenticated=False)
    found = dict([record(held_by=HELD_ELSEWHERE[0])])
    decided = Decision("M5", (place(),))
    assert compare(forged, MAILBOX, decided, (S,), found) == (
        difference("ignored", "M9", DifferencePlace(S, "c", OWN)),
    )
    unproven = {key: replace(item, authenticity="fail") for key, item in found.items()}
    assert compare(forged, MAILBOX, decided, (S,), unproven) == (
        difference("recorded", "M5", DifferencePlace(S, "c", OWN)),
    )
