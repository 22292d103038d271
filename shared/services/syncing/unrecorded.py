"""Keeps why a message is not recorded: no rule records it, or it cannot be processed.

Promises: ids, rule and time are kept, nothing of what the message says; one that can
never be processed is set aside, so that it blocks nothing behind it (E3).
"""

from __future__ import annotations

from shared.core.limits import MAX_ATTEMPTS
from shared.core.matching.places import Decision, Placement
from shared.core.moments import to_epoch_ms
from shared.core.people import MailboxForMatching
from shared.core.syncing.trouble import failed_again, is_given_up
from shared.errors import Permanent, Transient
from shared.logs import log
from shared.ports import Clock, Documents
from shared.repositories.quarantine import Quarantine, decision
from shared.services.syncing.batch import Batch, Item
from shared.services.syncing.copies import could_join


class UnrecordedMessages:
    """Decisions and the quarantine, as a batch fills them."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._quarantine = Quarantine(documents)
        self._clock = clock

    def ignore(
        self, batch: Batch, item: Item, rule: str, copies: tuple[Placement, ...] = ()
    ) -> None:
        """Note the rule; the decision is written with the others of its batch."""
        headers = item.headers
        if item.decision is None or not item.decision.recorded:
            batch.outcome.ignored += 1
        joining = (
            could_join(headers, batch.mailbox, copies) if headers and copies else {}
        )
        batch.ignored.append(
            decision(
                batch.mailbox,
                item.todo.gmail_message_id,
                headers.rfc822_message_id if headers else None,
                outcome="ignored",
                rule=rule,
                at=self._now(),
                more={**_concerning(batch.mailbox, item.decision), **joining},
            )
        )

    def returned(self, batch: Batch, item: Item, decided: Decision) -> None:
        """Note which messages show what a bounce says (S12); ids only."""
        batch.outcome.recorded += 1
        headers = item.headers
        shown = {
            returned.subaccount: {
                "contact": returned.contact,
                "message": returned.message,
            }
            for returned in decided.returned
        }
        batch.ignored.append(
            decision(
                batch.mailbox,
                item.todo.gmail_message_id,
                headers.rfc822_message_id if headers else None,
                outcome="recorded",
                rule=decided.rule,
                at=self._now(),
                more={"returned": shown},
            )
        )

    def set_aside(
        self,
        batch: Batch,
        item: Item,
        code: str,
        detail: str,
        *,
        read_again: bool = False,
    ) -> None:
        """Put a message into the quarantine; what waits behind it is decided again.

        With `read_again` a sweep tries it a few more times by itself.
        """
        batch.stale = True
        batch.outcome.quarantined += 1
        self._quarantine.set_aside(
            batch.mailbox,
            item.todo.gmail_message_id,
            code=code,
            detail=detail,
            at=self._now(),
            read_again=read_again,
        )
        log.warning("message_quarantined", mailbox=batch.mailbox.id, code=code)

    def failed_alone(self, batch: Batch, item: Item, error: Transient) -> None:
        """Count a fault that follows this message; set it aside after some tries.

        Until then it holds the batch: most of these faults pass. Whoever reads no
        history has nothing behind the message that waits, and sets it aside at once.
        """
        trouble = failed_again(batch.trouble, item.todo.gmail_message_id, self._now())
        if batch.patient and not is_given_up(trouble, self._now()):
            batch.outcome.held, batch.outcome.stopped_at = error, item.todo
            batch.outcome.trouble = trouble
        else:
            self.set_aside(batch, item, error.code, error.detail, read_again=True)

    def unexpected(self, batch: Batch, item: Item, error: Exception) -> None:
        """Try a message that trips over a bug a few times, then set it aside."""
        log.error("message_failed", mailbox=batch.mailbox.id, exc_info=error)
        attempts = self._quarantine.attempt(batch.mailbox, item.todo.gmail_message_id)
        if attempts >= MAX_ATTEMPTS:
            self.set_aside(batch, item, "internal_error", type(error).__name__)
        else:
            batch.outcome.held, batch.outcome.stopped_at = Transient(), item.todo

    def count_attempt(self, mailbox: MailboxForMatching, item: Item) -> None:
        """Count an attempt before it is made; too many are the message's failure."""
        attempts = self._quarantine.attempt(mailbox, item.todo.gmail_message_id)
        if attempts > MAX_ATTEMPTS:
            item.failure = Permanent("Processing this message ended the process.")

    def passed(self, mailbox: MailboxForMatching, item: Item) -> None:
        """Forget the attempts, unless the message is set aside."""
        if not isinstance(item.failure, Permanent):
            self._quarantine.passed(mailbox, item.todo.gmail_message_id)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _concerning(
    mailbox: MailboxForMatching, decided: Decision | None
) -> dict[str, object]:
    """Who may ask about it besides the mailbox's users: owners of BCC addresses."""
    if decided is None or not decided.concerns:
        return {}
    users = {user.id for user in mailbox.users}.union(decided.concerns)
    return {"users": sorted(users)}
