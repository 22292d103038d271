"""BCC addresses as documents, and the contacts that mail to them makes (B1-B3).

`subaccounts/{s}/bcc_addresses/{u}` holds the generation and the token's digest,
`bcc_tokens/{digest}` says whose it is. Both change in one commit, so an address either
works and is the one that is shown, or neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from shared.core.events import CrmEvent, contact_event
from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import token_key
from shared.core.matching.facts import BccOwner
from shared.core.matching.places import Placement
from shared.core.people import SubaccountForMatching
from shared.ports import Create, Delete, Documents, Merge, Put, Snapshot, Write
from shared.repositories import directory, outbox, paths


def issue(
    before: Snapshot, subaccount: SubaccountId, user: UserId, *, key: str, number: int
) -> list[Write]:
    """Make this the user's address, as `before` was read; the old one ends at once."""
    data = {"generation": number, "key": key}
    owner = {"subaccount": subaccount, "user": user}
    writes: list[Write] = [
        Put(before.path, data, before.version)
        if before.exists
        else Create(before.path, data),
        Put(paths.bcc_token(key), owner),
    ]
    old = before.data.get("key")
    if old and old != key:
        writes.append(Delete(paths.bcc_token(old)))
    return writes


def owners(documents: Documents, tokens: Sequence[str]) -> dict[str, BccOwner | None]:
    """Find whose BCC addresses these are, with what B5, M11 and M12 need; three reads.

    A token whose owner has left the subaccount is nobody's.
    """
    found = documents.get([paths.bcc_token(token_key(token)) for token in tokens])
    owned = {
        token: (
            SubaccountId(snapshot.data["subaccount"]),
            UserId(snapshot.data["user"]),
        )
        for token, snapshot in zip(tokens, found, strict=True)
        if snapshot.exists
    }
    facts: dict[str, BccOwner | None] = dict.fromkeys(tokens)
    for token, (subaccount, user) in owned.items():
        settings, member, known, connection = documents.get(
            [
                paths.subaccount(subaccount),
                paths.member(subaccount, user),
                paths.user(user),
                paths.connection(user),
            ]
        )
        if not settings.exists or not member.exists:
            continue
        facts[token] = BccOwner(
            subaccount=SubaccountForMatching(
                id=subaccount,
                logging=settings.data["logging"],
                internal_domains=tuple(settings.data.get("internal_domains", ())),
                never_log=tuple(settings.data.get("never_log", ())),
            ),
            user=user,
            never_log=tuple(member.data.get("never_log", ())),
            addresses=_addresses(documents, member, connection),
            memberships=tuple(
                sorted({subaccount, *map(SubaccountId, known.data["subaccounts"])})
            ),
        )
    return facts


def _addresses(
    documents: Documents, member: Snapshot, connection: Snapshot
) -> frozenset[str]:
    """Where the user writes from now; an old address is the user's no longer (B5)."""
    own = {member.data["address"]}
    data = connection.data
    if data.get("mailbox") and data.get("status") != "disconnected":
        mailbox = documents.get([paths.mailbox(data["mailbox"])])[0]
        own |= directory.mailbox_addresses(mailbox.data or data)
    return frozenset(own)


def contacts_of(
    place: Placement, at: int, *, sent_at: int | None
) -> tuple[list[Write], list[CrmEvent]]:
    """The writes that make the place's new contacts and relations, and their events.

    With `sent_at` the place's own contact, if it is new, begins with this message.
    Raises AlreadyExists at the commit when somebody else made one of them meanwhile.
    """
    entries: dict[str, dict[str, Any]] = defaultdict(dict)
    writes: list[Write] = []
    events: list[CrmEvent] = []
    for new_contact in place.new_contacts:
        data: dict[str, Any] = {
            "name": new_contact.name,
            "emails": [new_contact.address],
            "assigned_to": new_contact.assigned_to,
            "created_at": at,
        }
        if new_contact.id == place.contact and sent_at is not None:
            data |= {"messages": 1, "last_message_at": sent_at}
        event = contact_event(place.subaccount, new_contact, at)
        writes += [
            Create(paths.contact(place.subaccount, new_contact.id), data),
            outbox.committing(event),
        ]
        events.append(event)
        entries[new_contact.address]["contacts"] = {
            new_contact.id: {
                "created_at": at,
                "assigned_to": new_contact.assigned_to,
                "emails": [new_contact.address],
            }
        }
    for address in place.establish:
        entries[address]["established"] = {place.user: "bcc"}
    writes += [
        Merge(paths.address(place.subaccount, address), entry)
        for address, entry in entries.items()
    ]
    return writes, events
