"""The rules M1-M14 and T1-T3, one table a rule, and what could be confused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import ContactId, MailboxId, SubaccountId, ThreadId, UserId
from shared.core.mail import Address, MessageHeaders
from shared.core.matching.ancestors import new_thread
from shared.core.matching.facts import (
    AddressKey,
    ContactKey,
    MessageIdKey,
    ThreadFact,
)
from shared.core.matching.recording import message_id as id_of
from shared.core.matching.recording import record_id
from shared.core.matching.rewritten import as_recorded
from shared.core.matching.rules import Decision, Placement
from tests.support.crm import ALIAS, CONNECTED, ME, Crm, S, mail

ADA = "ada@client.example"
BOB = "bob@client.example"
EVE = "eve@stranger.example"
MATE = "mate@ours.example"


def only_place(decision: Decision) -> Placement:
    assert len(decision.places) == 1, decision
    return decision.places[0]


def contact_of(decision: Decision) -> str | None:
    return decision.places[0].contact if decision.places else None


# --- M1, C2, M13: what is considered at all --------------------------------------


@pytest.mark.parametrize("label", ["DRAFT", "CHAT", "SPAM", "TRASH"])
def test_m1_drafts_chats_spam_and_trash_are_not_considered(label: str) -> None:
    decision = Crm().contact(ADA).decide(mail(ADA, labels=[label]))
    assert decision == Decision("M1")


def test_m1_filtered_and_archived_mail_is_considered() -> None:
    message = mail(ADA, sent=False, labels=["Label_7"])
    archived = Crm().contact(ADA).decide(message)
    assert archived.recorded


@pytest.mark.parametrize(
    ("at", "recorded"),
    [(CONNECTED - 1, False), (CONNECTED, True), (CONNECTED + 1, True)],
)
def test_c2_mail_from_before_the_connection_is_never_recorded(
    at: int, recorded: bool
) -> None:
    decision = Crm().contact(ADA).decide(mail(ADA, at=at))
    assert decision.recorded is recorded
    assert recorded or decision.rule == "C2"


def test_c2_an_older_message_of_a_thread_that_goes_on_is_not_recorded() -> None:
    crm = Crm().contact(ADA).known("<1@x>", participants=[ADA])
    decision = crm.decide(mail(ADA, at=CONNECTED - 1, in_reply_to=["<1@x>"]))
    assert decision == Decision("C2")


def test_c4_c2_each_user_of_a_mailbox_has_an_own_moment() -> None:
    crm = Crm().user("late", since=CONNECTED + 100).contact(ADA, assigned="late")
    assert not crm.decide(mail(ADA, at=CONNECTED + 50)).recorded
    place = only_place(crm.decide(mail(ADA, at=CONNECTED + 100)))
    assert set(place.holders) == {"u", "late"}


def test_c11_nothing_is_recorded_where_the_user_has_switched_it_off() -> None:
    crm = Crm().subaccount("s2").contact(ADA).contact(ADA, s="s2")
    assert {place.subaccount for place in crm.decide(mail(ADA)).places} == {"s", "s2"}
    crm.switched_off()
    decision = crm.decide(mail(ADA))
    assert [place.subaccount for place in decision.places] == ["s2"]
    assert decision.refusals == {"s": "C11"}
    assert Crm().contact(ADA).switched_off().decide(mail(ADA)) == Decision("C11")


def test_c11_a_known_thread_is_not_continued_where_it_is_switched_off() -> None:
    crm = Crm().known("<1@x>", participants=[ADA]).contact(ADA).switched_off()
    assert crm.decide(mail(ADA, in_reply_to=["<1@x>"])).rule == "C11"


def test_c11_what_answers_mail_of_that_crm_goes_nowhere_else() -> None:
    """T3 holds although the subaccount's own record is switched off."""
    crm = Crm().subaccount("s2").contact(ADA).contact(ADA, s="s2")
    crm.known("<1@x>", participants=[ADA], exclusive=True).switched_off()
    decision = crm.decide(mail(ADA, in_reply_to=["<1@x>"]))
    assert not decision.recorded
    assert decision.refusals == {"s": "C11", "s2": "T3"}


def test_c11_another_user_of_the_mailbox_still_has_it_recorded() -> None:
    crm = Crm().user("other").contact(ADA).switched_off()
    crm.contact(ADA, assigned="other")
    assert only_place(crm.decide(mail(ADA))).subaccount == "s"


def test_m13_a_from_that_is_not_exactly_one_address_matches_nothing() -> None:
    assert Crm().contact(ADA).decide(mail(None, sent=False)) == Decision("M13")


def test_a_user_without_subaccounts_records_nothing() -> None:
    crm = Crm()
    crm.users = {}
    crm.user("u", s=[])
    assert crm.decide(mail(ADA)) == Decision("M4")


def test_nothing_is_asked_for_mail_that_is_not_considered() -> None:
    crm = Crm().contact(ADA)
    crm.decide(mail(ADA, labels=["SPAM"]))
    crm.decide(mail(ADA, at=CONNECTED - 1))
    crm.decide(mail(None, sent=False))
    assert crm.asked == []


# --- M2: direction, and who is believed ------------------------------------------


@pytest.mark.parametrize(
    ("sender", "sent", "direction", "user"),
    [
        (ME, True, "outbound", "u"),
        (ALIAS, True, "outbound", "u"),
        (ME, False, "outbound", "u"),
        (MATE, False, "outbound", "colleague"),
        (ADA, False, "inbound", None),
    ],
)
def test_m2_direction(
    sender: str, sent: bool, direction: str, user: str | None
) -> None:
    crm = Crm().contact(ADA).member(MATE)
    place = only_place(crm.decide(mail(sender, [ADA, ME], sent=sent)))
    assert (place.direction, place.user) == (direction, user)


@pytest.mark.parametrize("sender", [ME, ALIAS, MATE, "new@ours.example"])
def test_m2_a_received_mail_that_claims_an_internal_sender_must_be_authenticated(
    sender: str,
) -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",))
    crm.contact(ADA).member(MATE)
    forged = mail(sender, [ADA, ME], sent=False, authenticated=False)
    assert crm.decide(forged) == Decision("M2")
    genuine = mail(sender, [ADA, ME], sent=False, authenticated=True)
    assert crm.decide(genuine).recorded


def test_m2_a_sent_copy_needs_no_authentication() -> None:
    assert Crm().contact(ADA).decide(mail(ME, [ADA], authenticated=False)).recorded


def test_m2_a_forged_internal_sender_does_not_enter_a_known_thread() -> None:
    crm = Crm().contact(ADA).member(MATE).known("<1@x>", participants=[ADA])
    forged = mail(MATE, [ADA, ME], authenticated=False, in_reply_to=["<1@x>"])
    assert crm.decide(forged) == Decision("M2")


def test_m2_an_unauthenticated_contact_is_recorded() -> None:
    assert Crm().contact(ADA).decide(mail(ADA, authenticated=False)).recorded


def test_m2_a_mail_to_oneself_is_outbound_and_internal() -> None:
    message = mail(ME, [ME], labels=["INBOX"])
    assert Crm().contact(ADA).decide(message) == Decision("M11")


# --- M3: established, and the setting --------------------------------------------


@pytest.mark.parametrize(
    ("logging", "situation", "recorded"),
    [
        ("established", "assigned", True),
        ("established", "assigned to another", False),
        ("established", "unassigned", False),
        ("established", "written to from the CRM", True),
        ("established", "another wrote", False),
        ("all_contacts", "unassigned", True),
        ("all_contacts", "assigned to another", True),
        ("threads", "assigned", False),
        ("threads", "written to from the CRM", False),
    ],
)
@pytest.mark.parametrize("sender", [ADA, ME])
def test_m3(logging: str, situation: str, recorded: bool, sender: str) -> None:
    crm = Crm().subaccount(logging=logging)
    owner = {"assigned": "u", "assigned to another": "other"}.get(situation)
    crm.contact(ADA, assigned=owner)
    if situation == "written to from the CRM":
        crm.established(ADA)
    if situation == "another wrote":
        crm.established(ADA, u="other")
    message = mail(ADA) if sender == ADA else mail(ME, [ADA])
    decision = crm.decide(message)
    assert decision.recorded is recorded
    assert recorded or decision.rule == "M3"
    assert recorded or [copy.holders for copy in decision.copies] == [("u",)]


@pytest.mark.parametrize("logging", ["established", "all_contacts", "threads"])
def test_m3_whatever_the_setting_a_known_thread_goes_on(logging: str) -> None:
    crm = Crm().subaccount(logging=logging).contact(ADA, assigned=None)
    crm.known("<1@x>", participants=[ADA])
    place = only_place(crm.decide(mail(ADA, in_reply_to=["<1@x>"])))
    assert (place.rule, place.contact) == ("T2", "c")


def test_m3_established_in_one_subaccount_counts_in_the_others() -> None:
    crm = Crm().subaccount("s2").contact(ADA, s="s", assigned="u")
    crm.contact(ADA, c="c2", s="s2", assigned=None)
    assert {p.subaccount for p in crm.decide(mail(ADA)).places} == {"s", "s2"}


# --- M4: fan-out -----------------------------------------------------------------


def test_m4_recorded_in_every_subaccount_that_has_the_contact_and_permits() -> None:
    crm = Crm().subaccount("s2").subaccount("s3", logging="threads").subaccount("s4")
    crm.contact(ADA).contact(ADA, c="c2", s="s2").contact(ADA, c="c3", s="s3")
    places = {p.subaccount: p.contact for p in crm.decide(mail(ADA)).places}
    assert places == {"s": "c", "s2": "c2"}


def test_m4_nothing_is_recorded_outside_the_users_subaccounts() -> None:
    crm = Crm()
    crm.contact(ADA, c="foreign", s="foreign")
    assert not crm.decide(mail(ADA)).recorded


# --- M5, M6: whose conversation --------------------------------------------------


@pytest.mark.parametrize(
    ("to", "cc", "bcc"),
    [
        ([ME], [], []),
        ([BOB, ME], [], []),
        ([BOB], [ME], []),
        ([BOB], [], [ME]),
        ([BOB], [EVE], []),
        ([], [], []),
    ],
)
def test_m5_inbound_is_the_senders_conversation(
    to: list[str], cc: list[str], bcc: list[str]
) -> None:
    crm = Crm().contact(ADA, c="ada").contact(BOB, c="bob")
    place = only_place(crm.decide(mail(ADA, to, cc, bcc)))
    assert (place.contact, place.rule) == ("ada", "M5")


def test_m5_a_contact_in_copy_of_a_strangers_mail_does_not_count() -> None:
    crm = Crm().contact(ADA)
    assert crm.decide(mail(EVE, [ME], [ADA])) == Decision("M7")


@pytest.mark.parametrize(
    ("to", "cc", "bcc", "contact"),
    [
        ([ADA], [], [], "ada"),
        ([EVE, ADA], [], [], "ada"),
        ([BOB, ADA], [], [], "bob"),
        ([EVE], [ADA], [], "ada"),
        ([EVE], [EVE], [ADA], "ada"),
        ([BOB], [ADA], [], "bob"),
        ([MATE, ADA], [], [], "ada"),
        ([EVE], [], [], None),
        ([MATE], [], [], None),
        (["cold@client.example", ADA], [], [], "ada"),
        (["cold@client.example"], [], [], None),
    ],
)
@pytest.mark.parametrize("sender", [ME, MATE])
def test_m6_outbound_is_the_first_permitted_contact_in_to_then_cc_then_bcc(
    sender: str, to: list[str], cc: list[str], bcc: list[str], contact: str | None
) -> None:
    crm = Crm().contact(ADA, c="ada").contact(BOB, c="bob").member(MATE)
    crm.contact("cold@client.example", c="cold", assigned=None)
    assert contact_of(crm.decide(mail(sender, to, cc, bcc))) == contact


def test_m5_m6_a_mail_with_a_contact_is_recorded_whole() -> None:
    crm = Crm().contact(ADA, c="ada").user("v")
    received = mail(ADA, [ME], [EVE], message_id=None)
    assert crm.decide(received).places == (
        Placement(
            S,
            contact="ada",
            thread=new_thread(received, MailboxId("b"), "ada", forward=False),
            direction="inbound",
            rule="M5",
            holders=("u", "v"),
            user=None,
            exclusive=False,
            link_gmail_thread=True,
            participants=(ADA, EVE),
            message=None,
            route="gmail",
            new_contacts=(),
            establish=(),
        ),
    )
    sent = mail(ME, [EVE, ADA], message_id=None)
    assert crm.decide(sent).places == (
        Placement(
            S,
            contact="ada",
            thread=new_thread(sent, MailboxId("b"), "ada", forward=False),
            direction="outbound",
            rule="M6",
            holders=("u", "v"),
            user="u",
            participants=(EVE, ADA),
        ),
    )


def test_m10_a_forward_is_recorded_whole() -> None:
    message = mail(ME, [BOB], subject="Fwd: Hello", references=["<1@x>"])
    assert thread_with_ada().decide(message).places == (
        Placement(
            S,
            contact="bob",
            thread=new_thread(message, MailboxId("b"), "bob", forward=True),
            direction="outbound",
            rule="M10",
            holders=("u",),
            user="u",
            link_gmail_thread=False,
            participants=(BOB,),
        ),
    )


@pytest.mark.parametrize(
    ("message", "direction", "user", "participants"),
    [
        (mail(EVE, [ME, ADA], in_reply_to=["<1@x>"]), "inbound", None, (EVE, ADA)),
        (mail(ME, [ADA, MATE], in_reply_to=["<1@x>"]), "outbound", "u", (ADA,)),
    ],
)
def test_t2_a_mail_of_a_known_thread_is_recorded_whole(
    message: MessageHeaders,
    direction: Any,
    user: UserId | None,
    participants: tuple[str, ...],
) -> None:
    crm = Crm().contact(ADA, c="ada").user("v").member(MATE)
    crm.known("<1@x>", c="ada", participants=[ADA], exclusive=True)
    assert crm.decide(message).places == (
        Placement(
            S,
            contact="ada",
            thread="t",
            direction=direction,
            rule="T2",
            holders=("u", "v"),
            user=user,
            exclusive=True,
            participants=participants,
        ),
    )


@pytest.mark.parametrize(
    ("since", "sender"), [(CONNECTED - 1, "a"), (CONNECTED, "a"), (CONNECTED + 1, "u")]
)
def test_c4_own_mail_is_that_of_the_user_who_connected_first(
    since: int, sender: str
) -> None:
    crm = Crm().user("a", since=since).user("z", ["s2"], since=0).subaccount("s2")
    crm.contact(ADA)
    assert only_place(crm.decide(mail(ME, [ADA]))).user == sender


def test_m2_a_mail_from_an_internal_domain_may_be_nobodys_own() -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",)).contact(ADA)
    assert only_place(crm.decide(mail("desk@ours.example", [ADA, ME]))).user is None
    crm.member(MATE, "zoe").member(MATE, "amy")
    assert only_place(crm.decide(mail(MATE, [ADA, ME]))).user == "amy"


# --- M7, M8 ----------------------------------------------------------------------


def test_m7_mail_with_nobody_we_know_is_not_recorded() -> None:
    assert Crm().decide(mail(EVE)) == Decision("M7")
    assert Crm().decide(mail(ME, [EVE])) == Decision("M7")


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [(("b", 1), ("a", 2), "b"), (("b", 1), ("a", 1), "a"), (("a", 2), ("b", 1), "b")],
)
def test_m8_of_duplicate_contacts_the_first_created_gets_the_mail(
    first: tuple[str, int], second: tuple[str, int], winner: str
) -> None:
    crm = Crm()
    for c, created in (first, second):
        crm.contact(ADA, c=c, created=created)
    assert contact_of(crm.decide(mail(ADA))) == winner
    assert contact_of(crm.decide(mail(ME, [ADA]))) == winner


def test_m8_a_duplicate_assigned_to_the_user_establishes_the_older_one() -> None:
    crm = Crm().contact(ADA, c="old", created=1, assigned=None)
    crm.contact(ADA, c="new", created=2, assigned="u")
    assert contact_of(crm.decide(mail(ADA))) == "old"


# --- M10: forwards ---------------------------------------------------------------


def thread_with_ada() -> Crm:
    crm = Crm().contact(ADA, c="ada").contact(BOB, c="bob")
    return crm.known("<1@x>", c="ada", participants=[ADA], gmail_thread="gt")


@pytest.mark.parametrize(
    ("to", "subject", "contact", "rule"),
    [
        ([ADA], "Re: Hello", "ada", "T2"),
        ([BOB], "Re: Hello", "bob", "M10"),
        ([BOB], "Fwd: Hello", "bob", "M10"),
        ([ADA], "Fwd: Hello", "ada", "M10"),
        ([BOB, ADA], "Re: Hello", "ada", "T2"),
        ([BOB, ADA], "WG: Hello", "bob", "M10"),
        ([EVE], "Fwd: Hello", None, "M10"),
        ([EVE], "Re: Hello", None, "M10"),
        ([MATE], "Fwd: Hello", None, "M11"),
    ],
)
def test_m10_forwards(
    to: list[str], subject: str, contact: str | None, rule: str
) -> None:
    crm = thread_with_ada().member(MATE)
    message = mail(ME, to, subject=subject, in_reply_to=["<1@x>"])
    decision = crm.decide(message)
    assert (contact_of(decision), decision.rule) == (contact, rule)


def test_m10_a_forward_begins_a_thread_and_leaves_gmails() -> None:
    message = mail(ME, [BOB], subject="Fwd: Hello", in_reply_to=["<1@x>"])
    place = only_place(thread_with_ada().decide(message))
    assert place.thread != "t"
    assert not place.link_gmail_thread


def test_m10_the_answer_to_a_forward_joins_the_forwards_conversation() -> None:
    crm = thread_with_ada()
    crm.known("<fwd@x>", c="bob", thread="t2", participants=[BOB])
    answer = mail(BOB, in_reply_to=["<fwd@x>"], references=["<1@x>", "<fwd@x>"])
    place = only_place(crm.decide(answer))
    assert (place.contact, place.thread) == ("bob", "t2")


def test_m10_another_address_of_the_threads_contact_is_no_forward() -> None:
    crm = Crm().contact(ADA, c="ada", emails=["ada@home.example"])
    crm.known("<1@x>", c="ada", participants=[ADA])
    message = mail(ME, ["ada@home.example"], in_reply_to=["<1@x>"])
    assert only_place(crm.decide(message)).rule == "T2"


def test_m10_a_forward_of_a_mail_that_nobody_recorded_is_a_mail_to_the_contact() -> (
    None
):
    message = mail(ME, [BOB], subject="Fwd: Hello", in_reply_to=["<unknown@x>"])
    place = only_place(Crm().contact(BOB, c="bob").decide(message))
    assert (place.contact, place.rule) == ("bob", "M10")


# --- M11: internal mail stays private --------------------------------------------


@pytest.mark.parametrize("known_thread", [False, True])
@pytest.mark.parametrize("colleague", [MATE, "any@ours.example", ALIAS, ME])
@pytest.mark.parametrize("also_contact", [False, True])
@pytest.mark.parametrize("logging", ["established", "all_contacts", "threads"])
def test_m11_internal_mail_is_never_recorded(
    known_thread: bool, colleague: str, also_contact: bool, logging: str
) -> None:
    crm = Crm().subaccount(logging=logging, internal_domains=("ours.example",))
    crm.member(MATE).contact(ADA)
    if also_contact:
        crm.contact(colleague, c="colleague")
    if known_thread:
        crm.known("<1@x>", participants=[ADA, colleague], gmail_thread="gt")
    refs = ["<1@x>"] if known_thread else []
    for message in (
        mail(ME, [colleague], in_reply_to=refs),
        mail(colleague, [ME], in_reply_to=refs),
        mail(colleague, [ME], [MATE], in_reply_to=refs, subject="Fwd: Hello"),
    ):
        assert crm.decide(message) == Decision("M11")


def test_m11_a_colleague_saved_as_contact_never_gets_the_conversation() -> None:
    crm = Crm().member(MATE).contact(MATE, c="mate").contact(ADA, c="ada")
    assert contact_of(crm.decide(mail(ME, [MATE, ADA]))) == "ada"


def test_m11_internal_to_one_subaccount_is_a_contact_in_another() -> None:
    crm = Crm().subaccount("s2").member(MATE, s="s").contact(MATE, c="mate", s="s2")
    place = only_place(crm.decide(mail(MATE)))
    assert (place.subaccount, place.direction) == ("s2", "inbound")


# --- M12: never-log lists --------------------------------------------------------


@pytest.mark.parametrize("entry", [ADA, "client.example"])
@pytest.mark.parametrize("whose", ["subaccount", "user"])
@pytest.mark.parametrize("known_thread", [False, True])
@pytest.mark.parametrize("sender", [ADA, ME])
def test_m12_listed_contacts_are_not_recorded(
    entry: str, whose: str, known_thread: bool, sender: str
) -> None:
    crm = Crm()
    if whose == "subaccount":
        crm.subaccount(never_log=(entry,))
    else:
        crm.never_log(entry)
    crm.contact(ADA)
    if known_thread:
        crm.known("<1@x>", participants=[ADA])
    refs = ["<1@x>"] if known_thread else []
    message = mail(sender, [ADA] if sender == ME else [ME], in_reply_to=refs)
    assert crm.decide(message) == Decision("M12")


def test_m12_only_the_contact_it_would_be_recorded_under_counts() -> None:
    crm = Crm().subaccount(never_log=(EVE,)).contact(ADA).contact(EVE, c="eve")
    assert contact_of(crm.decide(mail(ADA, [ME], [EVE]))) == "c"
    assert contact_of(crm.decide(mail(ME, [ADA], [EVE]))) == "c"
    assert crm.decide(mail(ME, [EVE, ADA])) == Decision("M12")


def test_m12_any_address_of_the_contact_may_be_listed() -> None:
    crm = Crm().subaccount(never_log=("ada@home.example",))
    crm.contact(ADA, emails=["ada@home.example"])
    assert crm.decide(mail(ADA)) == Decision("M12")


@pytest.mark.parametrize(("assigned", "rule"), [("u", "M12"), (None, "M3")])
def test_m12_a_listed_contact_without_a_relationship_is_first_of_all_that(
    assigned: str | None, rule: str
) -> None:
    crm = Crm().never_log(ADA).contact(ADA, assigned=assigned)
    assert crm.decide(mail(ADA)) == Decision(rule)


def test_m12_one_users_list_leaves_the_mailbox_to_the_other() -> None:
    crm = Crm().user("other").never_log(ADA).contact(ADA, assigned="other")
    assert only_place(crm.decide(mail(ADA))).holders == ("other",)


def test_m12_a_users_list_counts_in_its_subaccount_only() -> None:
    crm = Crm().subaccount("s2").never_log(ADA, s="s2")
    crm.contact(ADA).contact(ADA, s="s2", c="c2")
    assert only_place(crm.decide(mail(ADA))).subaccount == "s"


# --- T1: the nearest known ancestor ----------------------------------------------


@pytest.mark.parametrize(
    ("in_reply_to", "references", "gmail_thread", "thread"),
    [
        (["<1@x>"], [], "other", "t1"),
        (["<2@x>"], ["<1@x>"], "other", "t2"),
        (["<unknown@x>"], ["<1@x>", "<2@x>"], "other", "t2"),
        ([], ["<2@x>", "<1@x>"], "other", "t1"),
        ([], ["<1@x>", "<unknown@x>"], "other", "t1"),
        ([], [], "gt3", "t3"),
        (["<1@x>"], [], "gt3", "t1"),
        (["<unknown@x>"], ["<unknown2@x>"], "gt3", "t3"),
    ],
)
def test_t1_in_reply_to_then_references_then_gmails_thread(
    in_reply_to: list[str], references: list[str], gmail_thread: str, thread: str
) -> None:
    crm = Crm().contact(ADA)
    crm.known("<1@x>", thread="t1").known("<2@x>", thread="t2")
    crm.known("<3@x>", thread="t3", gmail_thread="gt3")
    message = mail(
        ADA, in_reply_to=in_reply_to, references=references, gmail_thread=gmail_thread
    )
    place = only_place(crm.decide(message))
    assert (place.rule, place.thread) == ("T2", thread)


def test_t1_of_several_threads_in_one_of_gmails_the_smallest_id_counts() -> None:
    crm = Crm().contact(ADA)
    erased, second, first = (
        ThreadFact(ThreadId(name), ContactId(c), False, frozenset())
        for name, c in (("t0", "erased"), ("t2", "c"), ("t1", "c"))
    )
    crm.gmail_threads["s", "gt"] = (second, erased, first)
    assert only_place(crm.decide(mail(ADA))).thread == "t1"


def test_t1_a_message_is_not_its_own_ancestor() -> None:
    crm = Crm().contact(ADA).known("<m@x>", thread="t1")
    place = only_place(crm.decide(mail(ADA, references=["<m@x>"])))
    assert place.rule == "M5"


def test_t1_references_are_looked_up_in_pieces_from_the_last() -> None:
    crm = Crm().contact(ADA).known("<99@x>", thread="t99")
    crm.decide(mail(ADA, references=[f"<{n}@x>" for n in range(100)]))
    looked_up = [key for key in crm.asked if isinstance(key, MessageIdKey)]
    assert len(looked_up) == 10
    stranger = Crm().contact(ADA)
    stranger.decide(mail(ADA, references=[f"<{n}@x>" for n in range(100)]))
    assert stranger.rounds == 12, "the sender, ten pieces, Gmail's thread"


def test_t1_a_long_list_of_references_is_followed_to_its_root() -> None:
    crm = Crm().contact(ADA).known("<0@x>", thread="t0")
    message = mail(ADA, references=[f"<{n}@x>" for n in range(100)])
    assert only_place(crm.decide(message)).thread == "t0"


def test_t1_answers_before_their_question_meet_in_the_same_thread() -> None:
    crm = Crm().contact(ADA)
    question = only_place(crm.decide(mail(ADA, message_id="<q@x>")))
    answer = only_place(
        crm.decide(mail(ME, [ADA], message_id="<a@x>", references=["<q@x>"]))
    )
    assert question.thread == answer.thread


def test_t1_a_mail_without_message_id_begins_a_thread_of_its_own() -> None:
    crm = Crm().contact(ADA)
    nameless = mail(ADA, message_id=None)
    elsewhere = replace(nameless, gmail_message_id="g2")
    first, again, other = (
        only_place(crm.decide(item)).thread for item in (nameless, nameless, elsewhere)
    )
    assert first == again
    assert first != other


def test_an_erased_contacts_thread_is_no_thread() -> None:
    crm = Crm().contact(ADA, c="ada").known("<1@x>", c="erased", participants=[EVE])
    assert only_place(crm.decide(mail(ADA, in_reply_to=["<1@x>"]))).contact == "ada"
    assert crm.decide(mail(EVE, in_reply_to=["<1@x>"])) == Decision("M7")


# --- T2: who may go on with a thread ---------------------------------------------


@pytest.mark.parametrize(
    ("sender", "to", "recorded"),
    [
        (ADA, [ME], True),
        (BOB, [ME], True),  # a contact
        (EVE, [ME], False),  # nobody we know
        (EVE, [ME, ADA], True),  # a contact is in copy
        (EVE, [ME, BOB], True),  # one who was not in it before
        ("guest@client.example", [ME], True),  # took part before
        (EVE, [ME, "guest@client.example"], True),
        (EVE, [ME, MATE], False),
    ],
)
def test_t2_whoever_of_the_participants_writes(
    sender: str, to: list[str], recorded: bool
) -> None:
    crm = Crm().contact(ADA, c="ada").contact(BOB, c="bob").member(MATE)
    crm.known("<1@x>", c="ada", participants=[ADA, "guest@client.example"])
    decision = crm.decide(mail(sender, to, in_reply_to=["<1@x>"]))
    assert contact_of(decision) == ("ada" if recorded else None)
    assert decision.rule == "T2"


def test_t2_nobody_took_part_in_a_thread_whose_document_is_gone() -> None:
    crm = Crm().contact(ADA).known("<1@x>", participants=[EVE])
    del crm.threads["s", "t"]
    assert crm.decide(mail(EVE, in_reply_to=["<1@x>"])) == Decision("T2")


def test_t2_a_colleagues_answer_in_the_thread_is_outbound() -> None:
    crm = Crm().contact(ADA).member(MATE).known("<1@x>", participants=[ADA])
    place = only_place(crm.decide(mail(MATE, [ADA], [ME], in_reply_to=["<1@x>"])))
    assert (place.rule, place.direction, place.user) == ("T2", "outbound", "colleague")


# --- T3: begun in one subaccount's CRM -------------------------------------------


def two_subaccounts() -> Crm:
    crm = Crm().subaccount("s2")
    return crm.contact(ADA, c="c1").contact(ADA, c="c2", s="s2")


def test_t3_an_answer_to_mail_from_the_crm_is_recorded_there_only() -> None:
    crm = two_subaccounts().known("<crm@x>", c="c1", exclusive=True)
    place = only_place(crm.decide(mail(ADA, in_reply_to=["<crm@x>"])))
    assert (place.subaccount, place.exclusive) == ("s", True)


def test_t3_the_other_subaccounts_are_told_so() -> None:
    crm = two_subaccounts().known("<crm@x>", c="c2", s="s2", exclusive=True)
    decision = crm.decide(mail(ADA, in_reply_to=["<crm@x>"]))
    assert only_place(decision).subaccount == "s2"
    assert decision.refusals == {"s": "T3"}


def test_t3_through_other_answers_and_from_either_side() -> None:
    crm = two_subaccounts().known("<crm@x>", c="c1", exclusive=True, participants=[ADA])
    crm.known("<answer@x>", c="c1", exclusive=True)
    for message in (
        mail(ADA, references=["<crm@x>", "<answer@x>"]),
        mail(ME, [ADA], in_reply_to=["<answer@x>"]),
    ):
        place = only_place(crm.decide(message))
        assert (place.subaccount, place.exclusive) == ("s", True)


def test_t3_gmails_thread_counts_as_answering() -> None:
    crm = two_subaccounts()
    crm.known("<crm@x>", c="c1", exclusive=True, gmail_thread="gt")
    assert only_place(crm.decide(mail(ADA, gmail_thread="gt"))).subaccount == "s"


def test_t3_of_gmails_threads_the_exclusive_one_decides() -> None:
    crm = two_subaccounts()
    crm.known("<crm@x>", c="c1", thread="t1", exclusive=True, gmail_thread="gt")
    crm.known("<both@x>", c="c2", s="s2", thread="t2", gmail_thread="gt")
    assert only_place(crm.decide(mail(ADA, gmail_thread="gt"))).thread == "t1"
    nearer = crm.decide(mail(ADA, gmail_thread="gt", in_reply_to=["<both@x>"]))
    assert {p.subaccount: p.thread for p in nearer.places} == {"s": "t1", "s2": "t2"}


def test_t3_a_new_mail_goes_everywhere_again() -> None:
    crm = two_subaccounts().known("<crm@x>", c="c1", exclusive=True)
    decision = crm.decide(mail(ADA, gmail_thread="other"))
    assert {p.subaccount for p in decision.places} == {"s", "s2"}


def test_t3_a_forward_of_the_crms_mail_stays_in_its_subaccount() -> None:
    """It begins a thread of its own (M10), and what answers it goes nowhere else."""
    crm = two_subaccounts().contact(BOB, c="b1").contact(BOB, c="b2", s="s2")
    crm.known("<crm@x>", c="c1", exclusive=True, participants=[ADA])
    forward = mail(ME, [BOB], subject="Fwd: Offer", in_reply_to=["<crm@x>"])
    place = only_place(crm.decide(forward))
    assert (place.subaccount, place.rule, place.exclusive) == ("s", "M10", True)


def test_t3_the_nearest_ancestor_decides() -> None:
    crm = two_subaccounts()
    crm.known("<crm@x>", c="c1", exclusive=True, thread="t1")
    crm.known("<both@x>", c="c1", thread="t2")
    crm.known("<both@x>", c="c2", s="s2", thread="t3")
    decision = crm.decide(mail(ADA, references=["<crm@x>", "<both@x>"]))
    assert {p.subaccount: p.exclusive for p in decision.places} == {
        "s": False,
        "s2": False,
    }


def test_t3_a_subaccount_that_knows_only_a_farther_ancestor_uses_that() -> None:
    crm = two_subaccounts().known("<near@x>", c="c1", thread="near")
    crm.known("<far@x>", c="c2", s="s2", thread="far")
    decision = crm.decide(
        mail(ADA, in_reply_to=["<near@x>"], references=["<far@x>", "<near@x>"])
    )
    assert {p.subaccount: p.thread for p in decision.places} == {
        "s": "near",
        "s2": "far",
    }


def test_t3_not_recorded_anywhere_when_the_one_subaccount_refuses() -> None:
    crm = two_subaccounts().known("<crm@x>", c="c1", exclusive=True)
    crm.subaccount("s", never_log=(ADA,))
    assert crm.decide(mail(ADA, in_reply_to=["<crm@x>"])) == Decision("T3")


# --- M14 and cost ----------------------------------------------------------------


def test_a_strangers_mail_asks_for_the_sender_only() -> None:
    crm = Crm()
    crm.decide(mail(EVE, [ME, ADA, BOB], [MATE]))
    addresses = [key.address for key in crm.asked if isinstance(key, AddressKey)]
    assert addresses == [EVE]


@pytest.mark.parametrize("message", [mail(ADA), mail(ME, [ADA])])
def test_a_contact_at_hand_is_not_asked_for_again(message: MessageHeaders) -> None:
    crm = Crm().contact(ADA).known("<1@x>", gmail_thread="gt")
    assert crm.decide(message).rule == "T2"
    assert not any(isinstance(key, ContactKey) for key in crm.asked)


def test_m11_only_external_addresses_become_participants_of_a_thread() -> None:
    crm = Crm().subaccount(internal_domains=("inside.example",))
    crm.contact(ADA).contact(BOB).member(MATE)
    to, cc = [ADA, MATE, ME], ["x@inside.example", EVE, ADA]
    sent = only_place(crm.decide(mail(ME, to, cc)))
    assert sent.participants == (ADA, EVE)
    received = only_place(crm.decide(mail(BOB, to, cc)))
    assert received.participants == (BOB, ADA, MATE, EVE), "nobody was looked up"


def test_own_addresses_are_never_asked_for() -> None:
    crm = Crm().contact(ADA)
    crm.decide(mail(ME, [ADA, ME], [ALIAS]))
    addresses = {key.address for key in crm.asked if isinstance(key, AddressKey)}
    assert addresses == {ADA}


# --- invariants ------------------------------------------------------------------

PEOPLE = [ME, ALIAS, MATE, "any@ours.example", ADA, BOB, EVE, "cold@client.example"]
people = st.sampled_from(PEOPLE)
messages = st.builds(
    mail,
    sender=st.one_of(st.none(), people),
    to=st.lists(people, max_size=3),
    cc=st.lists(people, max_size=2),
    bcc=st.lists(people, max_size=2),
    sent=st.booleans(),
    labels=st.lists(st.sampled_from(["SPAM", "DRAFT", "UNREAD"]), max_size=1),
    authenticated=st.booleans(),
    at=st.integers(CONNECTED - 2, CONNECTED + 9),
    subject=st.sampled_from(["Hi", "Re: Hi", "Fwd: Hi"]),
    in_reply_to=st.lists(st.sampled_from(["<1@x>", "<2@x>", "<3@x>"]), max_size=2),
    references=st.lists(st.sampled_from(["<1@x>", "<2@x>", "<3@x>"]), max_size=3),
    gmail_thread=st.sampled_from(["gt", "gt2"]),
)


@st.composite
def crms(draw: st.DrawFn) -> Crm:
    crm = Crm()
    for s in ("s", "s2"):
        crm.subaccount(
            s,
            logging=draw(st.sampled_from(["established", "all_contacts", "threads"])),
            internal_domains=draw(st.sampled_from([(), ("ours.example",)])),
            never_log=draw(st.sampled_from([(), (BOB,), ("client.example",)])),
        )
        crm.member(MATE, s=s)
    for s in ("s", "s2", "foreign"):
        for address in draw(st.lists(people, max_size=4)):
            crm.contact(
                address,
                c=f"{s}-{address}",
                s=s,
                assigned=draw(st.sampled_from(["u", "other", None])),
            )
    for n, message_id in enumerate(draw(st.lists(st.sampled_from(["<1@x>", "<2@x>"])))):
        s = draw(st.sampled_from(["s", "s2", "foreign"]))
        contact = draw(st.sampled_from([f"{s}-{ADA}", f"{s}-{EVE}", f"{s}-{MATE}"]))
        crm.known(
            message_id,
            c=contact,
            s=s,
            thread=f"t{n}",
            exclusive=draw(st.booleans()),
            participants=draw(st.lists(people, max_size=2)),
            gmail_thread=draw(st.sampled_from([None, "gt"])),
        )
    return crm


@pytest.mark.slow
@given(crms(), messages)
def test_invariants(crm: Crm, message: object) -> None:
    """Whatever the situation: what is promised in docs/rules.md holds."""
    decision = crm.decide(message)  # type: ignore[arg-type]
    subaccounts = [place.subaccount for place in decision.places]
    assert len(subaccounts) == len(set(subaccounts)), "at most one record each"
    assert set(subaccounts) <= {"s", "s2"}, "nobody outside the user's subaccounts"
    for place in decision.places:
        known_contacts = {c for s, c in crm.emails if s == place.subaccount}
        assert place.contact in known_contacts, "no contact is created"
        settings = crm.subaccounts[place.subaccount]
        internal = {ME, ALIAS, MATE}
        everybody = {
            message.sender.address,  # type: ignore[attr-defined]
            *(item.address for item in (*message.to, *message.cc, *message.bcc)),  # type: ignore[attr-defined]
        }
        external = {
            person
            for person in everybody
            if person not in internal
            and person.rpartition("@")[2] not in settings.internal_domains
        }
        assert external, "internal mail is never recorded"
        assert message.internal_date >= CONNECTED  # type: ignore[attr-defined]
        assert place.holders
        assert SubaccountId("foreign") != place.subaccount


# --- M2: the SENT label, and who is behind a group's From --------------------------

NEW_ALIAS = "billing@brand-new.example"
GROUP = "sales@ours.example"


@pytest.mark.parametrize(
    "sender", [NEW_ALIAS, "rep+x@ours.example", "rep@other.example", ADA]
)
def test_m2_what_gmail_has_sent_is_the_owners_whatever_from_it_has(sender: str) -> None:
    crm = Crm().contact(ADA).contact(BOB, c="bob")
    message = mail(sender, [BOB], sent=True, authenticated=False)
    place = only_place(crm.decide(message))
    assert (place.rule, place.direction, place.contact) == ("M6", "outbound", "bob")
    assert (place.user, place.participants) == ("u", (BOB,))


def test_m2_a_new_aliass_mail_to_colleagues_stays_private() -> None:
    crm = Crm().contact(ADA).member(MATE)
    assert crm.decide(mail(NEW_ALIAS, [MATE], sent=True)) == Decision("M11")


def from_group(
    *,
    name: str | None = "'Ann Lee' via Sales",
    sender: str = GROUP,
    original: list[str] | None = None,
    reply_to: list[str] | None = None,
    is_list: bool = False,
    cc: list[str] | None = None,
    **more: Any,
) -> MessageHeaders:
    return replace(
        mail(sender, cc=cc or (), sent=False, **more),
        sender=Address(name, sender),
        original_senders=tuple(Address("Ann Lee", item) for item in original or ()),
        reply_to=tuple(
            Address(None, reply_recipient) for reply_recipient in reply_to or ()
        ),
        is_list=is_list,
        authenticity="pass",
    )


@pytest.mark.parametrize(
    "message",
    [
        from_group(original=[ADA]),
        from_group(original=[ADA], reply_to=[ADA]),
        from_group(original=[ADA], reply_to=[GROUP]),
        from_group(original=[ADA], name=None),
        from_group(reply_to=[ADA]),
        from_group(reply_to=[ADA, GROUP]),
        from_group(reply_to=[ADA], name=None, is_list=True),
        from_group(original=[ADA], cc=[BOB]),
    ],
)
def test_m2_mail_that_a_group_passed_on_is_its_true_senders(
    message: MessageHeaders,
) -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",))
    crm.contact(ADA).contact(BOB, c="bob")
    place = only_place(crm.decide(message))
    assert (place.rule, place.direction, place.user) == ("M5", "inbound", None)
    assert (place.contact, place.participants[0]) == ("c", ADA)
    assert place.sender is not None
    assert place.sender.address == ADA
    seen = as_recorded(message, place)
    assert (seen.sender, seen.authenticity, seen.authenticated) == (
        place.sender,
        "unknown",
        False,
    )
    # The same email as one that came without the group.
    direct = mail(ADA, sent=False)
    here = crm.mailbox().id
    assert record_id(message, here, place) == id_of(direct, here)
    assert as_recorded(direct, replace(place, sender=None)) == direct


@pytest.mark.parametrize(
    "message",
    [
        from_group(),
        from_group(reply_to=[GROUP]),
        from_group(reply_to=[ADA, BOB]),
        from_group(original=[ADA, BOB]),
        from_group(original=[ADA, MATE]),
        from_group(original=[ADA], authenticated=False),
        from_group(original=[ADA], cc=[BOB], authenticated=False),
        from_group(cc=[BOB]),
        from_group(name="Ann VIA Sales", cc=[BOB]),
        from_group(name=None, is_list=True, reply_to=[ADA, BOB], cc=[BOB]),
    ],
)
def test_m2_whose_mail_it_is_cannot_be_told(message: MessageHeaders) -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",))
    crm.contact(ADA).contact(BOB, c="bob")
    assert crm.decide(message) == Decision("M2")


@pytest.mark.parametrize(
    "message",
    [
        from_group(name=None, cc=[BOB]),
        from_group(name="Olivia Sales", cc=[BOB]),
        from_group(name="via Sales", cc=[BOB]),
        from_group(name="Mate", original=[MATE], sender=MATE, cc=[BOB]),
        from_group(name="Mate via Sales", original=[MATE], cc=[BOB], reply_to=[ADA]),
        from_group(name="Mate", is_list=True, cc=[BOB]),
        from_group(name="Mate", is_list=True, reply_to=[GROUP], cc=[BOB]),
        from_group(name="Mate", reply_to=[ADA], cc=[BOB]),
    ],
)
def test_m2_a_colleagues_own_mail_stays_ours(message: MessageHeaders) -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",))
    crm.contact(ADA).contact(BOB, c="bob").member(MATE)
    place = only_place(crm.decide(message))
    assert (place.rule, place.contact, place.sender) == ("M6", "bob", None)


def test_m2_what_a_group_passed_on_of_a_stranger_is_a_strangers() -> None:
    crm = Crm().subaccount(internal_domains=("ours.example",)).contact(BOB, c="bob")
    assert crm.decide(from_group(original=[EVE], cc=[BOB])) == Decision("M7")


# --- M11, M12: other spellings of one mailbox ----------------------------------------


@pytest.mark.parametrize(
    ("member", "written"),
    [
        ("cole@ours.example", "cole+crm@ours.example"),
        ("cole@gmail.com", "c.o.l.e+x@googlemail.com"),
        ("rep@ours.example", "rep+news@ours.example"),
    ],
)
def test_m11_a_colleague_is_one_in_every_spelling(member: str, written: str) -> None:
    crm = Crm().contact(ADA).member(member).known("<1@x>", participants=[ADA])
    assert crm.decide(mail(ME, [written], in_reply_to=["<1@x>"])) == Decision("M11")
    received = mail(written, [ADA], [ME], sent=False)
    assert only_place(crm.decide(received)).direction == "outbound"
    forged = mail(written, [ADA], [ME], sent=False, authenticated=False)
    assert crm.decide(forged) == Decision("M2")
    if member != ME:
        assert only_place(crm.decide(received)).user == "colleague"


@pytest.mark.parametrize(
    ("entry", "contact"),
    [
        ("ada@client.example", "ada+work@client.example"),
        ("ada+work@client.example", "ada@client.example"),
        ("a.da@gmail.com", "ada+x@googlemail.com"),
    ],
)
def test_m12_an_entry_hides_every_spelling(entry: str, contact: str) -> None:
    assert Crm().contact(contact).never_log(entry).decide(mail(contact)).rule == "M12"
    listed = Crm().subaccount(never_log=(entry,)).contact(contact)
    assert listed.decide(mail(contact)).rule == "M12"


def test_m11_other_spellings_are_looked_up_only_where_there_are_any() -> None:
    crm = Crm().contact(ADA)
    crm.decide(mail(ADA))
    assert [key for key in crm.asked if isinstance(key, AddressKey)] == [
        AddressKey(S, ADA)
    ]


# --- T2: a direct answer from an address that nobody knows -----------------------------


@pytest.mark.parametrize(
    ("answers", "references", "gmail_thread", "ours", "recorded"),
    [
        (["<1@x>"], [], "other", True, True),
        (["<1@x>"], ["<0@x>"], "gt", True, True),
        (["<1@x>"], [], "gt", False, False),
        ([], ["<1@x>"], "other", True, False),
        ([], [], "gt", True, False),
        (["<forward@x>"], ["<1@x>"], "gt", True, False),
        (["<forward@x>", "<1@x>"], [], "gt", True, True),
    ],
)
@pytest.mark.parametrize("authenticated", [True, False])
def test_t2_a_direct_answer_from_an_address_that_nobody_knows(
    answers: list[str],
    references: list[str],
    gmail_thread: str,
    *,
    ours: bool,
    recorded: bool,
    authenticated: bool,
) -> None:
    crm = Crm().contact(ADA, c="ada")
    crm.known("<1@x>", c="ada", participants=[ADA], gmail_thread="gt", ours=ours)
    message = mail(
        EVE,
        in_reply_to=answers,
        references=references,
        gmail_thread=gmail_thread,
        authenticated=authenticated,
    )
    decision = crm.decide(message)
    assert decision.rule == "T2"
    assert contact_of(decision) == ("ada" if recorded else None)
    for place in decision.places:
        assert (place.direction, place.new_contacts, place.establish) == (
            "inbound",
            (),
            (),
        )


def test_t2_an_answer_to_ours_in_another_thread_is_no_direct_answer_here() -> None:
    crm = Crm().contact(ADA, c="ada").contact(BOB, c="bob")
    crm.known("<1@x>", c="ada", participants=[ADA])
    crm.known("<2@x>", c="bob", thread="t2", participants=[BOB], ours=True)
    message = mail(EVE, in_reply_to=["<1@x>", "<2@x>"])
    assert crm.decide(message) == Decision("T2")
