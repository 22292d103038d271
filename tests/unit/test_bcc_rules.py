"""B2-B7 as tables: who is believed, which conversation, which contacts, who is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import ContactId, MailboxId, SubaccountId, UserId
from shared.core.mail import Address, MessageHeaders
from shared.core.matching import bcc
from shared.core.matching.ancestors import new_thread
from shared.core.matching.bcc import LOGGING
from shared.core.matching.facts import (
    AddressFact,
    BccOwner,
    BccOwnerKey,
    Fact,
    Key,
    QuotaKey,
)
from shared.core.matching.places import NewContact, Placement
from shared.core.matching.rules import Decision, decide
from shared.core.people import (
    MailboxForMatching,
    SubaccountForMatching,
    UserForMatching,
)
from tests.support.crm import ALIAS, CONNECTED, ME, Crm, S, U, mail

ADA, BOB, MATE = "ada@client.example", "bob@client.example", "mate@ours.example"
TOKEN = "a" * 20
PROFILE = "profile@ours.example"


class BccCrm(Crm):
    """A CRM in which the user has a BCC address with TOKEN."""

    drops: dict[str, BccOwner]
    logging: bool = False

    def fact(self, key: Key) -> Fact:
        if isinstance(key, BccOwnerKey):
            return self.own().get(key.token)
        return super().fact(key)

    def own(self) -> dict[str, BccOwner]:
        user = self.users["u"]
        return {
            TOKEN: BccOwner(
                self.subaccounts["s"],
                U,
                next(m.never_log for m in user.memberships if m.subaccount == S),
                frozenset({ME, ALIAS, PROFILE}),
                tuple(membership.subaccount for membership in user.memberships),
            )
        }

    def mailbox(self) -> MailboxForMatching:
        found = super().mailbox()
        if not self.logging:
            return found
        return replace(
            found,
            address="log@logs.example",
            own_addresses=frozenset({"log@logs.example"}),
            users=(UserForMatching(LOGGING, CONNECTED),),
            subaccounts=(),
        )

    def at_logging_mailbox(self, message: MessageHeaders) -> Decision:
        self.logging = True
        return self.decide(message)


def logged(
    to: Any = (ADA,), sender: str = PROFILE, *, authenticated: bool = True, **more: Any
) -> MessageHeaders:
    message = mail(sender, to, authenticated=authenticated, **more)
    return replace(message, drops=(TOKEN,))


# --- B2: conversation and contacts -----------------------------------------------


@pytest.mark.parametrize("logging", [True, False])
def test_b2_the_conversation_is_that_of_the_first_to_recipient(logging: bool) -> None:
    crm = BccCrm().contact(BOB, "bob")
    crm.logging = logging
    decision = crm.decide(logged([ADA, BOB]))
    (place,) = decision.places
    (new,) = place.new_contacts
    assert (place.contact, place.rule, place.route) == (new.id, "B2", "bcc")
    assert (new.address, new.name, new.assigned_to) == (ADA, ADA, U)
    assert place.establish == (ADA, BOB)
    assert place.user == U


def test_b2_a_logged_mail_is_recorded_whole() -> None:
    message = logged([ADA, MATE], cc=[BOB], message_id=None)
    crm = BccCrm().member(MATE)
    (place,) = crm.at_logging_mailbox(message).places
    ada = ContactId(bcc.contact_id(S, ADA, 0))
    assert place == Placement(
        S,
        contact=ada,
        thread=new_thread(message, MailboxId("b"), ada, forward=False),
        direction="outbound",
        rule="B2",
        holders=(LOGGING,),
        user=U,
        participants=(ADA, BOB),
        route="bcc",
        new_contacts=(NewContact(ada, ADA, ADA, U),),
        establish=(ADA,),
    )


def test_b2_a_forward_begins_a_thread_and_is_not_linked_to_gmails() -> None:
    message = logged(subject="Fwd: Hello", references=["<root@x>"])
    (place,) = BccCrm().at_logging_mailbox(message).places
    root = new_thread(message, MailboxId("b"), place.contact, forward=True)
    assert (place.thread, place.link_gmail_thread) == (root, False)


def test_b2_a_new_contact_is_named_by_its_display_name() -> None:
    message = replace(logged(), to=(Address("Ada L.", ADA), Address(None, BOB)))
    (place,) = BccCrm().at_logging_mailbox(message).places
    assert [new_contact.name for new_contact in place.new_contacts] == ["Ada L.", BOB]


def test_t3_logged_in_a_thread_that_exists_here_only() -> None:
    crm = BccCrm().contact(ADA).known("<1@x>", exclusive=True, participants=[ADA])
    (place,) = crm.decide(logged(in_reply_to=["<1@x>"])).places
    assert (place.thread, place.exclusive) == ("t", True)


def test_t1_gmails_thread_counts_for_logged_mail_too() -> None:
    crm = BccCrm().contact(ADA)
    crm.known("<1@x>", participants=[ADA], gmail_thread="gt")
    (sent,) = crm.decide(logged()).places
    (answer,) = crm.at_logging_mailbox(logged(sender=ADA, to=[ME])).places
    assert (sent.thread, answer.thread) == ("t", "t")


def taken_ids(crm: BccCrm, count: int, *, by: str = BOB) -> BccCrm:
    for attempt in range(count):
        crm.emails["s", bcc.contact_id(S, ADA, attempt)] = (by,)
    return crm


@pytest.mark.parametrize(("taken", "used"), [(0, 0), (1, 1), (7, 7)])
def test_b2_an_id_that_the_crm_gave_away_is_passed_over(taken: int, used: int) -> None:
    (place,) = taken_ids(BccCrm(), taken).decide(logged()).places
    assert [new_contact.id for new_contact in place.new_contacts] == [
        bcc.contact_id(S, ADA, used)
    ]


def test_b2_where_every_id_is_taken_no_contact_is_made() -> None:
    assert taken_ids(BccCrm(), 8).decide(logged()) == Decision("M7")


def test_b2_a_contact_that_another_copy_made_meanwhile_keeps_its_id() -> None:
    """Making it again fails, and then the mail is decided anew."""
    (place,) = taken_ids(BccCrm(), 1, by=ADA).decide(logged()).places
    assert [new_contact.id for new_contact in place.new_contacts] == [
        bcc.contact_id(S, ADA, 0)
    ]


@pytest.mark.parametrize(("erased_at", "made"), [(-1, 1), (0, 0), (1, 0)])
def test_b2_mail_from_before_an_erasure_makes_no_contact(
    erased_at: int, made: int
) -> None:
    crm, message = BccCrm(), logged([ADA, BOB])
    at = message.internal_date + erased_at
    crm.addresses["s", ADA] = AddressFact(erased_at=at)
    (place,) = crm.decide(message).places
    assert [new_contact.address for new_contact in place.new_contacts] == [ADA, BOB][
        1 - made :
    ]


def test_b2_both_mailboxes_give_the_same_place_but_for_the_holders() -> None:
    message = logged([ADA, BOB], sender=ME, sent=False)
    (here,) = BccCrm().decide(message).places
    (there,) = BccCrm().at_logging_mailbox(message).places
    assert replace(here, holders=()) == replace(there, holders=())
    assert (here.holders, there.holders) == ((U,), (LOGGING,))


@pytest.mark.parametrize(("cc", "bcc"), [([BOB], []), ([], [BOB])])
def test_b2_with_nobody_outside_in_to_an_existing_contact_in_copy_counts(
    cc: list[str], bcc: list[str]
) -> None:
    crm = BccCrm().member(MATE).contact(BOB, "bob", assigned=None)
    (place,) = crm.decide(logged([MATE], cc=cc, bcc=bcc)).places
    assert (place.contact, place.new_contacts) == ("bob", ())
    assert place.establish == (BOB,)
    crm = BccCrm().member(MATE)
    assert crm.decide(logged([MATE], cc=cc, bcc=bcc)) == Decision("M7")


def test_b2_an_established_contact_is_not_established_again() -> None:
    crm = BccCrm().contact(ADA).established(ADA)
    (place,) = crm.decide(logged()).places
    assert place.establish == ()


def test_b2_a_known_thread_goes_on_and_a_forward_leaves_it() -> None:
    crm = BccCrm().contact(BOB, "bob").known("<1@x>", "bob", participants=[BOB])
    (place,) = crm.decide(logged([BOB, ADA], in_reply_to=["<1@x>"])).places
    assert (place.thread, place.contact) == ("t", "bob")
    (place,) = crm.decide(logged([ADA], in_reply_to=["<1@x>"])).places
    assert (place.thread != "t", place.link_gmail_thread) == (True, False)
    (place,) = crm.decide(logged([BOB], in_reply_to=["<1@x>"], subject="Fwd: x")).places
    assert place.thread != "t"


def test_t3_an_answer_to_another_subaccounts_crm_mail_is_only_there() -> None:
    crm = BccCrm().subaccount("s2").contact(ADA, "c2", "s2")
    crm.known("<1@x>", "c2", "s2", exclusive=True, participants=[ADA])
    message = logged(in_reply_to=["<1@x>"])
    assert crm.decide(message).places[0].subaccount == "s2"
    assert crm.at_logging_mailbox(message).rule == "T3"
    answer = logged(sender=ADA, to=[ME], in_reply_to=["<1@x>"])
    assert crm.at_logging_mailbox(answer).rule == "T3"


def test_t3_mail_that_bcc_logs_where_its_thread_is_goes_nowhere_else() -> None:
    """Found by the simulation: where BCC had answered, T3 was not looked at."""
    crm = BccCrm().contact(ADA).subaccount("s2").contact(ADA, "c2", "s2")
    crm.known("<1@x>", exclusive=True, participants=[ADA])
    decision = crm.decide(logged(in_reply_to=["<1@x>"]))
    assert [place.subaccount for place in decision.places] == ["s"]
    assert decision.refusals == {"s2": "T3"}


# --- B5, B6: who is believed -----------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "authenticated", "rule"),
    [
        (PROFILE, True, "B2"),
        (ME, True, "B2"),
        (ALIAS, True, "B2"),
        (PROFILE, False, "B5"),
        (MATE, True, "B5"),
        (ADA, True, "B5"),
        ("eve@evil.example", True, "B5"),
    ],
)
def test_b5_who_may_log(sender: str, authenticated: bool, rule: str) -> None:
    crm = BccCrm().member(MATE).contact(ADA)
    message = logged([BOB], sender=sender, sent=False, authenticated=authenticated)
    decision = crm.at_logging_mailbox(message)
    assert decision.rule == rule
    assert decision.recorded is (rule == "B2")
    assert decision.concerns == (U,)


def test_b5_in_a_users_mailbox_a_refused_address_changes_nothing() -> None:
    crm = BccCrm().contact(ADA)
    (place,) = crm.decide(logged(sender=ADA, to=[ME])).places
    assert (place.rule, place.route) == ("M5", "gmail")


@pytest.mark.parametrize("sender", [PROFILE, "an-alias-of-a-minute-ago@x.example"])
def test_m2_a_sent_copy_is_the_users_whatever_from_it_has(sender: str) -> None:
    message = logged(sender=sender, sent=True, authenticated=False)
    assert BccCrm().decide(message).rule == "B2"


@pytest.mark.parametrize(("sender", "logs"), [(ME, True), (PROFILE, False)])
def test_b5_a_sent_copy_in_a_colleagues_mailbox_proves_that_mailboxs_addresses_only(
    sender: str, logs: bool
) -> None:
    """The BCC address is a user's who does not have this mailbox."""
    crm = BccCrm()
    crm.user("v")
    theirs = replace(crm.mailbox(), users=(crm.users["v"],))
    crm.mailbox = lambda: theirs  # type: ignore[method-assign]
    message = logged(sender=sender, sent=True, authenticated=False)
    assert (crm.decide(message).rule == "B2") is logs


@pytest.mark.parametrize("sent", [True, False])
def test_b5_a_sent_copy_needs_no_authentication(sent: bool) -> None:
    message = logged(sender=ME, sent=sent, authenticated=False)
    assert BccCrm().decide(message).rule == ("B2" if sent else "M2")


@pytest.mark.parametrize(
    ("sender", "authenticated", "recorded"),
    [(ADA, True, True), (ADA, False, False), (BOB, True, False), (MATE, True, False)],
)
def test_b6_only_a_participant_answers(
    sender: str, authenticated: bool, recorded: bool
) -> None:
    crm = BccCrm().contact(ADA).member(MATE).contact(BOB, "bob")
    crm.known("<1@x>", participants=[ADA])
    message = logged(
        sender=sender, to=[ME], in_reply_to=["<1@x>"], authenticated=authenticated
    )
    decision = crm.at_logging_mailbox(message)
    assert decision.rule == ("B6" if recorded else "B5")
    assert [place.direction for place in decision.places] == ["inbound"] * recorded


def test_b6_an_answer_is_recorded_whole() -> None:
    crm = BccCrm().subaccount(internal_domains=("inside.example",)).contact(ADA)
    crm.known("<1@x>", participants=[ADA], exclusive=True)
    message = logged(
        sender=ADA,
        to=[ME, BOB, "x@inside.example"],
        cc=[PROFILE, "log@logs.example"],
        in_reply_to=["<1@x>"],
    )
    assert crm.at_logging_mailbox(message).places == (
        Placement(
            S,
            contact="c",
            thread="t",
            direction="inbound",
            rule="B6",
            holders=(LOGGING,),
            user=None,
            exclusive=True,
            participants=(ADA, BOB),
            route="bcc",
        ),
    )


def test_b1_an_unknown_address_is_nobodys() -> None:
    message = replace(logged(), drops=("b" * 20,))
    assert BccCrm().at_logging_mailbox(message) == Decision("B1")
    assert BccCrm().at_logging_mailbox(replace(message, drops=())) == Decision("B1")
    unreadable = replace(logged(), sender=None)
    assert BccCrm().at_logging_mailbox(unreadable) == Decision("M13", concerns=(U,))


# --- B7, M11, M12 ----------------------------------------------------------------


@pytest.mark.parametrize(
    "to", [[MATE], [ME], ["x@inside.example"], ["log@logs.example"]]
)
def test_m11_internal_mail_is_not_logged(to: list[str]) -> None:
    crm = BccCrm().subaccount(internal_domains=("inside.example",)).member(MATE)
    assert crm.at_logging_mailbox(logged(to)).rule == "M11"


@pytest.mark.parametrize("whose", ["subaccount", "user"])
def test_m12_a_listed_first_recipient_keeps_the_mail_out(whose: str) -> None:
    crm = BccCrm()
    if whose == "user":
        crm.never_log(ADA)
    else:
        crm.subaccount(never_log=(ADA,))
    assert crm.at_logging_mailbox(logged([ADA, BOB])).rule == "M12"
    (place,) = crm.at_logging_mailbox(logged([BOB, ADA])).places
    assert [new_contact.address for new_contact in place.new_contacts] == [BOB]


@pytest.mark.parametrize("first", [ADA, "new@client.example"])
def test_m12_another_user_of_the_mailbox_holds_no_mail_with_whom_they_list(
    first: str,
) -> None:
    crm = BccCrm().user("v").never_log("client.example", u="v").contact(ADA)
    (place,) = crm.decide(logged([first])).places
    assert place.holders == (U,)


def test_m12_any_address_of_a_contact_may_be_listed() -> None:
    crm = BccCrm().never_log("ada@home.example")
    crm.contact(ADA, emails=["ada@home.example"])
    assert crm.decide(logged([ADA, BOB])) == Decision("M12")
    (place,) = crm.decide(logged([BOB, ADA])).places
    assert place.establish == (BOB,)


@pytest.mark.parametrize("sender", [PROFILE, ADA])
def test_m12_a_thread_of_a_listed_contact_is_not_logged(sender: str) -> None:
    crm = BccCrm().contact(ADA).contact(BOB, "bob").never_log(ADA)
    crm.known("<1@x>", participants=[ADA, BOB])
    message = logged([BOB, ADA], sender=sender, in_reply_to=["<1@x>"])
    assert crm.at_logging_mailbox(message).rule == "M12"


@pytest.mark.parametrize(("many", "made"), [(50, 50), (51, 0)])
def test_b7_contacts_are_capped(many: int, made: int) -> None:
    to = [f"p{n}@client.example" for n in range(many)]
    decision = BccCrm().at_logging_mailbox(logged(to))
    assert len([n for p in decision.places for n in p.new_contacts]) == made
    assert decision.rule == ("B2" if made else "B7")


@pytest.mark.parametrize(("left", "made"), [(2, 2), (1, 0), (0, 0)])
def test_b7_a_mail_makes_all_its_contacts_or_none_of_what_the_day_has_left(
    left: int, made: int
) -> None:
    crm = BccCrm(contacts_left=left)
    decision = crm.at_logging_mailbox(logged([ADA, BOB]))
    assert len([n for p in decision.places for n in p.new_contacts]) == made
    assert decision.rule == ("B2" if made else "B7")


def test_b7_above_the_daily_cap_known_contacts_are_logged_and_it_says_why() -> None:
    crm = BccCrm(contacts_left=0).contact(BOB, "bob")
    (place,) = crm.at_logging_mailbox(logged([ADA, BOB])).places
    assert (place.contact, place.rule, place.new_contacts) == ("bob", "B7", ())
    assert place.establish == (BOB,), "nobody is established who is no contact"


def test_b7_above_the_daily_cap_the_never_log_list_still_comes_first() -> None:
    crm = BccCrm(contacts_left=0).never_log(ADA).contact(BOB, "bob")
    mail_to_three = logged([ADA, BOB, "c@client.example"])
    assert crm.at_logging_mailbox(mail_to_three).rule == "M12"


def test_b7_mail_that_makes_no_contact_does_not_ask_what_is_left() -> None:
    crm = BccCrm(contacts_left=0).contact(ADA)
    assert crm.at_logging_mailbox(logged()).rule == "B2"
    assert not any(isinstance(item, QuotaKey) for item in crm.asked)


def test_b7_colleagues_do_not_count_for_the_cap() -> None:
    crm = BccCrm().subaccount(internal_domains=("ours.example",))
    to = [ADA, *(f"p{n}@ours.example" for n in range(60))]
    (place,) = crm.at_logging_mailbox(logged(to)).places
    assert len(place.new_contacts) == 1


def test_b2_logs_in_the_subaccount_of_the_address_and_m_in_the_others() -> None:
    crm = BccCrm().subaccount("s2").contact(ADA, "c2", "s2")
    places = crm.decide(logged(sender=ME)).places
    assert [(place.subaccount, place.rule) for place in places] == [
        ("s", "B2"),
        ("s2", "M6"),
    ]
    assert SubaccountId("s2") not in crm.at_logging_mailbox(logged(sender=ME)).refusals


def test_two_addresses_of_one_subaccount_log_once() -> None:
    crm = BccCrm()
    own = crm.own()[TOKEN]
    other = replace(own, user=UserId("v"), addresses=frozenset({MATE}))
    crm.own = lambda: {TOKEN: own, "b" * 20: other}  # type: ignore[method-assign]
    for drops in ((TOKEN, "b" * 20), ("b" * 20, TOKEN)):
        decision = crm.at_logging_mailbox(replace(logged(), drops=drops))
        assert [place.user for place in decision.places] == [U]


def test_b1_of_several_addresses_that_may_log_the_first_of_each_subaccount_counts() -> (
    None
):
    crm = BccCrm().contact(ADA).subaccount("s2")
    first = crm.own()[TOKEN]
    second = replace(first, user=UserId("v"))
    there = replace(first, subaccount=SubaccountForMatching(SubaccountId("s2")))
    crm.own = lambda: {TOKEN: first, "b" * 20: second, "c" * 20: there}  # type: ignore[method-assign]
    message = replace(logged(), drops=(TOKEN, "b" * 20, "c" * 20))
    places = crm.at_logging_mailbox(message).places
    assert [(place.subaccount, place.user) for place in places] == [("s", U), ("s2", U)]


def test_m12_one_users_list_does_not_close_anothers_address() -> None:
    crm = BccCrm().contact(ADA).known("<1@x>", participants=[ADA])
    open_to_ada = crm.own()[TOKEN]
    closed = replace(open_to_ada, user=UserId("v"), never_log=(ADA,))
    crm.own = lambda: {TOKEN: open_to_ada, "b" * 20: closed}  # type: ignore[method-assign]
    answer = logged(sender=ADA, to=[ME], in_reply_to=["<1@x>"])
    for drops in ((TOKEN, "b" * 20), ("b" * 20, TOKEN)):
        assert crm.at_logging_mailbox(replace(answer, drops=drops)).rule == "B6"


def test_b5_the_senders_own_address_tells_why_not_whatever_else_is_in_copy() -> None:
    crm = BccCrm().never_log(ADA)
    own = crm.own()[TOKEN]
    foreign = replace(own, user=UserId("v"), addresses=frozenset({MATE}))
    crm.own = lambda: {TOKEN: own, "b" * 20: foreign}  # type: ignore[method-assign]
    for drops in ((TOKEN, "b" * 20), ("b" * 20, TOKEN)):
        assert crm.at_logging_mailbox(replace(logged(), drops=drops)).rule == "M12"


def test_m4_a_users_mailbox_logs_in_the_users_subaccounts_only() -> None:
    crm = BccCrm()
    foreign = replace(crm.own()[TOKEN], subaccount=SubaccountForMatching("s9"))
    crm.own = lambda: {TOKEN: foreign}  # type: ignore[method-assign]
    assert crm.decide(logged(sender=ME)) == Decision("M7")


def test_decide_is_what_both_mailboxes_run() -> None:
    asking = decide(mail(ADA, labels=["SPAM"]), BccCrm().mailbox())
    with pytest.raises(StopIteration):
        next(asking)


def test_m3_a_sender_logged_in_one_subaccount_can_be_a_contact_in_another() -> None:
    """The address is looked up in every subaccount of the user, logged or not."""
    crm = BccCrm().subaccount("s2").contact(PROFILE, "c2", "s2").contact(ADA)
    decision = crm.decide(logged([ADA, ME]))
    assert [(place.subaccount, place.rule) for place in decision.places] == [
        ("s", "B2"),
        ("s2", "M5"),
    ]
