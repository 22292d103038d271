"""Audits (E4) and backfills (E5): long work in slices, over `mailbox-work`.

A slice saves its progress after every step and publishes the next slice before it is
acknowledged. Each step can be repeated: a crash or a second delivery costs time only.
"""

from __future__ import annotations

import secrets as random_ids
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol

from shared.core.access import Caller
from shared.core.ids import (
    ContactId,
    GmailMessageId,
    SubaccountId,
    UserId,
    address_key,
)
from shared.core.limits import HEADERS_PER_BATCH
from shared.core.moments import to_epoch_ms
from shared.core.syncing.work import work
from shared.errors import Conflict, NeedsReauth, Permanent, Problem
from shared.logs import log
from shared.ports import Clock, Documents, Query, Write
from shared.repositories import paths
from shared.repositories.jobs import Job, JobKind, Jobs, Page, Source, page_write
from shared.repositories.mailboxes import Mailboxes
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import Accounts
from shared.services.crm.directory import Directory, not_found

RUN_SECONDS = 60
"""A slice ends after this; its last step has the rest of the function's time."""
MAX_FINDINGS = 1000
KINDS: tuple[JobKind, ...] = ("audit", "backfill")


class Step(Protocol):
    """What a kind of job does with a few messages."""

    def read(
        self, job: Job, page: Page, ids: Sequence[GmailMessageId]
    ) -> tuple[Job, list[Write]]:
        """Do it; gives the job with its new counts, and what was found.

        A job with something `pending` is given the same messages again.
        """


class JobService:
    """Starts, continues and shows jobs."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        directory: Directory,
        queue: WorkQueue,
        clock: Clock,
        steps: dict[JobKind, Step],
    ) -> None:
        """Use these gateways; `steps` does the work of each kind."""
        self._documents = documents
        self._jobs = Jobs(documents)
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._directory = directory
        self._queue = queue
        self._clock = clock
        self._steps = steps

    # --- begin -------------------------------------------------------------------

    def audit(
        self, caller: Caller, user: UserId, begin: int, end: int, *, repair: bool
    ) -> Job:
        """Compare a user's mailbox with the records, from `begin` to before `end`.

        Only in those of the user's subaccounts that the caller may touch.
        """
        connection = self._mailboxes.connection(user)
        if connection is None or connection.status == "disconnected":
            raise Problem(404, "not_connected", "This user has no connected mailbox.")
        if connection.status == "reauth_required":
            raise Problem(
                409, "reauth_required", "The mailbox's owner must connect it again."
            )
        own = set(self._directory.subaccounts_of(user)) & caller.subaccounts
        # Gmail filters by whole seconds; the step by the millisecond.
        query = f"after:{begin // 1000} before:{-(-end // 1000)}"
        return self._begin(
            "audit",
            own,
            [Source(connection.mailbox, query)],
            user=user,
            begin=begin,
            end=end,
            repair=repair,
        )

    def backfill(self, subaccount: SubaccountId, contact: ContactId) -> Job:
        """Bring in the mail with one contact since each user's connection."""
        known = self._directory.contact(subaccount, contact)
        if known is None:
            raise not_found("contact")
        sources = []
        members = Query(f"{paths.subaccount(subaccount)}/users")
        for member in self._documents.query(members):
            connection = self._mailboxes.connection(UserId(member.id))
            if connection is None or connection.status != "active":
                continue
            since = connection.connected_at // 1000
            sources += [
                Source(
                    connection.mailbox, f"after:{since}", contact, address_key(email)
                )
                for email in known.emails
            ]
        return self._begin("backfill", {subaccount}, list(dict.fromkeys(sources)))

    def _begin(
        self,
        kind: JobKind,
        subaccounts: Collection[SubaccountId],
        sources: Sequence[Source],
        **more: Any,
    ) -> Job:
        job = Job(
            id=random_ids.token_hex(16),
            kind=kind,
            subaccounts=tuple(sorted(subaccounts)),
            sources=tuple(sources),
            created_at=self._now(),
            **more,
        )
        self._jobs.create(job)
        self._queue.add([work(kind, job=job.id)])
        return job

    # --- go on -------------------------------------------------------------------

    def advance(self, name: str) -> None:
        """Do a slice. One that another delivery is at is left to that one."""
        found = self._jobs.read(name)
        if found is None:
            return
        job, read = found
        until = self._clock.now().timestamp() + RUN_SECONDS
        while job.status in {"queued", "running"}:
            if self._clock.now().timestamp() > until:
                self._queue.add([work(job.kind, job=job.id)])
                return
            try:
                job, also = self._step(job)
            except (NeedsReauth, Permanent) as error:
                log.warning("job_failed", job=job.kind, code=error.code)
                job, also = replace(job, status="failed", failure=error.code), []
            try:
                read = self._jobs.save(job, read, also)
            except Conflict:
                return
        log.info("job_ended", job=job.kind, status=job.status, count=job.done)

    def _step(self, job: Job) -> tuple[Job, list[Write]]:
        """One step: list a page, or read a few messages of one."""
        job = replace(job, status="running")
        if not job.listed:
            return self._list(job)
        if job.page == 0:
            return replace(job, status="done"), []
        page = self._jobs.page(job)
        oldest_first = page.ids[::-1]
        some = oldest_first[job.offset : job.offset + HEADERS_PER_BATCH]
        job, findings = self._steps[job.kind].read(job, page, some)
        if job.pending:
            return job, findings
        offset = job.offset + len(some)
        ended = offset >= len(page.ids)
        job = replace(
            job,
            done=job.done + len(some),
            page=job.page - ended,
            offset=0 if ended else offset,
        )
        return job, findings

    def _list(self, job: Job) -> tuple[Job, list[Write]]:
        source = job.sources[job.source]
        query = self._query(job, source)
        if query is None:
            return replace(job, source=job.source + 1, page_token=None), []
        gmail = self._accounts.gmail(source.mailbox)
        found = gmail.list_messages(query, job.page_token)
        ids = found.gmail_message_ids
        ended = found.next_page_token is None
        job = replace(
            job,
            source=job.source + ended,
            page_token=found.next_page_token,
            total=job.total + len(ids),
            pages=job.pages + bool(ids),
            page=job.pages + bool(ids),
        )
        return job, [page_write(job, Page(source.mailbox, ids))] if ids else []

    def _query(self, job: Job, source: Source) -> str | None:
        """What Gmail is asked; None when the contact no longer has the address."""
        if source.contact is None:
            return source.query
        (subaccount,) = job.subaccounts
        contact = self._directory.contact(subaccount, source.contact)
        for email in contact.emails if contact else ():
            if address_key(email) == source.address:
                return f"{source.query} from:{email} OR to:{email}"
        return None

    # --- look --------------------------------------------------------------------

    def view(self, caller: Caller, name: str) -> tuple[Job, dict[str, Any] | None]:
        """A job and its result; raises Problem 404 for what is not the caller's."""
        found = self._jobs.read(name)
        if found is None or not _may_see(caller, found[0]):
            raise not_found("job")
        job = found[0]
        if job.status == "failed":
            return job, {"code": job.failure}
        if job.status != "done":
            return job, None
        if job.kind == "backfill":
            return job, {"gmail": job.gmail, "recorded": job.recorded}
        return job, {
            "gmail": job.gmail,
            "recorded": job.recorded,
            "differences": self._jobs.findings(job.id, MAX_FINDINGS),
        }

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _may_see(caller: Caller, job: Job) -> bool:
    """Whether the token covers all of the job's subaccounts."""
    return caller.subaccounts.issuperset(job.subaccounts)
