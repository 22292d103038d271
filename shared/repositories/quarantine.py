"""Messages that are set aside so that they block nothing behind them (E3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.core.ids import GmailMessageId, Rfc822MessageId
from shared.core.limits import DECISION_DAYS
from shared.core.people import MailboxForMatching
from shared.core.records import HeldBy, Message
from shared.ports import Delete, Documents, Increment, Merge, Union, Write
from shared.repositories import paths


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
    expires = datetime.fromtimestamp(at / 1000, UTC) + timedelta(days=DECISION_DAYS)
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
            "expires_at": expires,
            **(more or {}),
        },
    )


def refused_copy(copy: HeldBy, record: Message, at: int) -> Write:
    """The write that keeps why a record lists a copy no longer (M9)."""
    expires = datetime.fromtimestamp(at / 1000, UTC) + timedelta(days=DECISION_DAYS)
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
            "expires_at": expires,
        },
    )


class Quarantine:
    """Keeps count of attempts and sets messages aside."""

    def __init__(self, documents: Documents) -> None:
        """Use this store."""
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
    ) -> None:
        """Keep the message's ids and the reason; nothing of what it says."""
        path = paths.quarantined(mailbox.id, message)
        first = self._documents.get([path])[0].data.get("first_at", at)
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
