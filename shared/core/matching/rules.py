"""Decide where a Gmail message is recorded, or by which rule it is not (SPEC M, T).

The rules read headers only (M14) and ask for facts about addresses and threads by key;
they write nothing and know nothing of where facts come from.

Longer than other modules because the rules are read against each other: splitting them
would hide which one comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from shared.core.ids import ContactId, MessageId, SubaccountId, UserId
from shared.core.mail import LABELS_OUT_OF_SIGHT, NEVER_READ, MessageHeaders
from shared.core.matching.ancestors import KnownThread, find_threads, new_thread
from shared.core.matching.bcc import LOGGING
from shared.core.matching.bcc_rules import drops_of, log_answer, log_own, may_log
from shared.core.matching.facts import (
    AddressKey,
    Asking,
    ContactAtAddress,
    CrmMessageKey,
    DropFact,
    Known,
    ThreadKey,
)
from shared.core.matching.places import Decision, Place, recipients
from shared.core.parsing.address import in_domains, is_listed
from shared.core.parsing.headers import is_forward_subject
from shared.core.people import (
    MailboxForMatching,
    SubaccountForMatching,
    UserForMatching,
)
from shared.core.records import Direction

__all__ = ["TELLING", "Decision", "Place", "decide", "recipients"]

# When several subaccounts refuse for different reasons, the decision names the one
# that tells the user most.
TELLING = (
    *("T3", "M2", "M12", "M10", "M3", "T2"),
    *("B5", "B7", "M11", "M7", "B1"),
)


@dataclass(frozen=True, slots=True)
class _Case:
    """One message in one subaccount, with the users for whom it is considered."""

    message: MessageHeaders
    mailbox: MailboxForMatching
    subaccount: SubaccountForMatching
    users: tuple[UserForMatching, ...]
    own: bool
    thread: KnownThread | None
    exclusive: bool


def decide(message: MessageHeaders, mailbox: MailboxForMatching) -> Asking[Decision]:
    """Decide about one message of one mailbox, in all of its users' subaccounts.

    Promises: internal mail is never recorded (M11), nothing outside the users'
    subaccounts, at most one place a subaccount, no contact is created but by the
    user's own BCC address (M7, B2). The message has been through `bcc.veil`.
    """
    if message.labels & (NEVER_READ | LABELS_OUT_OF_SIGHT):
        return Decision("M1")
    users = tuple(u for u in mailbox.users if message.internal_date >= u.since)
    if not users:
        return Decision("C2")
    known = Known()
    drops = yield from drops_of(known, message)
    logging = any(user.id == LOGGING for user in users)
    concerns = tuple(sorted({one.user for one in drops})) if logging else ()
    if message.sender is None:
        return Decision("M13", concerns=concerns)
    ids = tuple(
        sorted({member.subaccount for user in users for member in user.memberships})
    )
    if not ids and not logging:
        return Decision("M4")
    reach = {*ids, *(one for drop in drops if logging for one in drop.memberships)}
    copy = yield from _copy_of_crm_mail(known, message, users, reach)
    if copy is not None:
        return Decision(copy.rule, (copy,))
    logged = yield from _logged(known, message, mailbox, users, drops)
    answers = yield from _matched(
        known, message, mailbox, users, [one for one in ids if one not in logged]
    )
    answers = dict(sorted((logged | answers).items()))
    places = tuple(
        one for one in answers.values() if isinstance(one, Place) and one.rule != "M3"
    )
    copies = tuple(
        one for one in answers.values() if isinstance(one, Place) and one.rule == "M3"
    )
    refusals = {s: one for s, one in answers.items() if isinstance(one, str)}
    refusals |= {one.subaccount: one.rule for one in copies}
    rule = min(refusals.values(), key=TELLING.index, default="B1")
    if places:
        rule = places[0].rule
    return Decision(rule, places, copies, concerns, refusals)


def _logged(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    users: tuple[UserForMatching, ...],
    drops: Sequence[DropFact],
) -> Asking[dict[SubaccountId, Place | str]]:
    """B2, B5, B6: the subaccounts whose BCC address the message names.

    In a user's mailbox one that may not log changes nothing: M and T decide.
    """
    logging = any(user.id == LOGGING for user in users)
    own = {one.subaccount for user in users for one in user.memberships}
    answers: dict[SubaccountId, Place | str] = {}
    for drop in drops:
        subaccount = drop.subaccount.id
        if isinstance(answers.get(subaccount), Place):
            continue
        if may_log(message, mailbox, drop):
            if logging or subaccount in own:
                answers[subaccount] = yield from log_own(
                    known, message, mailbox, users, drop
                )
        elif logging:
            answer = yield from log_answer(known, message, mailbox, users, drop)
            if isinstance(answer, Place) or subaccount not in own:
                answers.setdefault(subaccount, answer)
    return answers


def _matched(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    users: tuple[UserForMatching, ...],
    ids: Sequence[SubaccountId],
) -> Asking[dict[SubaccountId, Place | str]]:
    """M and T, in each of these subaccounts."""
    assert message.sender is not None  # noqa: S101  (M13 came first)
    answers: dict[SubaccountId, Place | str] = {}
    if not ids:
        return answers
    own = message.sender.address in mailbox.own_addresses
    first = recipients(message) if own else (message.sender.address,)
    yield from _ask_addresses(known, mailbox, ids, first)
    threads = yield from find_threads(known, message, mailbox.id, ids)
    exclusive = bool(threads) and all(one.exclusive for one in threads.values())
    for subaccount in ids:
        if exclusive and subaccount not in threads:
            answers[subaccount] = "T3"
            continue
        case = _Case(
            message,
            mailbox,
            mailbox.subaccount(subaccount),
            users,
            own,
            threads.get(subaccount),
            exclusive,
        )
        answers[subaccount] = yield from _decide_in(known, case, ids)
    return answers


def _copy_of_crm_mail(
    known: Known,
    message: MessageHeaders,
    users: Sequence[UserForMatching],
    ids: Collection[SubaccountId],
) -> Asking[Place | None]:
    """S1, M9: a mail that the CRM sent comes back through Gmail.

    Our header says so, but anybody can write a header: the mail must be from the
    address that the record was sent from, truly so, and carry its subject.
    """
    subaccount, _, record = (message.crm_message or "").partition("/")
    if subaccount not in ids or not record or message.sender is None:
        return None
    if "SENT" not in message.labels and not message.authenticated:
        return None
    key = CrmMessageKey(SubaccountId(subaccount), MessageId(record))
    yield from known.ask(key)
    fact = known.crm_message(key)
    if fact is None or fact.sender != message.sender.address:
        return None
    if fact.subject.split() != message.subject.split():
        return None
    members = tuple(
        user.id
        for user in users
        if user.id == LOGGING
        or any(one.subaccount == subaccount for one in user.memberships)
    )
    return Place(
        subaccount=key.subaccount,
        contact=fact.contact,
        thread=fact.thread,
        direction="outbound",
        rule="S1",
        holders=members,
        user=fact.user,
        exclusive=True,
        message=fact.id,
    )


def _ask_addresses(
    known: Known,
    mailbox: MailboxForMatching,
    subaccounts: Iterable[SubaccountId],
    addresses: Iterable[str],
) -> Asking[None]:
    """Ask for addresses; the mailbox's own are known without."""
    others = [one for one in addresses if one not in mailbox.own_addresses]
    yield from known.ask(*(AddressKey(s, a) for a in others for s in subaccounts))


def _is_internal(known: Known, case: _Case, address: str) -> bool:
    """Say whether an address is internal to the subaccount (M11)."""
    return (
        address in case.mailbox.own_addresses
        or in_domains(address, case.subaccount.internal_domains)
        or bool(known.address(case.subaccount.id, address).members)
    )


def _decide_in(
    known: Known, case: _Case, ids: Sequence[SubaccountId]
) -> Asking[Place | str]:
    sender = case.message.sender
    assert sender is not None  # noqa: S101  (M13 came first)
    if not _is_internal(known, case, sender.address):
        return (yield from _inbound(known, case, sender.address, ids))
    if "SENT" not in case.message.labels and not case.message.authenticated:
        return "M2"
    everybody = recipients(case.message)
    yield from _ask_addresses(known, case.mailbox, ids, everybody)
    external = tuple(one for one in everybody if not _is_internal(known, case, one))
    if not external:
        return "M11"
    return (yield from _outbound(known, case, external))


def _inbound(
    known: Known, case: _Case, sender: str, ids: Sequence[SubaccountId]
) -> Asking[Place | str]:
    """M5, T2: the sender is external."""
    subaccount = case.subaccount.id
    contact = known.address(subaccount, sender).contact
    if case.thread is not None:
        belongs = contact is not None
        if not belongs:
            yield from known.ask(ThreadKey(subaccount, case.thread.thread))
            belongs = sender in _participants(known, case, case.thread)
        if not belongs:
            everybody = recipients(case.message)
            yield from _ask_addresses(known, case.mailbox, ids, everybody)
            belongs = _any_belongs(known, case, case.thread, everybody)
        if belongs:
            return _in_thread(known, case, case.thread, "inbound")
    if contact is None:
        return "M7" if case.thread is None else "T2"
    return _by_contact(known, case, sender, contact, "inbound", "M5")


def _outbound(
    known: Known, case: _Case, external: tuple[str, ...]
) -> Asking[Place | str]:
    """M6, M10, T2: the sender is internal and believed."""
    forward = is_forward_subject(case.message.subject)
    if case.thread is not None and not forward:
        yield from known.ask(ThreadKey(case.subaccount.id, case.thread.thread))
        took_part = _participants(known, case, case.thread)
        forward = not any(
            one in took_part or _has_contact(known, case, one, case.thread.contact)
            for one in external
        )
        if not forward:
            return _in_thread(known, case, case.thread, "outbound")
    rule = "M10" if forward else "M6"
    refusal: Place | str = "M10" if forward else "M7"
    for address in external:
        contact = known.address(case.subaccount.id, address).contact
        if contact is None:
            continue
        if _permitted(known, case, address):
            return _by_contact(known, case, address, contact, "outbound", rule)
        if isinstance(refusal, str) and refusal != "M3":
            refusal = _by_contact(known, case, address, contact, "outbound", rule)
    return refusal


def _participants(known: Known, case: _Case, thread: KnownThread) -> frozenset[str]:
    fact = known.thread(case.subaccount.id, thread.thread)
    return fact.participants if fact else frozenset()


def _has_contact(known: Known, case: _Case, address: str, contact: ContactId) -> bool:
    contacts = known.address(case.subaccount.id, address).contacts
    return any(one.id == contact for one in contacts)


def _any_belongs(
    known: Known, case: _Case, thread: KnownThread, addresses: Iterable[str]
) -> bool:
    """T2: an external one of them is a contact, or took part in the thread."""
    took_part = _participants(known, case, thread)
    return any(
        not _is_internal(known, case, one)
        and (
            one in took_part
            or known.address(case.subaccount.id, one).contact is not None
        )
        for one in addresses
    )


def _permitted(known: Known, case: _Case, address: str) -> bool:
    """M3: the setting permits this address for one of the users."""
    mode = case.subaccount.logging
    if mode != "established":
        return mode == "all_contacts"
    return any(_established(known, user, address) for user in _members(case))


def _established(known: Known, user: UserForMatching, address: str) -> bool:
    """M3: the user and the address have a relationship, in any of the subaccounts."""
    for member in user.memberships:
        fact = known.address(member.subaccount, address)
        if user.id in fact.established:
            return True
        if any(contact.assigned_to == user.id for contact in fact.contacts):
            return True
    return False


def _members(case: _Case) -> tuple[UserForMatching, ...]:
    """The considered users who belong to the subaccount."""
    return tuple(
        user
        for user in case.users
        if any(one.subaccount == case.subaccount.id for one in user.memberships)
    )


def _holders(
    known: Known, case: _Case, contact: ContactId, rest: tuple[str, ...] = ()
) -> tuple[UserId, ...]:
    """M12: the users on whose lists the contact is not; none: it is not recorded."""
    emails = {*known.emails(case.subaccount.id, contact), *rest}
    if any(is_listed(one, case.subaccount.never_log) for one in emails):
        return ()
    return tuple(
        user.id
        for user in _members(case)
        if not any(
            is_listed(email, member.never_log)
            for member in user.memberships
            if member.subaccount == case.subaccount.id
            for email in emails
        )
    )


def _by_contact(
    known: Known,
    case: _Case,
    address: str,
    contact: ContactAtAddress,
    direction: Direction,
    rule: str,
) -> Place | str:
    """Record under the contact of this address, in a thread that begins here.

    The place has rule M3 when the setting does not permit the address.
    """
    permitted = _permitted(known, case, address)
    holders = _holders(known, case, contact.id, (address,))
    if not holders:
        return "M12" if permitted else "M3"
    forward = rule == "M10"
    return Place(
        subaccount=case.subaccount.id,
        contact=contact.id,
        thread=new_thread(case.message, case.mailbox.id, contact.id, forward=forward),
        direction=direction,
        rule=rule if permitted else "M3",
        holders=holders,
        user=_sender_user(known, case) if direction == "outbound" else None,
        link_gmail_thread=not forward,
        participants=_external_participants(known, case),
    )


def _in_thread(
    known: Known, case: _Case, thread: KnownThread, direction: Direction
) -> Place | str:
    """T2: record in the thread's conversation, unless its contact is listed (M12)."""
    holders = _holders(known, case, thread.contact)
    if not holders:
        return "M12"
    return Place(
        subaccount=case.subaccount.id,
        contact=thread.contact,
        thread=thread.thread,
        direction=direction,
        rule="T2",
        holders=holders,
        user=_sender_user(known, case) if direction == "outbound" else None,
        exclusive=case.exclusive,
        participants=_external_participants(known, case),
    )


def _sender_user(known: Known, case: _Case) -> UserId | None:
    """Who sent it from our side: a user of the mailbox, or the team member."""
    assert case.message.sender is not None  # noqa: S101  (M13 came first)
    members = _members(case)
    if case.own:
        return min(members, key=lambda user: (user.since, user.id)).id
    fact = known.address(case.subaccount.id, case.message.sender.address)
    return min(fact.members, default=None)


def _external_participants(known: Known, case: _Case) -> tuple[str, ...]:
    """External addresses of the message, as far as they were asked for.

    For an inbound mail in copy to others, those others are not looked up: an address
    that turns out to be a colleague's later does no harm, because colleagues are left
    out before participants are looked at.
    """
    sender = case.message.sender
    everybody = (*((sender.address,) if sender else ()), *recipients(case.message))
    return tuple(
        one
        for one in dict.fromkeys(everybody)
        if one not in case.mailbox.own_addresses
        and not in_domains(one, case.subaccount.internal_domains)
        and not (
            known.has_address(case.subaccount.id, one)
            and known.address(case.subaccount.id, one).members
        )
    )
