"""The contacts that logging by BCC makes, and whose conversation it is (B2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.matching.bcc import contact_id
from shared.core.matching.facts import ContactKey, QuotaKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.parties import Parties
from shared.core.matching.places import NewContact

_ID_ATTEMPTS = 8


def new_contacts(
    copy: MailboxCopy, subaccount: SubaccountId, user: UserId, to: Sequence[str]
) -> Lookup[tuple[NewContact, ...]]:
    """Make a contact of every address that is nobody's yet, assigned to the user."""
    names = {recipient.address: recipient.name for recipient in copy.message.to}
    unknown = [
        recipient for recipient in to if _is_nobodys(copy, subaccount, recipient)
    ]
    ids = yield from _free_ids(copy.known, subaccount, unknown)
    return tuple(
        NewContact(ids[address], address, names[address] or address, user)
        for address in unknown
        if address in ids
    )


def may_make(
    known: Known, subaccount: SubaccountId, user: UserId, number: int
) -> Lookup[bool]:
    """Whether the user's day has room for so many more (B7); none need no asking."""
    if number == 0:
        return True
    yield from known.ask(QuotaKey(subaccount, user))
    return number <= known.contacts_left(subaccount, user)


def first_contact(
    parties: Parties, addresses: Iterable[str], made: Iterable[NewContact]
) -> ContactId | None:
    """Whose conversation it is: the first address with a contact, old or new."""
    new = {new_contact.address: new_contact.id for new_contact in made}
    for address in addresses:
        contact = parties.contact(address)
        if contact is not None:
            return contact.id
        if address in new:
            return new[address]
    return None


def _is_nobodys(copy: MailboxCopy, subaccount: SubaccountId, address: str) -> bool:
    """Mail from before a contact was erased does not bring it back.

    An address whose document may get no longer makes no contact (M7 decides): else the
    commit were refused, and mail for other contacts with it.
    """
    fact = copy.known.address(subaccount, address)
    if fact.erased_at is not None and fact.erased_at >= copy.message.internal_date:
        return False
    return fact.has_room and not fact.contacts


def _free_ids(
    known: Known, subaccount: SubaccountId, addresses: Sequence[str]
) -> Lookup[dict[str, ContactId]]:
    """Give each address an id; none where every attempt's is another address's."""
    ids: dict[str, ContactId] = {}
    for attempt in range(_ID_ATTEMPTS):
        tried = {
            email: ContactId(contact_id(subaccount, email, attempt))
            for email in addresses
            if email not in ids
        }
        yield from known.ask(
            *(ContactKey(subaccount, address) for address in tried.values())
        )
        ids |= {
            address: contact
            for address, contact in tried.items()
            if _is_free(known, subaccount, address, contact)
        }
    return ids


def _is_free(
    known: Known, subaccount: SubaccountId, address: str, contact: ContactId
) -> bool:
    """Say whether the id may be made for this address.

    One that has this very address was made by another copy of the mail after we asked
    who has the address: making it fails, and the mail is decided anew.
    """
    fact = known.contact(subaccount, contact)
    return not fact.taken or address in fact.emails
