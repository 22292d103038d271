"""The documents that answer questions of matching by their path."""

from __future__ import annotations

from shared.core.ids import ContactId, MessageId, ThreadId, UserId
from shared.core.matching.facts import (
    AddressFact,
    AddressKey,
    ContactAtAddress,
    ContactFact,
    ContactKey,
    CrmMessageFact,
    CrmMessageKey,
    Fact,
    KnownMessage,
    MessageIdKey,
    OutboundFact,
    OutboundKey,
    SentKey,
    ThreadFact,
    ThreadKey,
)
from shared.core.records import Envelope
from shared.ports import Snapshot
from shared.repositories import messages, paths

ByPath = (
    AddressKey
    | MessageIdKey
    | ThreadKey
    | ContactKey
    | CrmMessageKey
    | SentKey
    | OutboundKey
)


def path_of(key: ByPath) -> str:
    """Where the document that answers is."""
    match key:
        case AddressKey(subaccount, address):
            return paths.address(subaccount, address)
        case MessageIdKey(subaccount, rfc822):
            return paths.message_id(subaccount, rfc822)
        case ThreadKey(subaccount, thread):
            return paths.thread(subaccount, thread)
        case ContactKey(subaccount, contact):
            return paths.contact(subaccount, contact)
        case (
            CrmMessageKey(subaccount, message)
            | SentKey(subaccount, message)
            | OutboundKey(subaccount, message)
        ):
            return paths.message(subaccount, message)


def fact_from(key: ByPath, snapshot: Snapshot) -> Fact:
    """What a document says, also when there is none."""
    data = snapshot.data
    match key:
        case AddressKey():
            return AddressFact(
                contacts=tuple(
                    ContactAtAddress(
                        id=ContactId(contact),
                        created_at=entry["created_at"],
                        assigned_to=entry.get("assigned_to"),
                        emails=tuple(entry.get("emails", ())),
                    )
                    for contact, entry in data.get("contacts", {}).items()
                ),
                members=frozenset(UserId(member) for member in data.get("members", {})),
                established=frozenset(
                    UserId(user) for user in data.get("established", {})
                ),
                erased_at=data.get("erased_at"),
            )
        case MessageIdKey():
            entries = [
                KnownMessage(
                    id=MessageId(message),
                    thread=ThreadId(entry["thread"]),
                    contact=ContactId(entry["contact"]),
                    exclusive=entry["exclusive"],
                    recorded_at=entry["recorded_at"],
                )
                for message, entry in data.get("entries", {}).items()
            ]
            return tuple(
                sorted(entries, key=lambda entry: (entry.recorded_at, entry.id))
            )
        case ThreadKey():
            return thread_from(snapshot) if snapshot.exists else None
        case SentKey():
            return int(data.get("direction") == "outbound")
        case OutboundKey():
            return _outbound(snapshot) if data.get("direction") == "outbound" else None
        case CrmMessageKey():
            if data.get("route") != "crm":
                return None
            return CrmMessageFact(
                id=MessageId(snapshot.id),
                contact=ContactId(data["contact"]),
                thread=ThreadId(data["thread"]),
                sender=data["sender"]["address"],
                subject=data["subject"],
                user=data["user"],
            )
        case ContactKey():
            if not snapshot.exists or "erased_at" in data:
                return ContactFact(exists=False, emails=(), taken=snapshot.exists)
            emails = tuple(data.get("emails", ()))
            return ContactFact(exists=True, emails=emails, taken=True)


def _outbound(snapshot: Snapshot) -> OutboundFact:
    """To whom it went: `addresses` are cut off after some, an envelope tells all."""
    message = messages.from_snapshot(snapshot)
    envelope = message.envelope or Envelope()
    everybody = {
        person.address for person in (*envelope.to, *envelope.cc, *envelope.bcc)
    }
    everybody |= set(message.addresses) - {message.sender.address}
    return OutboundFact(
        contact=message.contact,
        sender=message.sender.address,
        user=message.user,
        recipients=frozenset(everybody) - {""},
        mailboxes=frozenset(copy.mailbox for copy in message.held_by),
    )


def thread_from(snapshot: Snapshot) -> ThreadFact:
    """What a thread's document says."""
    return ThreadFact(
        id=ThreadId(snapshot.id),
        contact=ContactId(snapshot.data["contact"]),
        exclusive=snapshot.data["exclusive"],
        participants=frozenset(snapshot.data.get("participants", ())),
    )
