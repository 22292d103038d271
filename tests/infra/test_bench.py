"""The benchmark's three programs do the same work (it is `make bench` that times them)."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.bench import growth
from infra.bench.cast import SUBACCOUNT
from infra.bench.contenders import Recording, contenders
from infra.bench.speed import Load, play, trips
from infra.bench.stage import InMemory
from infra.bench.tape import Call, recording
from infra.bench.tutorial import MESSAGES
from shared.ports import Query
from shared.repositories import paths

LOAD = Load("test", 1, 4, from_contacts=50)
"""Two mails to warm up, then four in one notification, two of them from contacts."""


@pytest.fixture(scope="module")
def taped() -> Recording:
    stage = InMemory().stage()
    made = Recording.of(stage)
    play(stage, LOAD, made)
    return made


def calls(tape: list[Call]) -> Counter[str]:
    return Counter(f"{one.port}.{one.method}" for one in tape if one.port != "google")


def test_the_floor_makes_the_products_calls_and_leaves_the_products_state(taped):
    ours, theirs = InMemory().stage(), InMemory().stage()
    recorded, tape = recording(theirs)
    programs = contenders(taped.tapes)
    product, floor = programs["product"](ours), programs["floor"](recorded)
    requests = [len(one.post.calls()) for one in (ours, theirs)]
    tape.clear()
    assert play(ours, LOAD, product).recorded == play(theirs, LOAD, floor).recorded
    taped_calls = [call for some in taped.tapes for call in some]
    # Gmail's are compared as Gmail saw them; counting what is recorded is one query.
    asked = calls([one for one in taped_calls if one.port != "gmail"])
    assert calls(tape) == asked + Counter(["documents.query"])
    seen = [
        one.post.calls()[begun:]
        for one, begun in zip((ours, theirs), requests, strict=True)
    ]
    # The product fetches its own access token, the others are given one.
    assert [one for one in seen[0] if one.startswith("gmail.")] == [
        one for one in seen[1] if one.startswith("gmail.")
    ]
    names = [sorted(one.outside.documents.dump()) for one in (ours, theirs)]
    assert [one for one in names[0] if "oauth" not in one] == [
        one for one in names[1] if "oauth" not in one
    ]


def test_the_tutorial_way_records_the_same_mails(taped):
    stages = {name: InMemory().stage() for name in ("product", "tutorial")}
    for name, stage in stages.items():
        play(stage, LOAD, contenders(taped.tapes)[name](stage))
    ours = stages["product"].outside.documents.query(Query(paths.messages(SUBACCOUNT)))
    theirs = stages["tutorial"].outside.documents.query(Query(MESSAGES))
    gmail_ids = [one.data["gmail_message_ids"][0] for one in ours]
    assert sorted(gmail_ids) == sorted(one.id for one in theirs)
    assert len(ours) == 2


def test_a_burst_has_the_same_number_of_waits_whatever_its_size():
    few, many = (trips(Load("burst", 1, size)) for size in (2, 8))
    assert few["product"] == many["product"] == many["floor"]
    assert many["tutorial"].gmail - few["tutorial"].gmail == 6


def test_a_mail_costs_the_same_calls_with_more_contacts():
    small, big = (growth.contacts(InMemory(), size) for size in (10, 1_000))
    assert (small.reads, small.writes) == (big.reads, big.writes)
    assert small.firestore_calls == big.firestore_calls
    assert small.gmail_calls == big.gmail_calls
