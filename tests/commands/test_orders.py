"""The operator's orders: what is published where, and what is said."""

from __future__ import annotations

import json
import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from functions.schedule import Job
from gmail_sync import cli as operator
from gmail_sync import orders
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
    given = operator.arguments(words)
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
    given = operator.arguments(["pause-sending"])
    assert (given.subaccount, given.project) == (None, None)
    assert operator.arguments(["quarantine"]).subaccount == "s1"


def test_without_a_local_system_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(orders, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="--project"):
        orders.publisher(None)(b"{}")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def healthz():
    """A service whose pause shows at the second look."""
    looks = []

    def answer(_environ, start_response):
        looks.append(1)
        troubles = {"sending_paused": 1} if len(looks) > 1 else {}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"troubles": troubles}).encode()]

    server = make_server("127.0.0.1", 0, answer, WSGIServer, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_pause_is_confirmed_by_what_healthz_shows(healthz, monkeypatch):
    monkeypatch.setattr(orders, "_LOOK_SECONDS", 0.01)
    said = orders.confirmed(healthz, orders.PAUSE, "s1")
    assert said.startswith("Sending of s1 is paused")


def test_a_pause_that_cannot_be_seen_is_said_to_be_unconfirmed():
    with pytest.raises(SystemExit, match="does not show it"):
        orders.confirmed("http://127.0.0.1:1", orders.PAUSE, None)
