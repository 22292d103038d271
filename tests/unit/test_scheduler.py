from __future__ import annotations

import json

from infra.local.scheduler import JOBS, TOPIC, ScheduledJob, Scheduler
from shared.gateways.memory import MemoryTopics
from tests.support.waiting import wait_for


def test_the_jobs_are_those_of_the_contract() -> None:
    assert {job.name: job.seconds for job in JOBS} == {
        "renew-watches": 86400,
        "sweep": 900,
    }


def test_a_job_is_published_period_by_period_until_the_end() -> None:
    topics = MemoryTopics()
    scheduler = Scheduler(topics, [ScheduledJob("sweep", 0.005)])
    wait_for(lambda: len(topics.published(TOPIC)) > 2)
    scheduler.stop()
    assert json.loads(topics.published(TOPIC)[0].data) == {"job": "sweep"}
