"""What a BCC address logs, and whom it trusts (B2-B7).

The answer depends on the message and on what the subaccount knows, never on the mailbox
that the copy lies in: so the copy at the logging mailbox and the Sent copy lead to the
same record, whichever is read first (B4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.limits import MAX_NEW_CONTACTS
from shared.core.mail import MessageHeaders
from shared.core.matching.ancestors import find_threads, is_exclusive, new_thread
from shared.core.matching.bcc_contacts import first_contact, may_make, new_contacts
from shared.core.matching.facts import AddressFact, BccOwner, BccOwnerKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.parties import Parties, holders, is_any_listed
from shared.core.matching.places import Answer, NewContact, Placement, recipients


@dataclass(frozen=True, slots=True)
class _Case:
    """One message, and a BCC address that it names."""

    copy: MailboxCopy
    drop: BccOwner
    parties: Parties

    @property
    def subaccount(self) -> SubaccountId:
        return self.drop.subaccount.id

    def lists(self, emails: tuple[str, ...]) -> bool:
        """M12: on the subaccount's list, or on that of the user who logs."""
        never_log = (*self.drop.subaccount.never_log, *self.drop.never_log)
        return is_any_listed(emails, never_log)

    def holders(self, emails: tuple[str, ...]) -> tuple[UserId, ...]:
        """Whose copy the record lists; nobody's when the contact is listed (M12)."""
        if self.lists(emails):
            return ()
        return holders(self.copy.users, self.subaccount, emails)


def drops_of(known: Known, message: MessageHeaders) -> Lookup[tuple[BccOwner, ...]]:
    """Find whose BCC addresses the message names; unknown and old ones are nobody's."""
    yield from known.ask(*(BccOwnerKey(token) for token in message.drops))
    found = (known.drop(token) for token in message.drops)
    return tuple(drop for drop in found if drop is not None)


def logged(
    copy: MailboxCopy, drops: Sequence[BccOwner]
) -> Lookup[dict[SubaccountId, Answer]]:
    """Answer for the subaccounts whose BCC addresses the message names.

    In a user's mailbox one that may not log changes nothing: M and T decide. Of several
    of one subaccount the first that logs counts.
    """
    ours = copy.mailbox.own_addresses
    answers: dict[SubaccountId, Answer] = {}
    cases = [
        _Case(
            copy,
            bcc_token,
            Parties(copy.known, bcc_token.subaccount, ours | bcc_token.addresses),
        )
        for bcc_token in drops
    ]
    # The sender's own address says more than another's that is in copy.
    for case in sorted(filter(_counts, cases), key=_may_log, reverse=True):
        if isinstance(answers.get(case.subaccount), Placement):
            continue
        rule = _own_mail if _may_log(case) else _answer_in_thread
        answer = yield from rule(case)
        if isinstance(answer, Placement) or case.subaccount not in answers:
            answers[case.subaccount] = answer
    return answers


def _counts(case: _Case) -> bool:
    """Say whether the mailbox lets this BCC address decide."""
    if case.copy.at_logging_mailbox:
        return True
    return _may_log(case) and bool(case.copy.members(case.subaccount))


def _may_log(case: _Case) -> bool:
    """B5: From is the user's, and it is true.

    A Sent copy is true in the mailbox that the address belongs to, whatever From it
    has; anywhere else it is what the receiving Google server authenticated.
    """
    copy, message = case.copy, case.copy.message
    if copy.is_sent:
        if any(user.id == case.drop.user for user in copy.users):
            return True
        return copy.sender in case.drop.addresses and copy.mailbox.is_own(copy.sender)
    return copy.sender in case.drop.addresses and message.authenticated


def _own_mail(case: _Case) -> Lookup[Answer]:
    """B2: the user's own mail, logged on purpose."""
    copy, user, parties = case.copy, case.drop.user, case.parties
    message, mailbox, subaccount = copy.message, copy.mailbox.id, case.subaccount
    everybody = recipients(message)
    yield from copy.ask_addresses((subaccount,), everybody)
    external = parties.external(everybody)
    if not external:
        return "M11"
    threads = yield from find_threads(
        copy.known, message, mailbox, case.drop.memberships
    )
    exclusive, thread = is_exclusive(threads), threads.get(subaccount)
    if exclusive and thread is None:
        return "T3"
    forward = yield from parties.is_forward(message.subject, thread, external)
    to = tuple(
        recipient.address for recipient in message.to if recipient.address in external
    )
    crowd = len(to) > MAX_NEW_CONTACTS
    wanted = (
        ()
        if crowd
        else tuple(recipient for recipient in to if not _never_logs(case, recipient))
    )
    made = yield from new_contacts(copy, subaccount, user, wanted)
    capped = not (yield from may_make(copy.known, subaccount, user, len(made)))
    if capped:
        made = ()
    if thread is not None and not forward:
        contact, name = thread.contact, thread.thread
    elif to[:1] != wanted[:1] and not crowd:
        return "M12"
    else:
        first = first_contact(parties, external, made)
        if first is None:
            return "B7" if crowd or capped else "M7"
        contact, name = first, new_thread(message, mailbox, first, forward=forward)
    emails = tuple(
        new_contact.address for new_contact in made if new_contact.id == contact
    )
    shown_to = case.holders(emails or copy.known.emails(subaccount, contact))
    if not shown_to:
        return "M12"
    return Placement(
        subaccount=subaccount,
        contact=contact,
        thread=name,
        direction="outbound",
        rule="B7" if capped else "B2",
        holders=shown_to,
        user=user,
        exclusive=exclusive,
        link_gmail_thread=not forward,
        participants=external,
        route="bcc",
        new_contacts=made,
        establish=_to_establish(case, external, wanted, made, contact),
    )


def _to_establish(
    case: _Case,
    external: tuple[str, ...],
    wanted: tuple[str, ...],
    made: tuple[NewContact, ...],
    contact: ContactId,
) -> tuple[str, ...]:
    """B3: contacts in To, old and new, and all addresses of the conversation's."""
    parties, user = case.parties, case.drop.user
    logged_to = {address for address in wanted if parties.contact(address) is not None}
    logged_to.update(new_contact.address for new_contact in made)
    return tuple(
        address
        for address in external
        if address in logged_to or parties.is_contacts(address, contact)
        if _may_establish(parties.known.address(case.subaccount, address), user)
    )


def _may_establish(fact: AddressFact, user: UserId) -> bool:
    return fact.has_room and user not in fact.established


def _never_logs(case: _Case, address: str) -> bool:
    contact = case.parties.contact(address)
    return case.lists((address, *(contact.emails if contact else ())))


def _answer_in_thread(case: _Case) -> Lookup[Answer]:
    """B6: a participant answers in a known thread, and the BCC address is in copy."""
    copy, parties, subaccount = case.copy, case.parties, case.subaccount
    if not copy.message.authenticated:
        return "B5"
    yield from copy.ask_addresses((subaccount,), (copy.sender,))
    if parties.is_internal(copy.sender):
        return "B5"
    threads = yield from find_threads(
        copy.known, copy.message, copy.mailbox.id, case.drop.memberships
    )
    exclusive, thread = is_exclusive(threads), threads.get(subaccount)
    if thread is None:
        return "T3" if exclusive else "B5"
    if copy.sender not in (yield from parties.took_part(thread)):
        return "B5"
    shown_to = case.holders(copy.known.emails(subaccount, thread.contact))
    if not shown_to:
        return "M12"
    return Placement(
        subaccount=subaccount,
        contact=thread.contact,
        thread=thread.thread,
        direction="inbound",
        rule="B6",
        holders=shown_to,
        exclusive=exclusive,
        participants=parties.participants((copy.sender, *recipients(copy.message))),
        route="bcc",
    )
