"""Brings in older mail of a contact that was added later (E5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from shared.core.ids import GmailMessageId, HistoryId, SubaccountId
from shared.core.people import MailboxForMatching
from shared.core.syncing.history import ToRead
from shared.ports import Documents, Gmail, Write
from shared.repositories import people
from shared.repositories.jobs import Job, Page
from shared.repositories.mailboxes import Mailboxes
from shared.services.connecting.accounts import Accounts
from shared.services.syncing.record import Recorder


class Backfill:
    """Records what the rules permit now, in the contact's subaccount only."""

    def __init__(
        self, documents: Documents, accounts: Accounts, recorder: Recorder
    ) -> None:
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._recorder = recorder

    def read(
        self, job: Job, page: Page, ids: Sequence[GmailMessageId]
    ) -> tuple[Job, list[Write]]:
        """Record a few messages; a mailbox that was disconnected is left alone (C6)."""
        mailbox = self._mailboxes.read(page.mailbox)
        if mailbox is None or mailbox.status != "active":
            return job, []
        recorded = record_again(
            self._recorder,
            self._accounts.gmail(mailbox.id),
            people.for_matching(self._documents, mailbox),
            ids,
            job.subaccounts,
        )
        return replace(
            job, gmail=job.gmail + len(ids), recorded=job.recorded + recorded
        ), []


def record_again(
    recorder: Recorder,
    gmail: Gmail,
    mailbox: MailboxForMatching,
    ids: Sequence[GmailMessageId],
    only: Collection[SubaccountId],
) -> int:
    """Record messages outside the history; says how many. Raises a passing fault."""
    todo = [ToRead(message_id, HistoryId("0")) for message_id in ids]
    outcome = recorder.record(gmail, mailbox, todo, only=only)
    if outcome.held is not None:
        raise outcome.held
    return outcome.recorded
