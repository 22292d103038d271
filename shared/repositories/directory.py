"""Subaccounts, users and contacts as documents.

An address of a subaccount is one document (`paths.address`) that says which contacts
and members have it. It changes only in the commit that changes the contact or member
document, which is compared and set: so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.limits import MAX_CONTACTS_BYTES
from shared.core.parsing.spellings import mailbox_key
from shared.core.records import Contact, Member, Subaccount
from shared.ports import (
    Create,
    Delete,
    DeleteField,
    Merge,
    Put,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import paths


@dataclass(frozen=True, slots=True)
class ContactToWrite:
    """A contact as the CRM gave it, with its addresses normalised.

    `emails` and `given_emails` pair up. `created_at` None: now, or as it was.
    """

    id: ContactId
    name: str
    emails: tuple[str, ...]
    given_emails: tuple[str, ...]
    assigned_to: UserId | None
    created_at: int | None


@dataclass(frozen=True, slots=True)
class MemberToWrite:
    """A user as the CRM gave it. `address` is `email`, normalised.

    `never_log` and `sync` None: as they were, else empty and on.
    """

    id: UserId
    name: str
    email: str
    address: str
    never_log: tuple[str, ...] | None = None
    sync: bool | None = None


def to_subaccount(snapshot: Snapshot) -> Subaccount:
    """Read a subaccount's document."""
    data = snapshot.data
    return Subaccount(
        id=SubaccountId(snapshot.id),
        name=data["name"],
        logging=data["logging"],
        internal_domains=tuple(data["internal_domains"]),
        never_log=tuple(data["never_log"]),
        default_provider=data.get("default_provider"),
    )


def write_subaccount(subaccount: Subaccount, version: object | None) -> Write:
    """Replace a subaccount's document, as it was read."""
    data = {
        "name": subaccount.name,
        "logging": subaccount.logging,
        "internal_domains": list(subaccount.internal_domains),
        "never_log": list(subaccount.never_log),
        "default_provider": subaccount.default_provider,
    }
    path = paths.subaccount(subaccount.id)
    return Create(path, data) if version is None else Put(path, data, version)


# --- users ----------------------------------------------------------------


def to_member(subaccount: SubaccountId, snapshot: Snapshot) -> Member:
    """Read a membership's document."""
    data = snapshot.data
    return Member(
        id=UserId(snapshot.id),
        subaccount=subaccount,
        name=data["name"],
        email=data["email"],
        never_log=tuple(data["never_log"]),
        internal_addresses=tuple(data["internal_addresses"]),
        sync=data.get("sync", True),
    )


def write_member(
    subaccount: SubaccountId,
    before: Snapshot,
    member: MemberToWrite,
    *,
    own_addresses: Iterable[str],
    now: int,
) -> list[Write]:
    """Write a membership, the user's list of subaccounts and the address entries.

    `own_addresses` (of the connected mailbox) are added; addresses known from before
    stay, because old mail of a colleague is internal too, except the profile address
    that is replaced.
    """
    known = set(before.data.get("internal_addresses", ()))
    replaced = {before.data.get("address")}
    internal = (known - replaced) | {member.address, *own_addresses}
    data = {
        "name": member.name,
        "email": member.email,
        "address": member.address,
        "never_log": before.data.get("never_log", [])
        if member.never_log is None
        else list(member.never_log),
        "sync": before.data.get("sync", True) if member.sync is None else member.sync,
        "internal_addresses": sorted(internal),
    }
    path = paths.member(subaccount, member.id)
    writes: list[Write] = [
        Put(path, data, before.version) if before.exists else Create(path, data),
        Merge(
            paths.user(member.id),
            {"subaccounts": Union((subaccount,)), "updated_at": now},
        ),
    ]
    return writes + _member_entries(subaccount, member.id, add=internal, remove=known)


def change_member(
    before: Snapshot, *, never_log: Sequence[str] | None, sync: bool | None
) -> list[Write]:
    """Change a membership that exists; None leaves a field as it is."""
    data: dict[str, Any] = {}
    if never_log is not None:
        data["never_log"] = list(never_log)
    if sync is not None:
        data["sync"] = sync
    return [Update(before.path, data, before.version)] if data else []


def add_internal(
    subaccount: SubaccountId, before: Snapshot, addresses: Iterable[str]
) -> list[Write]:
    """Add addresses to a membership that exists; nothing when all are known."""
    new = set(addresses) - set(before.data["internal_addresses"])
    if not new:
        return []
    internal = sorted(new.union(before.data["internal_addresses"]))
    return [
        Update(before.path, {"internal_addresses": internal}, before.version),
        *_member_entries(subaccount, UserId(before.id), add=new, remove=()),
    ]


def remove_member(
    subaccount: SubaccountId, member: Snapshot, user: Snapshot, now: int
) -> list[Write]:
    """Remove a membership, its address entries, and the user with the last one."""
    writes: list[Write] = []
    memberships = user.data.get("subaccounts", ())
    left = [membership for membership in memberships if membership != subaccount]
    if subaccount not in memberships:
        pass  # whoever this is belongs to others
    elif left:
        data = {"subaccounts": left, "updated_at": now}
        writes.append(Update(user.path, data, user.version))
    else:
        writes.append(Delete(user.path, user.version))
    if member.exists:
        writes.append(Delete(member.path, member.version))
        gone = member.data["internal_addresses"]
        writes += _member_entries(subaccount, UserId(member.id), add=(), remove=gone)
    return writes


def _member_entries(
    subaccount: SubaccountId, user: UserId, *, add: Iterable[str], remove: Iterable[str]
) -> list[Write]:
    """Their own entries, and those by which any spelling is known (M11)."""
    gone, new = _with_spellings(remove), _with_spellings(add)
    changes: dict[str, object] = dict.fromkeys(sorted(gone), DeleteField())
    changes.update(dict.fromkeys(sorted(new), True))
    return [
        Merge(paths.address(subaccount, address), {"members": {user: change}})
        for address, change in changes.items()
    ]


def _with_spellings(addresses: Iterable[str]) -> set[str]:
    known = set(addresses)
    return known.union(map(mailbox_key, known))


# --- contacts --------------------------------------------------------------------


def to_contact(subaccount: SubaccountId, snapshot: Snapshot) -> Contact:
    """Read a contact's document."""
    data = snapshot.data
    return Contact(
        id=ContactId(snapshot.id),
        subaccount=subaccount,
        name=data["name"],
        emails=tuple(data["emails"]),
        assigned_to=data.get("assigned_to"),
        created_at=data["created_at"],
        messages=data.get("messages", 0),
        last_message_at=data.get("last_message_at"),
        stored=snapshot.created,
        given_emails=given_emails(snapshot),
    )


def given_emails(snapshot: Snapshot) -> tuple[str, ...]:
    """A contact's addresses as the CRM wrote them; B2's contacts have only ours."""
    data = snapshot.data
    return tuple(data.get("given_emails") or data["emails"])


def is_live(snapshot: Snapshot) -> bool:
    """Whether a contact exists and is not being erased."""
    return snapshot.exists and "erased_at" not in snapshot.data


def write_contacts(
    subaccount: SubaccountId,
    changes: Sequence[tuple[Snapshot, ContactToWrite]],
    now: int,
) -> list[Write]:
    """Write contacts, as they were read, with their address entries.

    The conversation's figures are not touched. Contacts that share an address in this
    commit share its one write.
    """
    writes: list[Write] = []
    entries: dict[str, dict[str, object]] = {}
    for before, contact in changes:
        created_at = contact.created_at
        if created_at is None:
            created_at = before.data.get("created_at", now)
        data = {
            "name": contact.name,
            "emails": list(contact.emails),
            "given_emails": list(contact.given_emails),
            "assigned_to": contact.assigned_to,
            "created_at": created_at,
        }
        path = paths.contact(subaccount, contact.id)
        writes.append(
            Update(path, data, before.version) if before.exists else Create(path, data)
        )
        for address in before.data.get("emails", ()):
            entries.setdefault(address, {})[contact.id] = DeleteField()
        for address in contact.emails:
            entries.setdefault(address, {})[contact.id] = _entry(contact, created_at)
    return writes + [
        Merge(paths.address(subaccount, address), {"contacts": contacts})
        for address, contacts in entries.items()
    ]


def beyond_the_cap(
    entries: Iterable[Snapshot],
    subaccount: SubaccountId,
    contacts: Sequence[ContactToWrite],
) -> list[ContactToWrite]:
    """The contacts for which one of their addresses has no room.

    `entries` are the addresses' documents. Contacts before another one of the same
    commit count. One that the address has already stays, and may get shorter.
    """
    known = {entry.path: dict(entry.data.get("contacts", {})) for entry in entries}
    taken = {
        path: sum(_entry_size(contact, entry) for contact, entry in at.items())
        for path, at in known.items()
    }
    refused = []
    for contact in contacts:
        size = _entry_size(contact.id, _entry(contact, 0))
        added = {
            path: size - _entry_size(contact.id, known[path].get(contact.id))
            for path in (paths.address(subaccount, email) for email in contact.emails)
        }
        if any(
            more > 0 and taken[path] + more > MAX_CONTACTS_BYTES
            for path, more in added.items()
        ):
            refused.append(contact)
            continue
        for path, more in added.items():
            taken[path] += more
            known[path][contact.id] = _entry(contact, 0)
    return refused


def _entry(contact: ContactToWrite, created_at: int) -> dict[str, object]:
    """What an address says of a contact that has it."""
    return {
        "created_at": created_at,
        "assigned_to": contact.assigned_to,
        "emails": list(contact.emails),
    }


def _entry_size(contact: str, entry: Mapping[str, Any] | None) -> int:
    """Bytes of a contact in an address's document, as Firestore counts them."""
    if entry is None:
        return 0
    texts = (contact, *entry, entry.get("assigned_to") or "", *entry.get("emails", ()))
    return 8 + sum(len(text.encode()) + 1 for text in texts)


def hide_contact(
    subaccount: SubaccountId, contact: Snapshot, emails: Iterable[str], now: int
) -> list[Write]:
    """Mark a contact as being erased, and take it out of its address entries.

    From this commit on no mail finds it.
    """
    gone = {"contacts": {contact.id: DeleteField()}, "erased_at": now}
    return [
        Update(contact.path, {"erased_at": now}, contact.version),
        *(Merge(paths.address(subaccount, address), gone) for address in emails),
    ]


def forget_addresses(entries: Iterable[Snapshot], erased_at: int) -> list[Write]:
    """Empty the entries of addresses that are nobody's any more, as they were read.

    What stays is when: old mail that is read again must not bring the contact back
    (B2). The document's name is a digest, so it shows nobody. An entry that another
    contact or a member has stays as it is.
    """
    return [
        Put(entry.path, {"erased_at": erased_at}, entry.version)
        for entry in entries
        if entry.exists
        and not entry.data.get("contacts")
        and not entry.data.get("members")
        and set(entry.data) != {"erased_at"}
    ]


# --- the mailbox of a user -------------------------------------------------------


def mailbox_addresses(mailbox: Mapping[str, Any]) -> frozenset[str]:
    """The address, the aliases and the former addresses of a mailbox's document."""
    aliases = (*mailbox.get("aliases", ()), *mailbox.get("former", ()))
    own = [mailbox.get("address"), *aliases]
    return frozenset(address for address in own if address)
