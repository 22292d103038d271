"""B2-B7 as tables: who is believed, which conversation, which contacts, who is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import SubaccountId, UserId
from shared.core.mail import Address, MessageHeaders
from shared.core.matching import bcc
from shared.core.matching.bcc import HIDDEN, LOGGING, DropFormat
from shared.core.matching.facts import DropFact, DropKey, Fact, Key
from shared.core.matching.rules import Decision, decide
from shared.core.people import MailboxForMatching, UserForMatching
from tests.support.crm import ALIAS, CONNECTED, ME, Crm, S, U, mail

ADA, BOB, MATE = "ada@client.example", "bob@client.example", "mate@ours.example"
TOKEN = "a" * 20
PROFILE = "profile@ours.example"
FORM = DropFormat.parse("log+{token}@logs.example")


class BccCrm(Crm):
    """A CRM in which the user has a BCC address with TOKEN."""

    drops: dict[str, DropFact]
    logging: bool = False

    def fact(self, key: Key) -> Fact:
        if isinstance(key, DropKey):
            return self.own().get(key.token)
        return super().fact(key)

    def own(self) -> dict[str, DropFact]:
        user = self.users["u"]
        return {
            TOKEN: DropFact(
                self.subaccounts["s"],
                U,
                next(m.never_log for m in user.memberships if m.subaccount == S),
                frozenset({ME, ALIAS, PROFILE}),
                tuple(one.subaccount for one in user.memberships),
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


# --- recognising and hiding (B6) -------------------------------------------------


@pytest.mark.parametrize(
    ("address", "token"),
    [
        (f"log+{TOKEN}@logs.example", TOKEN),
        (f"log+{TOKEN}x@logs.example", None),
        (f"log+{TOKEN[:-1]}@logs.example", None),
        (f"log+{TOKEN[:-1]}1@logs.example", None),
        (f"log-{TOKEN}@logs.example", None),
        (f"log+{TOKEN}@sub.logs.example", None),
        ("log@logs.example", None),
    ],
)
def test_b6_an_address_is_recognised_by_its_form(
    address: str, token: str | None
) -> None:
    assert FORM is not None
    assert FORM.token_of(address) == token


@pytest.mark.parametrize("where", ["to", "cc", "bcc", "delivered_to"])
def test_b6_nothing_is_left_of_the_address(where: str) -> None:
    assert FORM is not None
    address = FORM.address(TOKEN)
    value: Any = address if where == "delivered_to" else Address(address, address)
    message = replace(mail(ME, [ADA]), **{where: (value,)})
    veiled = bcc.veil(message, FORM)
    assert veiled.drops == (TOKEN,)
    assert TOKEN not in repr(replace(veiled, drops=()))
    shown = veiled.cc if where in {"to", "cc"} else veiled.bcc
    assert shown == (HIDDEN,)


def test_b6_a_mail_from_the_address_matches_nothing() -> None:
    assert FORM is not None
    message = mail(FORM.address(TOKEN), [ME])
    assert bcc.veil(message, FORM).sender is None
    assert bcc.veil(message, None).sender is not None


def test_b1_no_format_no_address() -> None:
    assert DropFormat.parse(None) is None


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
    assert [one.direction for one in decision.places] == ["inbound"] * recorded


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
    assert [one.address for one in place.new_contacts] == [BOB]


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


def test_b7_colleagues_do_not_count_for_the_cap() -> None:
    crm = BccCrm().subaccount(internal_domains=("ours.example",))
    to = [ADA, *(f"p{n}@ours.example" for n in range(60))]
    (place,) = crm.at_logging_mailbox(logged(to)).places
    assert len(place.new_contacts) == 1


def test_b2_logs_in_the_subaccount_of_the_address_and_m_in_the_others() -> None:
    crm = BccCrm().subaccount("s2").contact(ADA, "c2", "s2")
    places = crm.decide(logged(sender=ME)).places
    assert [(one.subaccount, one.rule) for one in places] == [("s", "B2"), ("s2", "M6")]
    assert SubaccountId("s2") not in crm.at_logging_mailbox(logged(sender=ME)).refusals


def test_two_addresses_of_one_subaccount_log_once() -> None:
    crm = BccCrm()
    own = crm.own()[TOKEN]
    other = replace(own, user=UserId("v"), addresses=frozenset({MATE}))
    crm.own = lambda: {TOKEN: own, "b" * 20: other}  # type: ignore[method-assign]
    for drops in ((TOKEN, "b" * 20), ("b" * 20, TOKEN)):
        decision = crm.at_logging_mailbox(replace(logged(), drops=drops))
        assert [one.user for one in decision.places] == [U]


def test_decide_is_what_both_mailboxes_run() -> None:
    asking = decide(mail(ADA, labels=["SPAM"]), BccCrm().mailbox())
    with pytest.raises(StopIteration):
        next(asking)
