"""What Gmail has, against what was recorded (E4): differences as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
from shared.core.matching.places import Decision
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
    keys = dict.fromkeys((subaccount, own) for subaccount in sorted(only))
    for place in decided.places:
        if place.subaccount in only:
            keys[place.subaccount, recording.record_id(message, mailbox.id, place)] = (
                None
            )
    return tuple(keys)


def compare(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    decided: Decision,
    only: Collection[SubaccountId],
    found: Mapping[RecordKey, Message],
) -> tuple[Difference, ...]:
    """Compare one message; nothing when all is as it should be.

    A record is missing, too, when it does not name this mailbox's copy (M9). A record
    that another mailbox brought, and this one holds as well, is no difference.
    """
    missing: list[DifferencePlace] = []
    rule = decided.rule
    for place in decided.places:
        if place.subaccount not in only:
            continue
        name = recording.record_id(message, mailbox.id, place)
        record = found.get((place.subaccount, name))
        if record is None or not _lists(record, mailbox.id, message):
            missing.append(DifferencePlace(place.subaccount, place.contact, name))
            rule = place.rule
    differences = []
    if missing:
        differences.append(_difference(message, "recorded", rule, missing))
    permitted = {one.subaccount for one in (*decided.places, *decided.copies)}
    for (subaccount, name), record in found.items():
        if subaccount in permitted or not _lists(record, mailbox.id, message):
            continue
        refusal = decided.refusals.get(subaccount, decided.rule)
        there = DifferencePlace(subaccount, record.contact, name)
        differences.append(_difference(message, "ignored", refusal, [there]))
    return tuple(differences)


def _lists(record: Message, mailbox: MailboxId, message: MessageHeaders) -> bool:
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
