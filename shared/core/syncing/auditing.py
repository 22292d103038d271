"""What Gmail has, against what was recorded (E4): differences as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shared.core.ids import (
    ContactId,
    GmailMessageId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
)
from shared.core.mail import MessageHeaders
from shared.core.matching import recording
from shared.core.matching.places import Decision, Place
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
    that no rule permits; `rule` says which.
    """

    gmail_message_id: GmailMessageId
    rfc822_message_id: Rfc822MessageId | None
    outcome: Literal["recorded", "ignored"]
    rule: str
    places: tuple[DifferencePlace, ...]


def records_to_read(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    only: Collection[SubaccountId],
) -> tuple[RecordKey, ...]:
    """The records that tell whether there is a difference."""
    own = recording.message_id(message, mailbox.id)
    keys = [(subaccount, own) for subaccount in sorted(only)]
    return tuple(dict.fromkeys((*keys, *_wanted(message, mailbox, decided, only))))


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
    that names this copy, there is no difference.
    """
    differences = []
    wanted = _wanted(message, mailbox, decided, only)
    missing = {
        key: place
        for key, place in (wanted | _shared(message, mailbox, decided, found)).items()
        if not _lists(found.get(key), mailbox.id, message)
    }
    if missing:
        rule = next(iter(missing.values())).rule
        places = [
            DifferencePlace(subaccount, place.contact, name)
            for (subaccount, name), place in missing.items()
        ]
        differences.append(_difference(message, "recorded", rule, places))
    permitted = {one.subaccount for one in (*decided.places, *decided.copies)}
    for (subaccount, name), record in found.items():
        if subaccount in permitted or not _lists(record, mailbox.id, message):
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
) -> dict[RecordKey, Place]:
    """The records that the rules want now, and where."""
    return {
        (place.subaccount, recording.record_id(message, mailbox.id, place)): place
        for place in decided.places
        if place.subaccount in only
    }


def _shared(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    found: Mapping[RecordKey, Message],
) -> dict[RecordKey, Place]:
    """The records that another mailbox has brought, and that list this one as well."""
    keyed = {
        (place.subaccount, recording.record_id(message, mailbox.id, place)): place
        for place in decided.copies
    }
    return {k: replace(place, rule="M9") for k, place in keyed.items() if k in found}


def _lists(record: Message | None, mailbox: MailboxId, message: MessageHeaders) -> bool:
    """Say whether there is a record, and it names this mailbox's copy."""
    if record is None:
        return False
    copy = (mailbox, message.gmail_message_id)
    return any((one.mailbox, one.gmail_message_id) == copy for one in record.held_by)


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
