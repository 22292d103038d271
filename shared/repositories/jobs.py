"""Long work that goes on by itself: its progress, its pages and what it found.

`jobs/{j}` is the progress, changed by compare-and-set; `jobs/{j}/pages/{n}` a page of
Gmail ids still to be read; `jobs/{j}/differences/{key}` one finding of an audit. All
expire after 30 days, as decisions do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared.core.ids import (
    ContactId,
    GmailMessageId,
    MailboxId,
    SubaccountId,
    UserId,
    digest,
)
from shared.core.limits import DECISION_DAYS
from shared.ports import Create, Documents, Put, Query, Snapshot, Write

JobKind = Literal["audit", "backfill"]
JobStatus = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Source:
    """Messages of one mailbox that a query finds.

    With a `contact` only those from or to one of its addresses: `address` is the key of
    that one, because a job outlives an erasure and holds nobody's address.
    """

    mailbox: MailboxId
    query: str
    contact: ContactId | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored. Times in milliseconds.

    First all `sources` are listed into `pages`, the newest mail first; then the pages
    are read from the last one, so that mail comes in the order in which it was sent.
    `source`, `page_token`: where listing goes on, `page`, `offset` where reading does.
    `pending` are messages whose findings are kept and whose repair is next.
    `subaccounts` are those that it may touch and that a caller must cover to see it.
    """

    id: str
    kind: JobKind
    subaccounts: tuple[SubaccountId, ...]
    sources: tuple[Source, ...]
    user: UserId | None = None
    begin: int = 0
    end: int = 0
    repair: bool = False
    status: JobStatus = "queued"
    source: int = 0
    page_token: str | None = None
    pages: int = 0
    page: int = 0
    offset: int = 0
    pending: tuple[GmailMessageId, ...] = ()
    done: int = 0
    total: int = 0
    gmail: int = 0
    recorded: int = 0
    failure: str | None = None
    created_at: int = 0

    @property
    def listed(self) -> bool:
        """Whether every source has been listed."""
        return self.source >= len(self.sources)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of ids, as Gmail listed them."""

    mailbox: MailboxId
    ids: tuple[GmailMessageId, ...]


class Jobs:
    """Reads and writes jobs."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def create(self, job: Job) -> None:
        """Write a new job."""
        self._documents.commit([Create(_path(job.id), _to_document(job))])

    def read(self, job: str) -> tuple[Job, Snapshot] | None:
        """A job and how it was read; None when there is none."""
        found = self._documents.get([_path(job)])[0]
        return (_job(found), found) if found.exists else None

    def save(self, job: Job, read: Snapshot, also: Sequence[Write] = ()) -> Snapshot:
        """Write progress, with what was found, if nobody else has; else Conflict."""
        self._documents.commit([Put(read.path, _to_document(job), read.version), *also])
        return self._documents.get([read.path])[0]

    def page(self, job: Job) -> Page:
        """The page that is to be read next."""
        found = self._documents.get([f"{_path(job.id)}/pages/{job.page}"])[0]
        ids = tuple(GmailMessageId(message_id) for message_id in found.data["ids"])
        return Page(MailboxId(found.data["mailbox"]), ids)

    def findings(self, job: str, limit: int) -> list[dict[str, Any]]:
        """What an audit found, in the order of Gmail's ids."""
        query = Query(
            f"{_path(job)}/differences",
            order_by=(("gmail_message_id", "asc"),),
            limit=limit,
        )
        return [
            {
                name: value
                for name, value in document.data.items()
                if name != "expires_at"
            }
            for document in self._documents.query(query)
        ]


def page_write(job: Job, page: Page) -> Write:
    """The write of a page that was listed; its number is `job.pages`."""
    data = {
        "mailbox": page.mailbox,
        "ids": list(page.ids),
        "expires_at": _expires(job),
    }
    return Put(f"{_path(job.id)}/pages/{job.pages}", data)


def finding_write(job: Job, finding: dict[str, Any]) -> Write:
    """The write of a finding; the same one again replaces it."""
    name = GmailMessageId(finding["gmail_message_id"])
    data = {**finding, "expires_at": _expires(job)}
    return Put(finding_path(job, name, finding["outcome"]), data)


def finding_path(job: Job, message: GmailMessageId, outcome: str) -> str:
    """Where a finding is."""
    return f"{_path(job.id)}/differences/{digest('finding', message, outcome)}"


def _path(job: str) -> str:
    return f"jobs/{job}"


def _expires(job: Job) -> datetime:
    created = datetime.fromtimestamp(job.created_at / 1000, UTC)
    return created + timedelta(days=DECISION_DAYS)


def _to_document(job: Job) -> dict[str, Any]:
    data = asdict(job)
    del data["id"]
    data["subaccounts"] = list(job.subaccounts)
    data["sources"] = [asdict(source) for source in job.sources]
    data["pending"] = list(job.pending)
    data["expires_at"] = _expires(job)
    return data


def _job(found: Snapshot) -> Job:
    data = dict(found.data)
    del data["expires_at"]
    data["subaccounts"] = tuple(map(SubaccountId, data["subaccounts"]))
    data["sources"] = tuple(
        Source(
            MailboxId(source["mailbox"]),
            source["query"],
            source.get("contact"),
            source.get("address"),
        )
        for source in data["sources"]
    )
    data["pending"] = tuple(map(GmailMessageId, data["pending"]))
    return Job(id=found.id, **data)
