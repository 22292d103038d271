"""Messages that are set aside so that they block nothing behind them (E3)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.core.ids import GmailMessageId, MailboxId, Rfc822MessageId
from shared.core.limits import DECISION_DAYS, READ_AGAIN_HOURS
from shared.core.people import MailboxForMatching
from shared.core.records import HeldBy, Message
from shared.errors import Conflict, DocumentMissing
from shared.ports import (
    Delete,
    DeleteField,
    Documents,
    Increment,
    Merge,
    Query,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import paths

_HOUR_MS = 3_600_000


def decision(
    mailbox: MailboxForMatching,
    message: GmailMessageId,
    rfc822_message_id: Rfc822MessageId | None,
    *,
    outcome: str,
    rule: str,
    at: int,
    more: Mapping[str, object] | None = None,
) -> Write:
    """The write that keeps why a message was not recorded (E2): ids, rule and time."""
    return Merge(
        paths.decision(mailbox.id, message),
        {
            "mailbox_id": mailbox.id,
            "mailbox": mailbox.address,
            "users": [user.id for user in mailbox.users],
            "gmail_message_id": message,
            "rfc822_message_id": rfc822_message_id,
            "outcome": outcome,
            "rule": rule,
            "decided_at": at,
            "expires_at": _expiry(at),
            **(more or {}),
        },
    )


def refused_copy(copy: HeldBy, record: Message, at: int) -> Write:
    """The write that keeps why a record lists a copy no longer (M9)."""
    return Merge(
        paths.decision(copy.mailbox, copy.gmail_message_id),
        {
            "mailbox_id": copy.mailbox,
            "mailbox": copy.address,
            "users": Union((copy.user,)),
            "gmail_message_id": copy.gmail_message_id,
            "rfc822_message_id": record.rfc822_message_id,
            "outcome": "ignored",
            "rule": "M9",
            "decided_at": at,
            "expires_at": _expiry(at),
        },
    )


@dataclass(frozen=True, slots=True)
class ToReadAgain:
    """A message that was set aside and is due to be read again."""

    path: str
    mailbox: MailboxId
    message: GmailMessageId


class Quarantine:
    """Keeps count of attempts and sets messages aside."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def attempt(self, mailbox: MailboxForMatching, message: GmailMessageId) -> int:
        """Count an attempt, durably, before it is made; says which one it is."""
        path = paths.quarantined(mailbox.id, message)
        self._documents.commit([Merge(path, {"attempts": Increment(1)})])
        return int(self._documents.get([path])[0].data["attempts"])

    def passed(self, mailbox: MailboxForMatching, message: GmailMessageId) -> None:
        """Forget the attempts: the message has been processed."""
        self._documents.commit([Delete(paths.quarantined(mailbox.id, message))])

    def set_aside(
        self,
        mailbox: MailboxForMatching,
        message: GmailMessageId,
        *,
        code: str,
        detail: str,
        at: int,
        read_again: bool,
    ) -> None:
        """Keep the message's ids and the reason; nothing of what it says.

        With `read_again` it becomes due for the first time in an hour.
        """
        path = paths.quarantined(mailbox.id, message)
        before = self._documents.get([path])[0].data
        first = before.get("first_at", at)
        due = {"read_again": 0, "read_again_at": at + READ_AGAIN_HOURS[0] * _HOUR_MS}
        self._documents.commit(
            [
                Merge(
                    path,
                    {
                        "mailbox_id": mailbox.id,
                        "mailbox": mailbox.address,
                        "users": [user.id for user in mailbox.users],
                        "gmail_message_id": message,
                        "code": code,
                        "detail": detail,
                        "attempts": Increment(1),
                        "first_at": first,
                        "last_at": at,
                        **(due if read_again and "read_again" not in before else {}),
                    },
                ),
                decision(
                    mailbox,
                    message,
                    None,
                    outcome="quarantined",
                    rule="E3",
                    at=at,
                ),
            ]
        )

    def due(self, now: int, limit: int) -> list[str]:
        """Ids of messages that are to be read again by now, the longest due first."""
        query = Query(
            "quarantine",
            where=(("read_again_at", "<=", now),),
            order_by=(("read_again_at", "asc"),),
            limit=limit,
        )
        return [found.id for found in self._documents.query(query)]

    def due_message(self, item: str, now: int) -> ToReadAgain | None:
        """A message that is due to be read again; None when it is not, or is gone."""
        found = self._documents.get([f"quarantine/{item}"])[0]
        if found.data.get("read_again_at", now + 1) > now:
            return None
        return ToReadAgain(
            found.path,
            MailboxId(found.data["mailbox_id"]),
            GmailMessageId(found.data["gmail_message_id"]),
        )

    def put_off(self, message: ToReadAgain, now: int) -> None:
        """Set the next time; after the last only a replay reads it again.

        One that somebody else has changed meanwhile is left to them.
        """
        found = self._documents.get([message.path])[0]
        if found.data.get("read_again_at", now + 1) <= now:
            with suppress(Conflict, DocumentMissing):
                self._documents.commit([_next_time(found, now)])


def _next_time(found: Snapshot, now: int) -> Write:
    """After the last of the hours only a replay reads it again."""
    times = found.data["read_again"] + 1
    later = (
        now + READ_AGAIN_HOURS[times] * _HOUR_MS
        if times < len(READ_AGAIN_HOURS)
        else DeleteField()
    )
    return Update(
        found.path, {"read_again": times, "read_again_at": later}, found.version
    )


def _expiry(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC) + timedelta(days=DECISION_DAYS)
