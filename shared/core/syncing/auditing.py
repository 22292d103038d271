"""What Gmail has, against what was recorded (E4): differences as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shared.core.events import bounce_key
from shared.core.ids import (
    ContactId,
    GmailMessageId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
)
from shared.core.mail import MessageHeaders
from shared.core.matching import recording
from shared.core.matching.places import Decision, Placement, Returned
from shared.core.matching.rewritten import as_recorded
from shared.core.matching.sameness import (
    apart_ids,
    is_outdone,
    is_proven,
    is_proven_record,
    lists,
)
from shared.core.people import MailboxForMatching
from shared.core.records import Message

RecordKey = tuple[SubaccountId, MessageId]


@dataclass(frozen=True, slots=True)
class DifferencePlace:
    """Where a record is missing, or should not be."""

    subaccount: SubaccountId
    contact: ContactId
    message: MessageId


@dataclass(frozen=True, slots=True)
class Difference:
    """One message whose records are not what the rules say now.

    `outcome` is theirs: `recorded` where a record is missing, `ignored` where one is
    that no rule permits; `rule` says which. M9 tells of copies that say something else
    than their record: `repaired` where the authenticated one has replaced the other.
    """

    gmail_message_id: GmailMessageId
    rfc822_message_id: Rfc822MessageId | None
    outcome: Literal["recorded", "ignored"]
    rule: str
    places: tuple[DifferencePlace, ...]
    repaired: bool = False


def records_to_read(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    only: Collection[SubaccountId],
) -> tuple[RecordKey, ...]:
    """The records that tell whether there is a difference."""
    own = recording.message_id(message, mailbox.id)
    keys = [(subaccount, own) for subaccount in sorted(only)]
    keys += [(found.subaccount, found.message) for found in _returned(decided, only)]
    return tuple(dict.fromkeys((*keys, *_wanted(message, mailbox, decided, only))))


def records_apart(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    found: Mapping[RecordKey, Message],
) -> tuple[RecordKey, ...]:
    """Further records to read where another email has the message's id (M9)."""
    return tuple(
        (subaccount, apart)
        for (subaccount, id_), record in found.items()
        if not lists(record, mailbox.id, message)
        for apart in apart_ids(id_, message, mailbox.id)
    )


def compare(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    only: Collection[SubaccountId],
    found: Mapping[RecordKey, Message],
) -> tuple[Difference, ...]:
    """Compare one message; nothing when all is as it should be.

    A record is missing, too, when it does not name this mailbox's copy (M9), also where
    only another mailbox may bring the record (M3). Where that has brought none, or one
    that names this copy, there is no difference. Of a bounce the message that it is
    about must show it. A copy that is refused, and one that
    has replaced another, are told (M9).
    """
    differences = []
    for place in (*decided.places, *decided.copies):
        message = as_recorded(message, place)
    wanted = _wanted(message, mailbox, decided, only)
    listed = {
        key: record
        for key, record in found.items()
        if lists(record, mailbox.id, message)
    }
    outdone = {key for key, copy in listed.items() if is_outdone(copy, message)}
    settled = {subaccount for subaccount, _ in listed.keys() - outdone}
    missing = {
        key: place
        for key, place in (wanted | _shared(message, mailbox, decided, found)).items()
        if key[0] not in settled
    }
    refused = {
        key: place
        for key, place in missing.items()
        if key in found and is_proven_record(found[key]) and not is_proven(message)
    }
    replaced = {
        key: copy for key, copy in listed.items() if copy.replaced_at is not None
    }
    for key in refused:
        del missing[key]
    for (subaccount, name), place in refused.items():
        there = DifferencePlace(subaccount, place.contact, name)
        differences.append(_difference(message, "ignored", "M9", [there]))
    if replaced and not missing:
        places = [
            DifferencePlace(subaccount, record.contact, name)
            for (subaccount, name), record in replaced.items()
        ]
        told = _difference(message, "recorded", "M9", places)
        differences.append(replace(told, repaired=True))
    if missing:
        rule = next(iter(missing.values())).rule
        places = [
            DifferencePlace(subaccount, place.contact, name)
            for (subaccount, name), place in missing.items()
        ]
        differences.append(_difference(message, "recorded", rule, places))
    lacking = [
        DifferencePlace(place.subaccount, place.contact, place.message)
        for place in _returned(decided, only)
        if (record := found.get((place.subaccount, place.message))) is not None
        and not set(map(bounce_key, place.bounces))
        <= set(map(bounce_key, record.bounces))
    ]
    if lacking:
        differences.append(_difference(message, "recorded", decided.rule, lacking))
    permitted = {place.subaccount for place in (*decided.places, *decided.copies)}
    for (subaccount, name), record in found.items():
        if subaccount in permitted or not lists(record, mailbox.id, message):
            continue
        refusal = decided.refusals.get(subaccount, decided.rule)
        there = DifferencePlace(subaccount, record.contact, name)
        differences.append(_difference(message, "ignored", refusal, [there]))
    return tuple(differences)


def _wanted(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    only: Collection[SubaccountId],
) -> dict[RecordKey, Placement]:
    """The records that the rules want now, and where."""
    return {
        (place.subaccount, recording.record_id(message, mailbox.id, place)): place
        for place in decided.places
        if place.subaccount in only
    }


def _returned(decided: Decision, only: Collection[SubaccountId]) -> list[Returned]:
    """The messages that should show what a bounce says (S12)."""
    return [found for found in decided.returned if found.subaccount in only]


def _shared(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    found: Mapping[RecordKey, Message],
) -> dict[RecordKey, Placement]:
    """The records that another mailbox has brought, and that list this one as well."""
    keyed = {
        (place.subaccount, recording.record_id(message, mailbox.id, place)): place
        for place in decided.copies
    }
    return {k: replace(place, rule="M9") for k, place in keyed.items() if k in found}


def _difference(
    message: MessageHeaders,
    outcome: Literal["recorded", "ignored"],
    rule: str,
    places: list[DifferencePlace],
) -> Difference:
    return Difference(
        message.gmail_message_id,
        message.rfc822_message_id,
        outcome,
        rule,
        tuple(places),
    )
