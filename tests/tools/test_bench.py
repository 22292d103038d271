"""The benchmark's three programs do the same work (it is `make bench` that times them)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.ports import Query
from shared.repositories import paths
from tools.bench import growth, latency
from tools.bench.cast import SUBACCOUNT
from tools.bench.contenders import Recording, contenders
from tools.bench.post import RemotePost
from tools.bench.speed import Load, play, trips
from tools.bench.stage import InMemory
from tools.bench.tape import Call, recording
from tools.bench.tutorial import MESSAGES

LOAD = Load("test", 1, 4, from_contacts=50)
"""Two mails to warm up, then four in one notification, two of them from contacts."""


@pytest.fixture(scope="module")
def environment() -> Iterator[InMemory]:
    with closing(RemotePost()) as post:
        yield InMemory(post)


@pytest.fixture(scope="module")
def taped(environment) -> Recording:
    stage = environment.stage()
    made = Recording.of(stage)
    play(stage, LOAD, made)
    return made


def calls(tape: list[Call]) -> Counter[str]:
    return Counter(
        f"{item.port}.{item.method}" for item in tape if item.port != "google"
    )


def test_the_floor_makes_the_products_calls_and_leaves_the_products_state(
    environment, taped
):
    asked, seen, names, recorded_mails = [], [], [], []
    for name in ("product", "floor"):
        stage, tape = recording(environment.stage())
        program = contenders(taped.tapes)[name](stage)
        begun = len(stage.post.calls())
        tape.clear()
        recorded_mails.append(play(stage, LOAD, program).recorded)
        # Gmail's are compared as Gmail saw them.
        asked.append(calls([item for item in tape if item.port != "gmail"]))
        # The product fetches its own access token, the floor is given one.
        made = stage.post.calls()[begun:]
        seen.append([item for item in made if item.startswith("gmail.")])
        dump = sorted(stage.outside.documents.dump())
        names.append([path for path in dump if "oauth" not in path])
    for ours, theirs in (recorded_mails, asked, seen, names):
        assert ours == theirs


def test_the_tutorial_way_records_the_same_mails_and_tells_of_each(environment, taped):
    found = {}
    for name, collection in (
        ("product", paths.messages(SUBACCOUNT)),
        ("tutorial", MESSAGES),
    ):
        stage = environment.stage()
        before = len(stage.outside.topics.published("crm-events"))
        play(stage, LOAD, contenders(taped.tapes)[name](stage))
        found[name] = stage.outside.documents.query(Query(collection))
        told = stage.outside.topics.published("crm-events")[before:]
        assert len([item for item in told if b"connection" not in item.data]) == 2
    gmail_ids = [item.data["gmail_message_ids"][0] for item in found["product"]]
    assert sorted(gmail_ids) == sorted(item.id for item in found["tutorial"])
    assert len(gmail_ids) == 2


def test_a_burst_has_the_same_number_of_waits_whatever_its_size(environment):
    few, many = (trips(environment, Load("burst", 1, size)) for size in (2, 8))
    assert few["product"] == many["product"] == many["floor"]
    assert many["tutorial"].gmail - few["tutorial"].gmail == 6


def test_a_mail_is_recorded_a_moment_after_each_contender_is_called(environment):
    found = latency.in_memory(environment, mails=2, rounds=1, say=lambda _: None)
    assert {item.contender for item in found} == {"product", "floor", "tutorial"}
    assert all(item.mails == 2 and 0 < item.median <= item.longest for item in found)


def test_a_mail_costs_the_same_calls_with_more_contacts(environment):
    small, big = (growth.contacts(environment, size) for size in (10, 1_000))
    assert (small.reads, small.writes) == (big.reads, big.writes)
    assert small.firestore_calls == big.firestore_calls
    assert small.gmail_calls == big.gmail_calls
