"""Why is this email there, or not (E2)?

Recorded mail is explained by the message itself. Mail that matched nothing has left
only its ids (M14), and is shown in any subaccount that a user of its mailbox belongs
to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.core.access import Caller, may_see_decision
from shared.core.ids import (
    ContactId,
    GmailMessageId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    UserId,
)
from shared.core.records import Message
from shared.ports import Clock, Documents, Query, Snapshot
from shared.repositories import messages, paths
from shared.services.crm.conversation_queries import Page, Position
from shared.services.crm.directory import Directory

_USERS_PER_QUERY = 30  # Firestore's limit of array_contains_any
_MAX_FOUND = 500
_MAX_ROUNDS = 5
"""Readings for one page, of which a user's own mailbox may hold nothing."""


@dataclass(frozen=True, slots=True)
class RecordedIn:
    """Where a message is recorded."""

    subaccount: SubaccountId
    contact: ContactId
    message: MessageId


@dataclass(frozen=True, slots=True)
class Decision:
    """What happened to one email of one mailbox, and under which rule.

    `id` tells decisions apart; `decided_at` is in milliseconds.
    """

    id: str
    gmail_message_id: GmailMessageId | None
    rfc822_message_id: Rfc822MessageId | None
    mailbox: str | None
    outcome: Literal["recorded", "ignored", "quarantined"]
    rule: str
    decided_at: int
    subaccounts: tuple[RecordedIn, ...] = ()


class DecisionQueries:
    """Answers "why?" for one caller and one subaccount."""

    def __init__(
        self, documents: Documents, directory: Directory, clock: Clock
    ) -> None:
        """Build with what the composition root holds."""
        self._documents = documents
        self._directory = directory
        self._clock = clock

    def by_address(
        self,
        caller: Caller,
        subaccount: SubaccountId,
        address: str,
        *,
        limit: int,
        after: Position | None,
    ) -> Page[Decision]:
        """Recorded mail from or to a normalised address, newest first.

        A page ends with a whole message, so one that very many mailboxes hold may
        exceed `limit`; one in which a user's own mailbox holds little may be short.
        """
        self._directory.require(subaccount)
        items: list[Decision] = []
        for _ in range(_MAX_ROUNDS):
            query = messages.with_address(
                subaccount, address, limit=limit + 1, start_after=after
            )
            found = self._messages(query)
            for message in found:
                decisions = self._recorded(caller, [message])
                if items and len(items) + len(decisions) > limit:
                    return Page(tuple(items), after)
                items += decisions
                after = (message.sent_at, message.id)
            if len(found) <= limit:
                return Page(tuple(items), None)
        return Page(tuple(items), after)

    def by_gmail_id(
        self, caller: Caller, subaccount: SubaccountId, gmail: GmailMessageId
    ) -> tuple[Decision, ...]:
        """Every decision on this Gmail id, newest first."""
        self._directory.require(subaccount)
        query = messages.with_gmail_id(subaccount, gmail, limit=_MAX_FOUND)
        recorded = self._recorded(caller, self._messages(query))
        same = [decision for decision in recorded if decision.gmail_message_id == gmail]
        return self._with_ignored(caller, subaccount, same, "gmail_message_id", gmail)

    def by_message_id(
        self, caller: Caller, subaccount: SubaccountId, rfc822: Rfc822MessageId
    ) -> tuple[Decision, ...]:
        """Every decision on this Message-ID (with its brackets), newest first."""
        self._directory.require(subaccount)
        query = messages.with_message_id(subaccount, rfc822, limit=_MAX_FOUND)
        recorded = self._recorded(caller, self._messages(query))
        return self._with_ignored(
            caller, subaccount, recorded, "rfc822_message_id", rfc822
        )

    # --- recorded ----------------------------------------------------------------

    def _messages(self, query: Query) -> list[Message]:
        found = self._documents.query(query)
        return [messages.from_snapshot(snapshot) for snapshot in found]

    def _recorded(self, caller: Caller, found: Sequence[Message]) -> list[Decision]:
        return [
            decision
            for message in found
            for decision in _decisions(self._everywhere(caller, message), caller.user)
        ]

    def _everywhere(self, caller: Caller, message: Message) -> list[Message]:
        """The same email in all of the caller's subaccounts; the given one first.

        It can only be in the subaccounts of the users who hold it.
        """
        users = sorted({copy.user for copy in message.held_by})
        known = self._documents.get([paths.user(user) for user in users])
        others = {
            SubaccountId(subaccount)
            for snapshot in known
            for subaccount in snapshot.data.get("subaccounts", ())
        }
        others = (others & caller.subaccounts) - {message.subaccount}
        names = [
            (subaccount_id, paths.message(subaccount_id, message.id))
            for subaccount_id in sorted(others)
        ]
        copies = self._documents.get([path for _, path in names])
        return [
            message,
            *(
                messages.from_snapshot(snapshot)
                for (subaccount, _), snapshot in zip(names, copies, strict=True)
                if snapshot.exists
            ),
        ]

    # --- not recorded ------------------------------------------------------------

    def _with_ignored(
        self,
        caller: Caller,
        subaccount: SubaccountId,
        recorded: Iterable[Decision],
        field: str,
        value: str,
    ) -> tuple[Decision, ...]:
        """Add the decisions on mail that was not recorded; a record wins over one."""
        by_id = self._ignored(caller, subaccount, field, value)
        by_id.update({decision.id: decision for decision in recorded})
        found = sorted(
            by_id.values(), key=lambda decision: (-decision.decided_at, decision.id)
        )
        return tuple(found)

    def _ignored(
        self, caller: Caller, subaccount: SubaccountId, field: str, value: str
    ) -> dict[str, Decision]:
        members = self._members(subaccount)
        # A newsletter has one Message-ID in very many mailboxes: ask for ours only.
        asked = sorted(members if caller.user is None else members & {caller.user})
        now = self._clock.now()
        found: dict[str, Decision] = {}
        for start in range(0, len(asked), _USERS_PER_QUERY):
            some = asked[start : start + _USERS_PER_QUERY]
            query = Query(
                "decisions",
                where=(("users", "array_contains_any", some), (field, "==", value)),
                limit=_MAX_FOUND,
            )
            for snapshot in self._documents.query(query):
                data = snapshot.data
                users = frozenset(map(UserId, data["users"]))
                expired = data.get("expires_at") and data["expires_at"] <= now
                if may_see_decision(caller, users, members) and not expired:
                    found[snapshot.id] = _kept_decision(snapshot.id, data, caller)
        return found

    def _members(self, subaccount: SubaccountId) -> frozenset[UserId]:
        found: list[Snapshot] = self._documents.query(
            Query(f"{paths.subaccount(subaccount)}/users")
        )
        return frozenset(UserId(snapshot.id) for snapshot in found)


def _decisions(copies: Sequence[Message], user: UserId | None) -> list[Decision]:
    """One decision for each mailbox that holds the email; copies are one email.

    For a user only that of the own mailbox, or of email that the user sent.
    """
    first = copies[0]
    places = {
        copy.subaccount: RecordedIn(copy.subaccount, copy.contact, copy.id)
        for copy in copies
    }
    base = Decision(
        id=first.id,
        gmail_message_id=None,
        rfc822_message_id=first.rfc822_message_id,
        mailbox=None,
        outcome="recorded",
        rule=first.rule,
        decided_at=first.recorded_at,
        subaccounts=tuple(places.values()),
    )
    if not first.held_by:
        return [base] if user in {None, first.user} else []
    found: dict[str, Decision] = {}
    for held in first.held_by:
        if user not in {None, held.user}:
            continue
        name = _decision_id(held.mailbox, held.gmail_message_id)
        found[name] = replace(
            base,
            id=name,
            gmail_message_id=held.gmail_message_id,
            mailbox=held.address,
            subaccounts=tuple(
                places[copy.subaccount]
                for copy in copies
                if any(
                    (other.mailbox, other.gmail_message_id)
                    == (held.mailbox, held.gmail_message_id)
                    for other in copy.held_by
                )
            ),
        )
    return list(found.values())


def _decision_id(mailbox: MailboxId, gmail: GmailMessageId) -> str:
    return paths.decision(mailbox, gmail).rpartition("/")[2]


def _kept_decision(name: str, data: Any, caller: Caller) -> Decision:
    """A decision that is a document: on mail not recorded, and on bounces (S12)."""
    shown = {
        subaccount: RecordedIn(
            SubaccountId(subaccount),
            ContactId(entry["contact"]),
            MessageId(entry["message"]),
        )
        for subaccount, entry in sorted(data.get("returned", {}).items())
    }
    return Decision(
        id=name,
        gmail_message_id=data["gmail_message_id"],
        rfc822_message_id=data.get("rfc822_message_id"),
        mailbox=data["mailbox"],
        outcome=data["outcome"],
        rule=data["rule"],
        decided_at=data["decided_at"],
        subaccounts=tuple(
            place for place in shown.values() if place.subaccount in caller.subaccounts
        ),
    )
