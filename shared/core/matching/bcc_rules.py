"""What a BCC address logs, and whom it trusts (B2-B7).

The answer depends on the message and on what the subaccount knows, never on the mailbox
that the copy lies in: so the copy at the logging mailbox and the Sent copy lead to the
same record, whichever is read first (B4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.limits import MAX_NEW_CONTACTS
from shared.core.mail import MessageHeaders
from shared.core.matching.ancestors import KnownThread, find_threads, new_thread
from shared.core.matching.bcc import LOGGING, contact_id
from shared.core.matching.facts import (
    AddressKey,
    Asking,
    ContactKey,
    DropFact,
    DropKey,
    Known,
    ThreadKey,
)
from shared.core.matching.places import NewContact, Place, recipients
from shared.core.parsing.address import in_domains, is_listed
from shared.core.parsing.headers import is_forward_subject
from shared.core.people import MailboxForMatching, UserForMatching

_ID_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class _Logged:
    """One message, and the BCC address that it names."""

    message: MessageHeaders
    mailbox: MailboxForMatching
    users: tuple[UserForMatching, ...]
    drop: DropFact

    @property
    def subaccount(self) -> SubaccountId:
        """The subaccount of the BCC address."""
        return self.drop.subaccount.id


def drops_of(known: Known, message: MessageHeaders) -> Asking[tuple[DropFact, ...]]:
    """Find whose BCC addresses the message names; unknown and old ones are nobody's."""
    yield from known.ask(*(DropKey(token) for token in message.drops))
    found = (known.drop(token) for token in message.drops)
    return tuple(one for one in found if one is not None)


def may_log(
    message: MessageHeaders, mailbox: MailboxForMatching, drop: DropFact
) -> bool:
    """B5: From is the user's, and it is true.

    True is what the receiving Google server authenticated, and a Sent copy in the
    mailbox that the address belongs to.
    """
    if message.sender is None or message.sender.address not in drop.addresses:
        return False
    sent_here = (
        "SENT" in message.labels and message.sender.address in mailbox.own_addresses
    )
    return sent_here or message.authenticated


def log_own(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    users: tuple[UserForMatching, ...],
    drop: DropFact,
) -> Asking[Place | str]:
    """B2: the user's own mail, logged on purpose. A rule says why it is not."""
    case = _Logged(message, mailbox, users, drop)
    everybody = recipients(message)
    yield from known.ask(*(AddressKey(case.subaccount, one) for one in everybody))
    external = tuple(one for one in everybody if not _is_internal(known, case, one))
    if not external:
        return "M11"
    threads = yield from find_threads(known, message, mailbox.id, drop.memberships)
    thread = threads.get(case.subaccount)
    exclusive = _is_exclusive(threads.values())
    if exclusive and thread is None:
        return "T3"
    outside = frozenset(external)
    to = tuple(one.address for one in message.to if one.address in outside)
    makes = len(to) <= MAX_NEW_CONTACTS
    wanted = tuple(one for one in to if not _is_never_logged(known, case, one))
    new = (yield from _new_contacts(known, case, wanted)) if makes else ()
    forward = is_forward_subject(message.subject)
    if thread is not None and not forward:
        yield from known.ask(ThreadKey(case.subaccount, thread.thread))
        forward = not _continues(known, case, thread, external)
    if thread is None or forward:
        if makes and to and to[0] not in wanted:
            return "M12"
        contact = _conversation(known, case, to if makes else (), external, new)
        if contact is None:
            return "M7" if makes else "B7"
        name = new_thread(message, mailbox.id, contact, forward=forward)
    else:
        contact, name = thread.contact, thread.thread
    made = tuple(one.address for one in new if one.id == contact)
    emails = made or known.emails(case.subaccount, contact)
    holders = _holders(case, emails)
    if _is_listed(case, emails) or not holders:
        return "M12"
    related = tuple(
        one for one in external if _is_of(known, case.subaccount, one, contact)
    )
    return Place(
        subaccount=case.subaccount,
        contact=contact,
        thread=name,
        direction="outbound",
        rule="B2",
        holders=holders,
        user=drop.user,
        exclusive=exclusive,
        link_gmail_thread=not forward,
        participants=external,
        route="bcc",
        new_contacts=new,
        establish=tuple(
            one
            for one in dict.fromkeys((*(wanted if makes else ()), *related))
            if drop.user not in known.address(case.subaccount, one).established
        ),
    )


def log_answer(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    users: tuple[UserForMatching, ...],
    drop: DropFact,
) -> Asking[Place | str]:
    """B6: a participant answers in a known thread, and the BCC address is in copy."""
    case = _Logged(message, mailbox, users, drop)
    sender = message.sender
    if sender is None or not message.authenticated:
        return "B5"
    yield from known.ask(AddressKey(case.subaccount, sender.address))
    if _is_internal(known, case, sender.address):
        return "B5"
    threads = yield from find_threads(known, message, mailbox.id, drop.memberships)
    thread = threads.get(case.subaccount)
    if thread is None:
        return "T3" if _is_exclusive(threads.values()) else "B5"
    yield from known.ask(ThreadKey(case.subaccount, thread.thread))
    if sender.address not in _participants(known, case, thread):
        return "B5"
    emails = known.emails(case.subaccount, thread.contact)
    holders = _holders(case, emails)
    if _is_listed(case, emails) or not holders:
        return "M12"
    everybody = (sender.address, *recipients(message))
    return Place(
        subaccount=case.subaccount,
        contact=thread.contact,
        thread=thread.thread,
        direction="inbound",
        rule="B6",
        holders=holders,
        exclusive=_is_exclusive(threads.values()),
        participants=tuple(
            one
            for one in dict.fromkeys(everybody)
            if one not in drop.addresses
            and one not in mailbox.own_addresses
            and not in_domains(one, drop.subaccount.internal_domains)
        ),
        route="bcc",
    )


# --- who is who ------------------------------------------------------------------


def _is_internal(known: Known, case: _Logged, address: str) -> bool:
    """M11; the logging mailbox itself is nobody's contact either."""
    return (
        address in case.drop.addresses
        or address in case.mailbox.own_addresses
        or in_domains(address, case.drop.subaccount.internal_domains)
        or bool(known.address(case.subaccount, address).members)
    )


def _is_listed(case: _Logged, emails: Iterable[str]) -> bool:
    """M12: on the subaccount's list, or on that of the user who logs."""
    lists = (*case.drop.subaccount.never_log, *case.drop.never_log)
    return any(is_listed(one, lists) for one in emails)


def _is_never_logged(known: Known, case: _Logged, address: str) -> bool:
    contact = known.address(case.subaccount, address).contact
    return _is_listed(case, (address, *(contact.emails if contact else ())))


def _holders(case: _Logged, emails: Iterable[str]) -> tuple[UserId, ...]:
    """Whose copy the record lists: users of this mailbox who do not forbid it."""
    listed = tuple(emails)
    return tuple(
        user.id
        for user in case.users
        if user.id == LOGGING
        or any(
            one.subaccount == case.subaccount
            and not any(is_listed(email, one.never_log) for email in listed)
            for one in user.memberships
        )
    )


# --- conversation and contacts ---------------------------------------------------


def _conversation(
    known: Known,
    case: _Logged,
    to: tuple[str, ...],
    external: tuple[str, ...],
    new: tuple[NewContact, ...],
) -> ContactId | None:
    """The contact of the first To recipient; else the first contact of all."""
    made = {one.address: one.id for one in new}
    for address in (*to, *external):
        found = known.address(case.subaccount, address).contact
        if found is not None:
            return found.id
        if address in made:
            return made[address]
    return None


def _new_contacts(
    known: Known, case: _Logged, to: tuple[str, ...]
) -> Asking[tuple[NewContact, ...]]:
    """B2: every external To recipient that is nobody's address yet.

    Mail from before a contact was erased does not bring it back.
    """
    unknown = [
        one
        for one in to
        if not known.address(case.subaccount, one).contacts
        and (known.address(case.subaccount, one).erased_at or 0)
        < case.message.internal_date
    ]
    names = {one.address: one.name for one in case.message.to}
    ids: dict[str, ContactId] = {}
    for attempt in range(_ID_ATTEMPTS):
        asked = {
            one: ContactId(contact_id(case.subaccount, one, attempt))
            for one in unknown
            if one not in ids
        }
        yield from known.ask(*(ContactKey(case.subaccount, c) for c in asked.values()))
        ids |= {
            address: contact
            for address, contact in asked.items()
            if _is_free(known, case, address, contact)
        }
    return tuple(
        NewContact(ids[one], one, names[one] or one, case.drop.user)
        for one in unknown
        if one in ids
    )


def _is_free(known: Known, case: _Logged, address: str, contact: ContactId) -> bool:
    """Say whether the id may be made for this address.

    One that has this very address was made by another copy of the mail after we asked
    who has the address: making it fails, and the mail is decided anew.
    """
    fact = known.contact(case.subaccount, contact)
    return not fact.taken or address in fact.emails


# --- threads ---------------------------------------------------------------------


def _is_exclusive(threads: Iterable[KnownThread]) -> bool:
    found = tuple(threads)
    return bool(found) and all(one.exclusive for one in found)


def _participants(known: Known, case: _Logged, thread: KnownThread) -> frozenset[str]:
    fact = known.thread(case.subaccount, thread.thread)
    return fact.participants if fact else frozenset()


def _continues(
    known: Known, case: _Logged, thread: KnownThread, external: Iterable[str]
) -> bool:
    """M10: somebody of the thread is among the recipients; else it is a forward."""
    took_part = _participants(known, case, thread)
    return any(
        one in took_part or _is_of(known, case.subaccount, one, thread.contact)
        for one in external
    )


def _is_of(
    known: Known, subaccount: SubaccountId, address: str, contact: ContactId
) -> bool:
    contacts = known.address(subaccount, address).contacts
    return any(one.id == contact for one in contacts)
