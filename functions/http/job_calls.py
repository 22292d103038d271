"""Calls that start audits and backfills, and show how far they are (E4, E5)."""

from __future__ import annotations

from functions.http import problems
from functions.http.fields import to_milliseconds
from functions.http.models import jobs
from functions.http.models.base import NoFields
from functions.http.routing import Call


def audit_connection(call: Call[jobs.AuditIn, None]) -> jobs.Started:
    """Compare a mailbox with what was recorded."""
    begin, end = to_milliseconds(call.body.from_), to_milliseconds(call.body.to)
    if not 0 <= begin < end:
        error = {"pointer": "/to", "detail": "must be later than from"}
        raise problems.make("invalid_request", errors=(error,))
    job = call.services.jobs.audit(
        call.caller, call.user, begin, end, repair=call.body.repair
    )
    return jobs.Started(id=job.id)


def backfill_contact(call: Call[NoFields, None]) -> jobs.Started:
    """Bring in older mail of a contact."""
    job = call.services.jobs.backfill(call.subaccount, call.contact)
    return jobs.Started(id=job.id)


def get_job(call: Call[None, None]) -> jobs.Job:
    """How far a job is, and what came of it."""
    job, result = call.services.jobs.view(call.caller, call.ids["id"])
    return jobs.Job.model_validate(
        {
            "id": job.id,
            "kind": job.kind,
            "status": job.status,
            "progress": {"done": job.done, "total": job.total},
            "result": result,
        }
    )
