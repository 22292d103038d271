"""What was set aside: shown to the operator, and tried again (E3).

An item is a message that could not be processed, or a piece of work (a dead letter)
that no function could finish. It goes when its replay has succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shared.core.access import Caller
from shared.core.ids import GmailMessageId, HistoryId, MailboxId, UserId, digest
from shared.core.matching.bcc import LOGGING
from shared.core.moments import to_epoch_ms
from shared.core.syncing.dead_letters import DeadLetter
from shared.core.syncing.history import ToRead
from shared.errors import AlreadyExists, NeedsReauth, Problem
from shared.logs import log
from shared.ports import (
    Clock,
    Create,
    Delete,
    Documents,
    Event,
    Query,
    Snapshot,
    Topics,
)
from shared.repositories import paths, people
from shared.repositories.mailboxes import Mailboxes
from shared.repositories.quarantine import Quarantine
from shared.services.connecting.accounts import Accounts
from shared.services.syncing.record import Recorder

_USERS_PER_QUERY = 30  # Firestore's limit of array_contains_any
_MAX_ITEMS = 500

Replayed = Literal["recorded", "ignored", "quarantined", "published"]


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """One thing that was set aside. Times in milliseconds; no word of the mail."""

    id: str
    mailbox: str | None
    gmail_message_id: str | None
    code: str
    detail: str
    attempts: int
    first_at: int
    last_at: int


class QuarantineService:
    """Lists and replays for one caller, who sees the users of its subaccounts."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        recorder: Recorder,
        topics: Topics,
    ) -> None:
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._recorder = recorder
        self._topics = topics

    def items(self, caller: Caller) -> tuple[QuarantinedItem, ...]:
        """Everything set aside that concerns the caller, the newest first.

        The logging mailbox, and work without a mailbox, belong to no subaccount: they
        are shown to a caller with the right to the deployment.
        """
        users = sorted(self._users(caller))
        found: dict[str, QuarantinedItem] = {}
        for start in range(0, len(users), _USERS_PER_QUERY):
            some = users[start : start + _USERS_PER_QUERY]
            query = Query(
                "quarantine",
                where=(("users", "array_contains_any", some),),
                limit=_MAX_ITEMS,
            )
            found |= {
                document.id: _item(document)
                for document in self._documents.query(query)
            }
        order = sorted(found.values(), key=lambda item: (-item.last_at, item.id))
        return tuple(order)

    def replay(self, caller: Caller, item: str) -> Replayed:
        """Try an item again; raises Problem 404 for what is not the caller's.

        A message is read anew by its id, and is recorded once however often this is
        called. Work is published again, and counted as done.
        """
        found = self._documents.get([f"quarantine/{item}"])[0]
        concerned = set(found.data.get("users", ()))
        if "code" not in found.data or concerned.isdisjoint(self._users(caller)):
            raise Problem(404, "not_found", "There is no such item in the quarantine.")
        log.info("quarantine_replayed", code=found.data["code"])
        if "topic" in found.data:
            return self._publish(found)
        try:
            return self._read_again(
                found.id,
                MailboxId(found.data["mailbox_id"]),
                GmailMessageId(found.data["gmail_message_id"]),
            )
        except NeedsReauth:
            raise Problem(
                409, "reauth_required", "The mailbox's owner must connect it again."
            ) from None

    def read_again(self, item: str, now: int) -> None:
        """Read a message again that was set aside for a passing fault, if it is due.

        While its whole mailbox is in trouble it stays due. Raises Transient when the
        same delivery must come again.
        """
        quarantine = Quarantine(self._documents)
        due = quarantine.due_message(item, now)
        mailbox = self._mailboxes.read(due.mailbox) if due is not None else None
        if due is None or (mailbox is not None and mailbox.failing_since is not None):
            return
        if mailbox is not None and mailbox.status == "reauth_required":
            quarantine.put_off(due, now)
            return
        try:
            outcome = self._read_again(item, due.mailbox, due.message)
        except NeedsReauth:
            outcome = "quarantined"
        if outcome == "quarantined":
            quarantine.put_off(due, now)
        log.info("read_again", mailbox=due.mailbox, outcome=outcome)

    def _publish(self, found: Snapshot) -> Replayed:
        data = found.data
        attributes = {str(k): str(v) for k, v in data.get("attributes", {}).items()}
        self._topics.publish(data["topic"], [Event(data["data"], attributes)])
        self._documents.commit([Delete(found.path, found.version)])
        return "published"

    def _read_again(
        self, item: str, box: MailboxId, message: GmailMessageId
    ) -> Replayed:
        """Record a message by its id; it leaves the quarantine unless that fails."""
        mailbox = self._mailboxes.read(box)
        outcome: Replayed = "ignored"
        # Nothing is read after the end (C6): there is nothing left to try.
        if mailbox is not None and mailbox.status != "disconnected":
            done = self._recorder.record(
                self._accounts.gmail(mailbox.id),
                people.for_matching(self._documents, mailbox),
                [ToRead(message, HistoryId("0"))],
            )
            if done.held is not None:
                raise done.held
            if done.quarantined:
                return "quarantined"
            outcome = "recorded" if done.recorded else "ignored"
        self._documents.commit([Delete(f"quarantine/{item}")])
        return outcome

    def _users(self, caller: Caller) -> set[UserId]:
        users = {
            UserId(member.id)
            for subaccount in caller.subaccounts
            for member in self._documents.query(
                Query(f"{paths.subaccount(subaccount)}/users")
            )
        }
        return users | {LOGGING} if caller.deployment else users


def _item(found: Snapshot) -> QuarantinedItem:
    data: Any = found.data
    return QuarantinedItem(
        id=found.id,
        mailbox=data.get("mailbox"),
        gmail_message_id=data.get("gmail_message_id"),
        code=data["code"],
        detail=data["detail"],
        attempts=data["attempts"],
        first_at=data["first_at"],
        last_at=data["last_at"],
    )


class DeadLetters:
    """Drains dead letters into the quarantine, so that none is lost unseen."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def keep(self, letter: DeadLetter, name: str) -> None:
        """Set a dead letter aside under `name`, the same for every delivery of it."""
        mailbox = letter.mailbox
        mailboxes = Mailboxes(self._documents)
        found = mailboxes.read(mailbox) if mailbox else None
        if found and found.successor and letter.topic.endswith("-notifications"):
            # Gmail named an address, and that is another account's now.
            mailbox = found.successor
            found = mailboxes.read(mailbox)
        now = to_epoch_ms(self._clock.now())
        item = {
            "mailbox_id": mailbox,
            "mailbox": found.address if found else None,
            "users": sorted(found.users) if found and found.users else [LOGGING],
            "code": "dead_letter",
            "detail": f"A message on {letter.topic} could not be handled.",
            "attempts": letter.attempts,
            "first_at": now,
            "last_at": now,
            "topic": letter.topic,
            "data": letter.event.data,
            "attributes": dict(letter.event.attributes),
        }
        path = f"quarantine/{digest('dead-letter', letter.topic, name)}"
        try:
            self._documents.commit([Create(path, item)])
        except AlreadyExists:
            return
        log.error(
            "dead_letter_kept",
            topic=letter.topic,
            mailbox=mailbox,
            attempts=letter.attempts,
        )
