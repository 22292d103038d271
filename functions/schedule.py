"""The clock says that it is time: start the daily renewal, or a sweep.

Only starts things: the work itself is fanned out through `mailbox-work`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.errors import Malformed
from shared.logs import log
from shared.ports import Event


@dataclass(frozen=True, slots=True)
class Job:
    """What Cloud Scheduler published. `silent_for` in seconds, None for the default."""

    name: Literal["renew-watches", "sweep"]
    silent_for: int | None = None

    @classmethod
    def from_push(cls, event: Event) -> Job:
        """Read the payload; raises Malformed."""
        try:
            payload = json.loads(event.data)
            name, silent_for = payload["job"], payload.get("silent_for")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Malformed from None
        if name not in ("renew-watches", "sweep"):
            raise Malformed
        if silent_for is not None and (type(silent_for) is not int or silent_for < 0):
            raise Malformed
        return cls(name, silent_for)


def schedule(request: Request) -> Response:
    """Entry point of topic `scheduled-jobs`."""
    return push.run_push(request, Job.from_push, _handle)


def _handle(job: Job, _delivery: str) -> None:
    log.info("job_begins", job=job.name)
    if job.name == "renew-watches":
        bootstrap.services().watches.renew_all()
    else:
        bootstrap.services().sweep.sweep_all(job.silent_for)
        bootstrap.services().health.report()
