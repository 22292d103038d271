"""The clock says that it is time: start the daily renewal, or a sweep.

Only starts things: the work itself is fanned out through `mailbox-work`. The operator's
orders come here too: nobody but the clock and who administers the project publishes to
this topic, so no caller's token can resume what the operator has paused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.bootstrap import Services
from shared.core.ids import SubaccountId
from shared.errors import Malformed
from shared.logs import log
from shared.ports import Event

Name = Literal["renew-watches", "sweep", "pause-sending", "resume-sending"]
_MAX_ID_CHARS = 128


@dataclass(frozen=True, slots=True)
class Job:
    """What Cloud Scheduler, or the operator, published.

    `silent_for` in seconds is for a sweep, None for the default. The rest is for an
    order: of which subaccount (None: of all), when it was given (ms), and whether what
    waits is dropped.
    """

    name: Name
    silent_for: int | None = None
    subaccount: SubaccountId | None = None
    at: int | None = None
    drop: bool = False

    @classmethod
    def from_push(cls, event: Event) -> Job:
        """Read the payload; raises Malformed."""
        try:
            payload = json.loads(event.data)
            name, drop = payload["job"], payload.get("drop", False)
            subaccount = payload.get("subaccount")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Malformed from None
        if name not in get_args(Name) or type(drop) is not bool:
            raise Malformed
        known = isinstance(subaccount, str) and 0 < len(subaccount) <= _MAX_ID_CHARS
        if subaccount is not None and not known:
            raise Malformed
        job = cls(
            name,
            _number(payload, "silent_for"),
            subaccount,
            _number(payload, "at"),
            drop,
        )
        if job.drop and job.at is None:
            # Delivered twice, it would drop mail that was accepted in between.
            raise Malformed
        return job


def schedule(request: Request) -> Response:
    """Entry point of topic `scheduled-jobs`."""
    return push.run_push(request, Job.from_push, _handle)


def _handle(job: Job, _delivery: str) -> None:
    log.info("job_begins", job=job.name)
    run(bootstrap.services(), job)


def run(services: Services, job: Job) -> None:
    """Do what the job says; doing it twice changes nothing."""
    match job.name:
        case "renew-watches":
            services.watches.renew_all()
        case "sweep":
            services.sweep.sweep_all(job.silent_for)
            services.health.report()
        case "pause-sending":
            services.pausing.pause(job.subaccount, job.at)
        case "resume-sending":
            services.pausing.release(job.subaccount, job.at, drop=job.drop)
            services.sweep.publish_soon()


def _number(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise Malformed
    return value
