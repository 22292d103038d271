"""The operator's orders: what is published where, and what is said."""

from __future__ import annotations

import time

import pytest
from google.auth.exceptions import DefaultCredentialsError

from functions.schedule import Job
from gmail_sync import cli, orders
from gmail_sync.running import CommandError
from shared.ports import Event


@pytest.mark.parametrize(
    ("words", "job"),
    [
        (["pause-sending"], Job("pause-sending")),
        (
            ["pause-sending", "--subaccount", "s1"],
            Job("pause-sending", subaccount="s1"),
        ),
        (["resume-sending", "--drop"], Job("resume-sending", drop=True)),
    ],
)
def test_an_order_is_a_job_that_the_schedule_function_reads(words, job):
    given = cli.arguments(words)
    published = []
    drop = getattr(given, "drop", False)
    before = int(time.time() * 1000)
    orders.order(published.append, given.command, given.subaccount, drop=drop)
    found = Job.from_push(Event(published[0]))
    assert found.at is not None
    assert found.at >= before
    assert found == Job(job.name, None, job.subaccount, found.at, job.drop)


def test_an_order_names_nobody_unless_it_is_told_to(monkeypatch):
    """The questions ask about s1 by default; an order is for all by default."""
    monkeypatch.delenv("SYNC_PROJECT", raising=False)
    given = cli.arguments(["pause-sending"])
    assert (given.subaccount, given.project) == (None, None)
    assert cli.arguments(["quarantine"]).subaccount == "s1"


def asking(*counts):
    """An API whose /health shows these numbers of pauses, one after the other."""
    looks = iter([*counts, *[counts[-1]] * 1000])

    def ask(method, path, body=None, query=None):
        assert (method, path) == ("GET", "/health")
        count = next(looks)
        return {"issues": {"sending_paused": count} if count else {}}

    return ask


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Time passes with each look."""
    now = iter(range(1_000_000))
    monkeypatch.setattr(orders.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(orders.time, "sleep", lambda _: None)


def test_a_pause_is_confirmed_by_what_healthz_shows():
    said = orders.confirmed(asking(0, 1), orders.PAUSE, "s1", 0)
    assert said.startswith("Sending of s1 is paused")


@pytest.mark.parametrize(
    ("before", "counts", "words"),
    [
        (1, (1, 1, 0), "Sending goes on; what waited is published anew."),
        (3, (3, 2), "anew. 2 other pauses are in force."),
        (2, (1,), "anew. One other pause is in force."),
        (0, (0,), "Sending goes on"),
    ],
)
def test_going_on_is_confirmed_by_what_healthz_shows(before, counts, words):
    assert words in orders.confirmed(asking(*counts), orders.RESUME, None, before)


@pytest.mark.parametrize(
    ("name", "before", "count"), [(orders.PAUSE, 0, 0), (orders.RESUME, 2, 2)]
)
def test_an_order_that_cannot_be_seen_is_said_to_be_unconfirmed(name, before, count):
    with pytest.raises(CommandError, match="does not show it yet"):
        orders.confirmed(asking(count), name, None, before)


def test_a_project_without_credentials_is_a_sentence(monkeypatch):
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)

    def nobody(*_args, **_more):
        raise DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", nobody)
    with pytest.raises(CommandError, match="no credentials"):
        orders.in_project("some-project")(b"{}")
