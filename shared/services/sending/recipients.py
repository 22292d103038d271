"""Who a mail of the CRM goes to: contacts and addresses of one subaccount (S9, S10)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.core.ids import ContactId, SubaccountId
from shared.core.mail import Address
from shared.core.matching.facts import AddressFact, AddressKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.parsing.address import in_domains
from shared.core.records import Contact, Subaccount
from shared.errors import Problem
from shared.ports import Documents
from shared.repositories import directory as records
from shared.repositories import paths
from shared.repositories.facts import FactFinder

_CONTACTS_PER_READ = 300


@dataclass(frozen=True, slots=True)
class RequestedRecipient:
    """One entry of To, Cc or Bcc: a contact's id, or a normalised address.

    `pointer` says where in the request it stands, `written` how the address does.
    """

    pointer: str
    contact: ContactId | None = None
    address: str | None = None
    name: str | None = None
    written: str | None = None


@dataclass(frozen=True, slots=True)
class Recipients:
    """Everybody, each once, and the contact whose conversation it is (S9).

    `external` are those who are not users of the subaccount (T2's participants).
    """

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    contact: ContactId
    external: tuple[str, ...]


def find_contacts(
    documents: Documents, subaccount: SubaccountId, ids: Sequence[ContactId]
) -> dict[ContactId, Contact]:
    """The contacts of these ids that exist."""
    found: dict[ContactId, Contact] = {}
    for start in range(0, len(ids), _CONTACTS_PER_READ):
        some = ids[start : start + _CONTACTS_PER_READ]
        for snapshot in documents.get([paths.contact(subaccount, c) for c in some]):
            if records.is_live(snapshot):
                contact = records.to_contact(subaccount, snapshot)
                found[contact.id] = contact
    return found


def unknown_contact(pointers: Iterable[str]) -> Problem:
    """The refusal for contacts that this subaccount does not have."""
    return Problem(
        422,
        "unknown_contact",
        "At least one recipient must be a contact of the subaccount, and every contact "
        "that is named must exist.",
        errors=tuple(
            {"pointer": pointer, "detail": "no such contact"} for pointer in pointers
        ),
    )


def find_recipients(
    documents: Documents,
    subaccount: Subaccount,
    to: Sequence[RequestedRecipient],
    cc: Sequence[RequestedRecipient],
    bcc: Sequence[RequestedRecipient],
) -> Recipients:
    """Turn entries into people; raises Problem `unknown_contact`."""
    asked = (*to, *cc, *bcc)
    ids = tuple(
        dict.fromkeys(person.contact for person in asked if person.contact is not None)
    )
    contacts = find_contacts(documents, subaccount.id, ids)
    missing = [
        person.pointer
        for person in asked
        if person.contact and person.contact not in contacts
    ]
    if missing:
        raise unknown_contact(missing)
    people = [_person(person, contacts) for person in asked]
    addresses = tuple(dict.fromkeys(person.address for person in people))
    facts = FactFinder(documents).run(_facts(subaccount.id, addresses))
    owner = next(
        (
            found
            for recipient, person in zip(to, people, strict=False)
            if (found := recipient.contact or _contact_at(facts[person.address]))
        ),
        None,
    )
    if owner is None:
        raise unknown_contact(["/to"])
    everybody = iter(people)
    seen: set[str] = set()
    lists = [
        _each_once(list(itertools.islice(everybody, len(some))), seen)
        for some in (to, cc, bcc)
    ]
    return Recipients(
        to=lists[0],
        cc=lists[1],
        bcc=lists[2],
        contact=owner,
        external=tuple(
            address
            for address, fact in facts.items()
            if not fact.members and not in_domains(address, subaccount.internal_domains)
        ),
    )


def _person(asked: RequestedRecipient, contacts: dict[ContactId, Contact]) -> Address:
    if asked.contact is not None:
        contact = contacts[asked.contact]
        name = asked.name or contact.name or None
        return Address(name, contact.emails[0], contact.given_emails[0])
    return Address(asked.name, asked.address or "", asked.written)


def _facts(
    subaccount: SubaccountId, addresses: Sequence[str]
) -> Lookup[dict[str, AddressFact]]:
    known = Known()
    yield from known.ask(*(AddressKey(subaccount, address) for address in addresses))
    return {address: known.address(subaccount, address) for address in addresses}


def _contact_at(fact: AddressFact) -> ContactId | None:
    return fact.contact.id if fact.contact else None


def _each_once(people: Iterable[Address], seen: set[str]) -> tuple[Address, ...]:
    """Who is in To is not in Cc as well, and nobody is there twice."""
    kept = []
    for person in people:
        if person.address not in seen:
            seen.add(person.address)
            kept.append(person)
    return tuple(kept)
