"""What a mailbox shows of mail with contacts (M2-M12, T2, T3).

Each rule takes one message in one subaccount, and answers the place where it belongs or
the rule by which it does not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from shared.core.ids import SubaccountId, UserId
from shared.core.matching.ancestors import (
    KnownThread,
    find_threads,
    is_exclusive,
    new_thread,
)
from shared.core.matching.crm_copies import is_of_another_crm
from shared.core.matching.facts import ContactAtAddress, SentKey
from shared.core.matching.lookups import Lookup
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.parties import Parties, holders, is_any_listed
from shared.core.matching.places import Answer, Placement, recipients
from shared.core.matching.rewritten import is_rewritten, true_sender
from shared.core.parsing.spellings import mailbox_key
from shared.core.people import UserForMatching
from shared.core.records import Direction

_MAX_ANSWERED = 20
"""Records under the Message-IDs that a mail answers: usually there is one."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One message in one subaccount, and the mailbox's users who belong to it.

    `ids` are all the subaccounts in which it is looked at: one question goes to all.
    """

    copy: MailboxCopy
    ids: Sequence[SubaccountId]
    parties: Parties
    members: tuple[UserForMatching, ...]
    thread: KnownThread | None
    exclusive: bool

    @property
    def subaccount(self) -> SubaccountId:
        return self.parties.subaccount.id


def matched(
    copy: MailboxCopy, ids: Sequence[SubaccountId], done: Collection[SubaccountId]
) -> Lookup[dict[SubaccountId, Answer]]:
    """M4: answer for each of the subaccounts, but those where BCC has answered."""
    answers: dict[SubaccountId, Answer] = {}
    todo = [subaccount_id for subaccount_id in ids if subaccount_id not in done]
    if not todo:
        return answers
    first = recipients(copy.message) if copy.is_own else (copy.sender,)
    yield from copy.ask_addresses(ids, first)
    # Where BCC has answered counts as well: the thread may exist there only (T3).
    threads = yield from find_threads(copy.known, copy.message, copy.mailbox.id, ids)
    exclusive = is_exclusive(threads)
    for subaccount in todo:
        if exclusive and subaccount not in threads:
            answers[subaccount] = "T3"
            continue
        if not copy.members(subaccount):
            answers[subaccount] = "C11"
            continue
        settings = copy.mailbox.subaccount(subaccount)
        case = _Case(
            copy,
            ids,
            Parties(copy.known, settings, copy.mailbox.own_addresses),
            copy.members(subaccount),
            threads.get(subaccount),
            exclusive,
        )
        answers[subaccount] = yield from _decide(case)
    return answers


def _decide(case: _Case) -> Lookup[Answer]:
    """M2: what the owner sent is ours; an internal sender is believed when true."""
    copy, parties = case.copy, case.parties
    if not copy.is_own and not parties.is_internal(copy.sender):
        if (yield from is_of_another_crm(copy, case.subaccount)):
            return "T3"
        return (yield from _inbound(case))
    if not copy.is_believed:
        return "M2"
    if not copy.is_sent:
        named = (*copy.message.original_senders, *copy.message.reply_to)
        yield from copy.ask_addresses(case.ids, [address.address for address in named])
        if is_rewritten(copy.message, parties.is_internal):
            return (yield from _passed_on(case))
    if copy.is_marked_for_another(case.subaccount):
        return "T3"
    everybody = recipients(copy.message)
    yield from copy.ask_addresses(case.ids, everybody)
    external = case.parties.external(everybody)
    if not external:
        return "M11"
    return (yield from _outbound(case, external))


def _passed_on(case: _Case) -> Lookup[Answer]:
    """M2: a group of ours has written From; it is inbound mail of its true sender."""
    sender = true_sender(case.copy.message, case.parties.is_internal)
    if sender is None:
        return "M2"
    copy = replace(case.copy, sender=sender.address)
    answer = yield from _inbound(replace(case, copy=copy))
    return replace(answer, sender=sender) if isinstance(answer, Placement) else answer


def _inbound(case: _Case) -> Lookup[Answer]:
    """M5, T2: the sender is external."""
    sender = case.copy.sender
    contact = case.parties.contact(sender)
    if case.thread is not None:
        if (
            contact is None
            and not (yield from _anybody_belongs(case, case.thread))
            and not (yield from _is_direct_answer(case, case.thread))
        ):
            return "T2"
        return _in_thread(case, case.thread, "inbound")
    if contact is None:
        return "M7"
    return _by_contact(case, sender, contact, "inbound", "M5")


def _anybody_belongs(case: _Case, thread: KnownThread) -> Lookup[bool]:
    """T2: somebody external is a contact, or took part in the thread."""
    took_part = yield from case.parties.took_part(thread)
    if case.copy.sender in took_part:
        return True
    everybody = recipients(case.copy.message)
    yield from case.copy.ask_addresses(case.ids, everybody)
    return any(
        address in took_part or case.parties.contact(address) is not None
        for address in case.parties.external(everybody)
    )


def _is_direct_answer(case: _Case, thread: KnownThread) -> Lookup[bool]:
    """T2: it answers a recorded mail of ours, from an address that nobody knows.

    Who got that mail answers from wherever he reads it. References alone prove no such
    thing: whoever got a forward of the thread has them too.
    """
    keys = [
        SentKey(case.subaccount, known.id)
        for reference in case.copy.message.in_reply_to
        for known in case.copy.known.messages(case.subaccount, reference)
        if known.thread == thread.thread
    ][:_MAX_ANSWERED]
    yield from case.copy.known.ask(*keys)
    return any(map(case.copy.known.is_sent, keys))


def _outbound(case: _Case, external: tuple[str, ...]) -> Lookup[Answer]:
    """M6, M10, T2: the sender is internal and believed."""
    subject = case.copy.message.subject
    forward = yield from case.parties.is_forward(subject, case.thread, external)
    if case.thread is not None and not forward:
        return _in_thread(case, case.thread, "outbound")
    rule = "M10" if forward else "M6"
    known = [
        (address, contact)
        for address in external
        if (contact := case.parties.contact(address)) is not None
    ]
    if not known:
        return "M10" if forward else "M7"
    address, contact = next(
        (pair for pair in known if _permits(case, pair[0])), known[0]
    )
    return _by_contact(case, address, contact, "outbound", rule)


def _permits(case: _Case, address: str) -> bool:
    """M3: the setting permits this address for one of the users."""
    setting = case.parties.subaccount.logging
    if setting == "established":
        return any(_is_established(case, user, address) for user in case.members)
    return setting == "all_contacts"


def _is_established(case: _Case, user: UserForMatching, address: str) -> bool:
    """M3: the user and the address have a relationship, in any of the subaccounts."""
    facts = [
        case.copy.known.address(membership.subaccount, address)
        for membership in user.memberships
    ]
    return any(
        user.id in fact.established
        or any(contact.assigned_to == user.id for contact in fact.contacts)
        for fact in facts
    )


def _by_contact(
    case: _Case,
    address: str,
    contact: ContactAtAddress,
    direction: Direction,
    rule: str,
) -> Answer:
    """Record under the contact of this address, in a thread that begins here.

    The place has rule M3 when the setting does not permit the address. A forward leaves
    its thread (M10), but it answers it: what exists here only goes on so (T3).
    """
    permitted = _permits(case, address)
    shown_to = _holders(case, (*contact.emails, address))
    if not shown_to:
        return "M12" if permitted else "M3"
    message, mailbox = case.copy.message, case.copy.mailbox.id
    forward = rule == "M10"
    return Placement(
        subaccount=case.subaccount,
        contact=contact.id,
        thread=new_thread(message, mailbox, contact.id, forward=forward),
        direction=direction,
        rule=rule if permitted else "M3",
        holders=shown_to,
        user=_sending_user(case),
        exclusive=case.exclusive,
        link_gmail_thread=not forward,
        participants=_participants(case),
    )


def _in_thread(case: _Case, thread: KnownThread, direction: Direction) -> Answer:
    """T2: record in the thread's conversation, unless its contact is listed (M12)."""
    emails = case.copy.known.emails(case.subaccount, thread.contact)
    shown_to = _holders(case, emails)
    if not shown_to:
        return "M12"
    return Placement(
        subaccount=case.subaccount,
        contact=thread.contact,
        thread=thread.thread,
        direction=direction,
        rule="T2",
        holders=shown_to,
        user=_sending_user(case),
        exclusive=case.exclusive,
        participants=_participants(case),
    )


def _holders(case: _Case, emails: tuple[str, ...]) -> tuple[UserId, ...]:
    if is_any_listed(emails, case.parties.subaccount.never_log):
        return ()
    return holders(case.members, case.subaccount, emails)


def _sending_user(case: _Case) -> UserId | None:
    """Who sent it from our side: a user of the mailbox, a user, or nobody."""
    copy = case.copy
    if copy.is_own:
        return min(case.members, key=lambda user: (user.since, user.id)).id
    spellings = (copy.sender, mailbox_key(copy.sender))
    facts = [copy.known.address(case.subaccount, spelling) for spelling in spellings]
    return min((user for fact in facts for user in fact.members), default=None)


def _participants(case: _Case) -> tuple[str, ...]:
    sender = () if case.copy.is_own else (case.copy.sender,)
    return case.parties.participants((*sender, *recipients(case.copy.message)))
