"""Bounces: reads what may be one before it is decided, and adds what came back (S12).

Promises: ordinary mail is not read for it; what is read of mail that concerns nothing
of ours is not kept; one entry and one event a recipient, however often it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.core.events import CrmEvent, bounce_key, bounced_event, bounced_event_id
from shared.core.ids import GmailMessageId
from shared.core.limits import MAX_BOUNCE_DETAIL_CHARS, MAX_BOUNCED_RECIPIENTS
from shared.core.mail import DeliveryReport, MessageHeaders
from shared.core.matching.bcc import LOGGING, BccAddressFormat
from shared.core.matching.bcc_redaction import hide
from shared.core.matching.places import Returned
from shared.core.people import MailboxForMatching
from shared.errors import Conflict, DocumentMissing, GmailNotFound, SyncError
from shared.logs import log
from shared.ports import Documents, Gmail, Snapshot, Update
from shared.repositories import messages, outbox, paths
from shared.services.syncing.batch import Batch

_ATTEMPTS = 5


def read_reports(
    gmail: Gmail,
    mailbox: MailboxForMatching,
    found: Sequence[MessageHeaders],
    form: BccAddressFormat | None,
) -> dict[GmailMessageId, MessageHeaders | Exception]:
    """Those of these messages that may be bounces, with what they say as such.

    The logging mailbox sends nothing, and mail from before a connection is not read.
    """
    since = min(
        (user.since for user in mailbox.users if user.id != LOGGING), default=None
    )
    asked = [
        message
        for message in found
        if message.may_be_bounce
        and since is not None
        and message.internal_date >= since
    ]
    if not asked:
        return {}
    answers = gmail.reports([message.gmail_message_id for message in asked])
    read: dict[GmailMessageId, MessageHeaders | Exception] = {}
    for message in asked:
        answer = answers.get(message.gmail_message_id, GmailNotFound())
        try:
            read[message.gmail_message_id] = (
                answer
                if isinstance(answer, SyncError)
                else replace(message, report=_hidden(answer, form))
            )
        except Exception as error:  # noqa: BLE001  (one must not stop others)
            read[message.gmail_message_id] = error
    return read


def _hidden(
    report: DeliveryReport | None, form: BccAddressFormat | None
) -> DeliveryReport | None:
    """A server's words can quote a BCC address, which is a secret (B6)."""
    if report is None:
        return None
    return replace(
        report,
        failures=tuple(
            replace(failure, detail=_words(failure.detail, form))
            for failure in report.failures
        ),
    )


def _words(detail: str | None, form: BccAddressFormat | None) -> str | None:
    if detail is None:
        return None
    # It is bounded with its last blank taken off.
    cut = len(detail) >= MAX_BOUNCE_DETAIL_CHARS - 1
    return hide(detail, form, cut=cut)


class BounceWriter:
    """Adds entries to messages that are recorded."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def write(self, batch: Batch, returned: Iterable[Returned]) -> None:
        """Add what is new to each message, with its events, in one commit a message.

        Raises DocumentMissing when a message is there no longer.
        """
        for message in returned:
            for _ in range(_ATTEMPTS):
                path = paths.message(message.subaccount, message.message)
                found = self._documents.get([path])[0]
                if not found.exists:
                    raise DocumentMissing
                try:
                    batch.events += self._added(found, message)
                except Conflict:
                    continue
                break
            else:
                raise Conflict
            # An earlier try may have died between commit and publishing.
            batch.seen_before += [
                bounced_event_id(message.subaccount, message.message, bounce)
                for bounce in message.bounces
                if bounce_key(bounce) in found.data.get("bounces", {})
            ]

    def _added(self, found: Snapshot, returned: Returned) -> list[CrmEvent]:
        record = messages.from_snapshot(found)
        known = {bounce_key(bounce) for bounce in record.bounces}
        new = [bounce for bounce in returned.bounces if bounce_key(bounce) not in known]
        if len(new) > (room := MAX_BOUNCED_RECIPIENTS - len(known)):
            log.warning("bounces_left_out", message=record.id, number=len(new) - room)
            new = new[: max(0, room)]
        if not new:
            return []
        events = [bounced_event(record, bounce) for bounce in new]
        entries = {"bounces": messages.bounce_fields(new)}
        self._documents.commit(
            [
                Update(found.path, entries, found.version),
                *(outbox.committing(event) for event in events),
            ]
        )
        return events
