"""Cloud Scheduler on one machine: publishes the scheduled jobs in their rhythm.

Terraform schedules the same table in the cloud.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import SyncError
from shared.ports import Event, Topics

TOPIC = "scheduled-jobs"


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job and how often it is published."""

    name: str
    seconds: float


JOBS = (
    ScheduledJob("renew-watches", 24 * 3600),
    ScheduledJob("sweep", 15 * 60),
)


class Scheduler:
    """Publishes each job once per period, the first time after one period."""

    def __init__(self, topics: Topics, jobs: Sequence[ScheduledJob] = JOBS) -> None:
        """Start; ends with `stop` or with the process."""
        self._topics = topics
        self._ended = threading.Event()
        for job in jobs:
            threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def stop(self) -> None:
        """Publish nothing more."""
        self._ended.set()

    def _run(self, job: ScheduledJob) -> None:
        event = Event(json.dumps({"job": job.name}).encode())
        while not self._ended.wait(job.seconds):
            try:
                self._topics.publish(TOPIC, [event])
            except SyncError as error:
                print(f"{job.name} was not published ({error.code}).")
