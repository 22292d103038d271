"""Audits and backfills."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from functions.http.fields import TimeIn
from functions.http.models.base import In, Out
from functions.http.models.decisions import Decision


class AuditIn(In):
    """The span to audit: from a moment, to before another one."""

    from_: TimeIn = Field(alias="from")
    to: TimeIn
    repair: bool = False


class Started(Out):
    """Work that goes on by itself."""

    id: str


class Progress(Out):
    """How many messages were looked at; `total` grows while they are listed."""

    done: int
    total: int


class Difference(Decision):
    """A record that is missing (`recorded`), or that no rule permits (`ignored`)."""

    repaired: bool


class JobResult(Out):
    """What came of a job; `differences` of an audit, `code` of one that failed."""

    gmail: int | None = None
    recorded: int | None = None
    differences: list[Difference] | None = None
    code: str | None = None


class Job(Out):
    """An audit or a backfill. `result` is null until it has ended."""

    id: str
    kind: Literal["audit", "backfill"]
    status: Literal["queued", "running", "done", "failed"]
    progress: Progress
    result: JobResult | None
