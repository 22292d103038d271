"""Compares what Gmail has with what was recorded, and repairs what is missing (E4).

A record that no rule permits (any more) is listed and stays: what to do about it is for
a person to say, and the API can erase its contact.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from shared.core.ids import ContactId, GmailMessageId, SubaccountId
from shared.core.mail import MessageHeaders
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import redact_bcc_addresses
from shared.core.matching.places import Decision
from shared.core.matching.rules import decide
from shared.core.moments import to_epoch_ms
from shared.core.people import MailboxForMatching
from shared.core.records import Message
from shared.core.syncing import auditing
from shared.core.syncing.auditing import Difference, RecordKey
from shared.errors import NeedsReauth, Transient
from shared.ports import Clock, Documents, Gmail, Query, Snapshot, Update, Write
from shared.repositories import messages, paths, people
from shared.repositories.contact_quota import ContactQuota
from shared.repositories.facts import FactFinder
from shared.repositories.jobs import Job, Page, finding_path, finding_write
from shared.repositories.mailboxes import Mailboxes
from shared.services.compare_and_set import retry_on_conflict
from shared.services.connecting.accounts import Accounts
from shared.services.operations.backfill import record_again
from shared.services.syncing.bounces import read_reports
from shared.services.syncing.record import Recorder


class Audit:
    """Looks at a few messages at a time; writes nothing unless it repairs."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        recorder: Recorder,
        clock: Clock,
        quota: ContactQuota,
        bcc_form: BccAddressFormat | None,
    ) -> None:
        """Use these gateways; `bcc_form` is the deployment's form of BCC addresses."""
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._recorder = recorder
        self._clock = clock
        self._quota = quota
        self._bcc_form = bcc_form

    def read(
        self, job: Job, page: Page, ids: Sequence[GmailMessageId]
    ) -> tuple[Job, list[Write]]:
        """Compare, repair when asked to, and say what was found."""
        mailbox = self._mailboxes.read(page.mailbox)
        if mailbox is None or mailbox.status == "disconnected":
            return job, []
        gmail = self._accounts.gmail(mailbox.id)
        known = people.for_matching(self._documents, mailbox)
        if job.pending:
            return self._repair(job, gmail, known)
        headers = [
            message
            for message in self._headers(gmail, known, ids)
            if job.begin <= message.internal_date < job.end
        ]
        found, recorded = self._compare(known, headers, job)
        missing = tuple(
            difference.gmail_message_id
            for difference in found
            if difference.outcome == "recorded" and not difference.repaired
        )
        job = replace(
            job,
            gmail=job.gmail + len(headers),
            recorded=job.recorded + recorded,
            pending=missing if job.repair else (),
        )
        return job, [
            finding_write(job, self._finding(difference, known.address))
            for difference in found
        ]

    def _repair(
        self, job: Job, gmail: Gmail, mailbox: MailboxForMatching
    ) -> tuple[Job, list[Write]]:
        """Record what was found missing, in a step of its own.

        What was found is durable before: a crash in the middle forgets nothing.
        """
        names = [
            finding_path(job, message_id, "recorded") for message_id in job.pending
        ]
        findings = self._documents.get(names)
        record_again(self._recorder, gmail, mailbox, job.pending, job.subaccounts)
        self._recount(findings)
        headers = self._headers(gmail, mailbox, job.pending)
        left = {
            difference.gmail_message_id
            for difference in self._compare(mailbox, headers, job)[0]
            if difference.outcome == "recorded" and not difference.repaired
        }
        return replace(job, pending=()), [
            Update(finding.path, {"repaired": True})
            for finding in findings
            if finding.data["gmail_message_id"] not in left
        ]

    def _headers(
        self, gmail: Gmail, mailbox: MailboxForMatching, ids: Sequence[GmailMessageId]
    ) -> list[MessageHeaders]:
        """Headers of what is still there; raises a passing fault."""
        found = gmail.headers(ids)
        readable = []
        for message_id in ids:
            answer = found.get(message_id)
            if isinstance(answer, Transient | NeedsReauth):
                raise answer
            if isinstance(answer, MessageHeaders):
                readable.append(redact_bcc_addresses(answer, self._bcc_form))
        reports = read_reports(gmail, mailbox, readable, self._bcc_form)
        for fault in reports.values():
            if isinstance(fault, Transient | NeedsReauth):
                raise fault
        read = [reports.get(message.gmail_message_id, message) for message in readable]
        return [message for message in read if isinstance(message, MessageHeaders)]

    def _compare(
        self, mailbox: MailboxForMatching, headers: Sequence[MessageHeaders], job: Job
    ) -> tuple[list[Difference], int]:
        """Every difference, and how many messages are recorded as they should be."""
        finder = FactFinder(self._documents, self._quota)
        finder.prefetch([decide(message, mailbox) for message in headers])
        differences: list[Difference] = []
        recorded = 0
        for message in headers:
            decided = finder.run(decide(message, mailbox))
            records = self._records(message, mailbox, decided, job.subaccounts)
            found = auditing.compare(
                message, mailbox, decided, job.subaccounts, records
            )
            differences += found
            recorded += bool(records) and all(diff.repaired for diff in found)
        return differences, recorded

    def _records(
        self,
        message: MessageHeaders,
        mailbox: MailboxForMatching,
        decided: Decision,
        only: Collection[Any],
    ) -> dict[RecordKey, Message]:
        keys = auditing.records_to_read(message, mailbox, decided, only)
        found = self._read(keys)
        apart = auditing.records_apart(message, mailbox, found)
        return found | self._read(apart)

    def _read(self, keys: Sequence[RecordKey]) -> dict[RecordKey, Message]:
        found = self._documents.get([paths.message(s, m) for s, m in keys])
        return {
            key: messages.from_snapshot(snapshot)
            for key, snapshot in zip(keys, found, strict=True)
            if snapshot.exists
        }

    def _recount(self, findings: Sequence[Snapshot]) -> None:
        """Set right the figures of conversations that have got a record back.

        They still counted a record that was removed behind our back.
        """
        concerned = {
            (SubaccountId(place["subaccount"]), ContactId(place["contact"]))
            for finding in findings
            for place in finding.data["subaccounts"]
        }
        for subaccount, contact in sorted(concerned):
            retry_on_conflict(partial(self._recount_one, subaccount, contact))

    def _recount_one(self, subaccount: SubaccountId, contact: ContactId) -> None:
        known = self._documents.get([paths.contact(subaccount, contact)])[0]
        if not known.exists:
            return
        query = Query(paths.messages(subaccount), where=(("contact", "==", contact),))
        sent = [document.data["sent_at"] for document in self._documents.query(query)]
        figures = {"messages": len(sent), "last_message_at": max(sent, default=None)}
        if any(known.data.get(name) != value for name, value in figures.items()):
            self._documents.commit([Update(known.path, figures, known.version)])

    def _finding(self, difference: Difference, mailbox: str) -> dict[str, Any]:
        """A difference as the API shows it: a decision, and whether it is mended."""
        return {
            "gmail_message_id": difference.gmail_message_id,
            "rfc822_message_id": difference.rfc822_message_id,
            "mailbox": mailbox,
            "outcome": difference.outcome,
            "rule": difference.rule,
            "subaccounts": [
                {
                    "subaccount": place.subaccount,
                    "contact": place.contact,
                    "message": place.message,
                }
                for place in difference.places
            ],
            "decided_at": to_epoch_ms(self._clock.now()),
            "repaired": difference.repaired,
        }
