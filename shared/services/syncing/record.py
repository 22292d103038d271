"""Records a batch of Gmail messages: headers, decisions, content, commits.

The order of the steps is the exactly-once promise: nothing of a message that no rule
records is read beyond its headers (M14); everything before a passing fault is durable,
nothing from there on; repeating any of it changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.core.ids import SubaccountId
from shared.core.mail import MessageHeaders
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import redact_bcc_addresses
from shared.core.matching.places import Decision
from shared.core.matching.rewritten import as_recorded
from shared.core.people import MailboxForMatching
from shared.core.syncing.history import ToRead
from shared.core.syncing.trouble import Trouble
from shared.errors import (
    Conflict,
    DocumentMissing,
    GmailNotFound,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    Transient,
)
from shared.logs import log
from shared.ports import Blobs, Clock, Documents, Gmail
from shared.repositories import people
from shared.repositories.contact_quota import ContactQuota
from shared.repositories.facts import FactFinder
from shared.repositories.outbox import Outbox
from shared.services.blob_uploads import BlobUploads
from shared.services.syncing.batch import Batch, Item, Outcome
from shared.services.syncing.bounces import BounceWriter, read_reports
from shared.services.syncing.content_fetcher import AttachmentUnread, ContentFetcher
from shared.services.syncing.copies import CopyReconciler
from shared.services.syncing.decision_maker import DecisionMaker
from shared.services.syncing.isolation import follows_the_message
from shared.services.syncing.mailbox_lease import Run
from shared.services.syncing.record_writer import RecordWriter
from shared.services.syncing.unrecorded import UnrecordedMessages

DECIDE_AGAIN = 3
"""How often a message is decided anew because a contact was erased meanwhile."""


class Recorder:
    """Takes messages of one mailbox through all steps, batch by batch."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        publisher: Outbox,
        clock: Clock,
        quota: ContactQuota,
        bcc_form: BccAddressFormat | None = None,
    ) -> None:
        """Use these gateways; `bcc_form` is the deployment's form of BCC addresses."""
        self._documents = documents
        self._quota = quota
        self._bcc_form = bcc_form
        self._outbox = publisher
        uploads = BlobUploads(documents, blobs, clock)
        self._copies = CopyReconciler(documents, blobs, uploads)
        self._decision_maker = DecisionMaker(documents, clock)
        self._fetcher = ContentFetcher(clock, bcc_form)
        self._writer = RecordWriter(
            documents, blobs, clock, uploads, self._fetcher, self._copies, quota
        )
        self._bounces = BounceWriter(documents)
        self._unrecorded = UnrecordedMessages(documents, clock)

    def record(
        self,
        gmail: Gmail,
        mailbox: MailboxForMatching,
        todo: Sequence[ToRead],
        *,
        one_at_a_time: bool = False,
        only: Collection[SubaccountId] | None = None,
        patient: bool = False,
        trouble: Trouble | None = None,
    ) -> Outcome:
        """Bring some messages into the CRM, in the order of the history.

        A message that can never be processed is set aside (E3) and stops nothing; a
        passing fault stops the batch where it happened, because threads depend on the
        order. Raises NeedsReauth and Misconfigured, which no message is to blame for.
        With `careful` messages go one by one, each attempt counted before it is made: a
        message that kills the process is set aside by a later holder. With `only` other
        subaccounts are left as they are. With `patient` a message that alone cannot be
        read holds the batch for some tries; `trouble` counts those before this one.
        """

        def batch() -> Batch:
            facts = FactFinder(self._documents, self._quota)
            return Batch(gmail, mailbox, facts, only, patient, trouble)

        if not one_at_a_time:
            return self._record(batch(), [Item(message) for message in todo])
        total = Outcome()
        for task in todo:
            item = Item(task)
            self._unrecorded.count_attempt(mailbox, item)
            total.add(self._record(batch(), [item]))
            if total.held is not None:
                break
            self._unrecorded.passed(mailbox, item)
        return total

    def record_for(self, run: Run, todo: Sequence[ToRead]) -> Outcome:
        """Record what the holder of a mailbox has read, and log what came of it.

        Settings are read after the mail was found: whatever was set before it came
        counts for it, a never-log entry too (M12).
        """
        known = people.for_matching(self._documents, run.mailbox)
        outcome = self.record(
            run.gmail,
            known,
            todo,
            one_at_a_time=run.one_at_a_time,
            patient=True,
            trouble=run.mailbox.trouble,
        )
        run.trouble = outcome.trouble
        log.info(
            "batch_recorded",
            mailbox=run.id,
            recorded=outcome.recorded,
            ignored=outcome.ignored,
            quarantined=outcome.quarantined,
        )
        return outcome

    def _record(self, batch: Batch, items: Sequence[Item]) -> Outcome:
        with batch.uploads:
            return self._take_through(batch, items)

    def _take_through(self, batch: Batch, items: Sequence[Item]) -> Outcome:
        self._read_headers(batch, items)
        self._decision_maker.decide_all(batch, items)
        self._fetcher.read(batch, items)
        self._writer.commit_batch(batch, items)
        for item in items:
            self._finish(batch, item, items)
            if batch.outcome.held is not None:
                break
        if batch.ignored:
            self._documents.commit(batch.ignored)
        for headers, copies in batch.copies:
            self._copies.join_if_recorded(headers, batch.mailbox, copies)
        self._outbox.publish(batch.events)
        if batch.seen_before:
            self._outbox.publish_if_left(batch.seen_before)
        return batch.outcome

    def _read_headers(self, batch: Batch, items: Sequence[Item]) -> None:
        wanted = [entry for entry in items if entry.failure is None]
        found = batch.gmail.headers([entry.todo.gmail_message_id for entry in wanted])
        for item in wanted:
            answer = found.get(item.todo.gmail_message_id, GmailNotFound())
            if not isinstance(answer, MessageHeaders):
                item.failure = answer
                continue
            try:
                item.headers = redact_bcc_addresses(answer, self._bcc_form)
            except Exception as error:  # noqa: BLE001  (one must not stop others)
                item.failure = error
        headers = [item.headers for item in wanted if item.headers is not None]
        reports = read_reports(batch.gmail, batch.mailbox, headers, self._bcc_form)
        for item in wanted:
            report = reports.get(item.todo.gmail_message_id)
            if isinstance(report, MessageHeaders):
                item.headers = report
            elif report is not None:
                item.failure = report

    def _finish(self, batch: Batch, item: Item, items: Sequence[Item]) -> None:
        """Write one message, or say why not; never raises for the message's sake."""
        try:
            self._write(batch, item)
        except (NeedsReauth, Misconfigured):
            raise
        except GmailNotFound:
            batch.stale = True
            self._unrecorded.ignore(batch, item, "M1")
        except Transient as error:
            # Whoever is not patient has a store's passing faults retried as a whole.
            unread = error is item.failure or isinstance(error, AttachmentUnread)
            if (batch.patient or unread) and follows_the_message(
                batch.gmail, item, items, error
            ):
                self._unrecorded.failed_alone(batch, item, error)
            else:
                batch.outcome.held, batch.outcome.stopped_at = error, item.todo
        except Permanent as error:
            self._unrecorded.set_aside(batch, item, error.code, error.detail)
        except Exception as error:  # noqa: BLE001  (a bug must not stop the mailbox)
            self._unrecorded.unexpected(batch, item, error)

    def _write(self, batch: Batch, item: Item) -> None:
        for _ in range(DECIDE_AGAIN):
            if batch.stale and item.headers is not None and item.failure is None:
                batch.forget()
                self._decision_maker.decide(batch, item, item.headers)
                self._fetcher.read(batch, [item])
            if item.failure is not None:
                raise item.failure
            if item.headers is None or item.decision is None:
                raise Malformed
            try:
                self._bounces.write(batch, item.decision.returned)
                refused = {
                    place.subaccount: "M9"
                    for place in item.decision.places
                    if not self._writer.write(
                        batch, item, as_recorded(item.headers, place), place
                    )
                }
            except DocumentMissing:
                batch.stale = True  # the contact was erased: decide anew
                continue
            item.decision = item.decision.without(refused)
            self._note(batch, item, item.headers, item.decision)
            return
        raise Conflict

    def _note(
        self, batch: Batch, item: Item, headers: MessageHeaders, decided: Decision
    ) -> None:
        """Count the message, and keep why it is not recorded where it is not."""
        batch.outcome.recorded += decided.recorded
        if decided.copies:
            seen = as_recorded(headers, decided.copies[0])
            batch.copies.append((seen, decided.copies))
        if decided.returned:
            self._unrecorded.returned(batch, item, decided)
        elif batch.only is not None and not decided.recorded and not decided.copies:
            # Its decision is about all subaccounts, and stays as it is. A copy leaves
            # one all the same: another mailbox may record the email after this.
            batch.outcome.ignored += 1
        elif decided.copies or not decided.recorded:
            rule = "M3" if decided.copies else decided.rule
            self._unrecorded.ignore(batch, item, rule, decided.copies)
