"""Pushes of the clock and of mailbox work: what they start, and nonsense."""

from __future__ import annotations

import json

import pytest

from functions.schedule import Job
from functions.work import HANDLERS, _decoded
from shared.core.ids import SubaccountId
from shared.errors import Malformed
from shared.ports import Event
from tests.support.system import System


def test_the_jobs_of_the_contract_are_read() -> None:
    assert Job.from_push(Event(b'{"job":"renew-watches"}')) == Job("renew-watches")
    assert Job.from_push(Event(b'{"job":"sweep"}')) == Job("sweep")
    assert Job.from_push(Event(b'{"job":"sweep","silent_for":0}')) == Job("sweep", 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'"sweep"',
        b'{"job":"other"}',
        b'{"job":["sweep"]}',
        b'{"job":"sweep","silent_for":-1}',
        b'{"job":"sweep","silent_for":true}',
        b'{"job":"sweep","silent_for":"1"}',
        b'{"job":"pause-sending","subaccount":""}',
        b'{"job":"pause-sending","subaccount":7}',
        b'{"job":"pause-sending","at":"now"}',
        b'{"job":"resume-sending","at":-1}',
        b'{"job":"resume-sending","at":1,"drop":"yes"}',
        # Delivered twice, it would drop what came in between.
        b'{"job":"resume-sending","drop":true}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_job_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Job.from_push(Event(data))


def test_the_operators_orders_are_read() -> None:
    assert Job.from_push(Event(b'{"job":"pause-sending"}')) == Job("pause-sending")
    given = b'{"job":"resume-sending","subaccount":"s","at":5,"drop":true}'
    assert Job.from_push(Event(given)) == Job(
        "resume-sending", subaccount=SubaccountId("s"), at=5, drop=True
    )


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"work":1}', b'{"work":"no"}'])
def test_malformed_work_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        _decoded(Event(data))


@pytest.mark.parametrize("kind", ["sync", "close", "renew", "renew-shard"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"mailbox": "a/b"}, {"mailbox": 1}, {"shard": "x"}, {"mailbox": "x" * 200}],
)
def test_work_with_nonsense_in_it_does_nothing(
    kind: str, fields: dict[str, object]
) -> None:
    item = _decoded(Event(json.dumps({"work": kind, **fields}).encode()))
    with pytest.raises(Malformed):
        HANDLERS[kind](System().services, item, "d")


def test_work_on_an_unknown_mailbox_does_nothing() -> None:
    system = System()
    for kind in ("sync", "close", "renew"):
        fields = {"work": kind, "mailbox": "unknown", "started": 1}
        item = _decoded(Event(json.dumps(fields).encode()))
        HANDLERS[kind](system.services, item, "d")
    assert len(system.world.calls) == 0
