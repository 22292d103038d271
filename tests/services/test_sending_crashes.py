"""Exactly one mail, one record, one event, wherever the work on it ends (S7).

The list of crash points is made by a dry run, so no gateway call is forgotten.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.core.ids import MessageId
from shared.core.sending.send_window import SendWindow
from shared.errors import Problem, Transient
from shared.repositories import sends
from shared.services.sending.send_records import Upload
from tests.support.crash import CrashPlan
from tests.support.rival import Overtaken
from tests.support.sending import BOB, MIA, SendingSystem

UPLOAD = (Upload("a.pdf", "application/pdf", b"x" * 300_000),)


def post_and_send(system):
    system.post("b", key="k", uploads=UPLOAD)
    system.send_all()


def dry_run(**fields):
    system = SendingSystem(**fields)
    plan = CrashPlan()
    system.restart(plan)
    post_and_send(system)
    return plan.points()


POINTS = dry_run()


def recover(system):
    """The caller repeats its call, Pub/Sub its deliveries."""
    system.restart()
    pushes = list(system.outgoing)
    system.clock.advance(seconds=200)
    post_and_send(system)
    for push in pushes:  # what was under way is delivered again as well
        system.push_out(push)
    system.settle()


def assert_exactly_one(system):
    inbox = [
        message
        for message in system.world.account(BOB).mailbox.messages.values()
        if message.subject == "Offer"
    ]
    assert len(inbox) == 1
    (record,) = system.conversation("b")
    assert record.status == "sent"
    assert record.rfc822_message_id == inbox[0].header("Message-ID")
    assert record.envelope.attachments[0].stored
    assert system.services.directory.contact("s", "b").messages == 1
    assert {kind for kind, _ in system.new_events()} == {"message.sent"}
    assert len({item for _, item in system.new_events()}) == 1
    assert (system.drafts(), system.under_way()) == (0, 0)
    assert system.left_today() == 499


CALLS = [
    "gmail.users.drafts.create",
    "upload.start",
    "upload.chunk",
    "gmail.users.drafts.send",
    "gmail.users.messages.get",
    "batch",
]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
@pytest.mark.parametrize("count", [1, 7])
def test_s7_lost_answers_of_gmail(method, action, count):
    system = SendingSystem()
    fault = system.world.faults.add(action, method=method, count=count)
    post_and_send(system)
    assert fault.struck
    system.settle()
    assert_exactly_one(system)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_s7_a_duplicate_delivery_during_every_call(point):
    """Another worker gets the same mail while this one is in the middle of a call."""
    system = SendingSystem()
    rival = Rival(system, point)
    system.restart(rival)
    for _ in range(20):
        with contextlib.suppress(Transient, Problem):
            post_and_send(system)
            break
    system.restart()
    recover(system)
    assert_exactly_one(system)


class Rival(CrashPlan):
    """Instead of dying, lets a rival with a lapsed clock do all the work."""

    def __init__(self, system, point):
        super().__init__(None)
        self._system, self._at, self._busy = system, point, False

    def begin(self, name):
        number = super().begin(name)
        self._meet(number, "before")
        return number

    def end(self, number):
        self._meet(number, "after")

    def _meet(self, number, when):
        if self._busy or (number, when) != (self._at.number, self._at.when):
            return
        self._busy = True
        system = self._system
        ours = system.services
        waiting = list(system.outgoing)
        system.restart()
        # The lease of the one in the middle has run out: the rival takes over.
        system.clock.advance(seconds=200)
        with contextlib.suppress(Transient, Problem):
            system.post("b", key="k", uploads=UPLOAD)
        for push in [*waiting, *list(system.outgoing)]:
            system.push_out(push)
        system.services = ours


def test_s7_many_workers_and_callers_at_once():
    system = SendingSystem()
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda _: system.post("b", key="k", uploads=UPLOAD), range(8))
        )
    assert len({result.ids for result in results}) == 1
    pushes = list(system.outgoing)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(system.push_out, pushes))
    system.settle()
    assert_exactly_one(system)


def test_s5_fifty_at_once_with_one_left_send_one():
    system = SendingSystem()
    mailbox = system.mailbox_id(MIA)
    now = int(system.clock.now().timestamp())
    found = system.outside.documents.get([sends.window_path(mailbox)])[0]
    system.outside.documents.commit(
        [sends.window_write(found, SendWindow(taken=(now,) * 499))]
    )
    outcomes = []
    lock = threading.Lock()

    def send(number):
        try:
            system.post(key=f"many-{number}")
            outcome = "sent"
        except Problem as problem:
            outcome = problem.code
        with lock:
            outcomes.append(outcome)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(send, range(50)))
    assert sorted(outcomes) == ["daily_limit_reached"] * 49 + ["sent"]
    system.settle()
    assert len(system.world.outside) == 1
    assert system.left_today() == 0


def test_s5_fifty_at_once_all_fit_under_the_cap():
    system = SendingSystem()
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda n: system.post(key=f"many-{n}"), range(50)))
    assert system.left_today() == 450
    system.settle()
    assert len(system.world.outside) == 50
    assert system.left_today() == 450


@pytest.mark.parametrize("begun", [False, True], ids=["first mail", "later"])
def test_s5_a_rival_between_reading_and_writing_is_counted(begun):
    """Threads seldom meet at this point: here one always does."""
    system = SendingSystem(daily_send_cap=1 + begun)
    if begun:
        system.post()
    documents, caps = system.outside.documents, system.services.caps
    mailbox = system.mailbox_id(MIA)
    system.outside.documents = Overtaken(
        documents,
        sends.window_path(mailbox),
        lambda: documents.commit([caps.reserve(mailbox, MessageId("rival"))]),
        after=2,  # a first look comes before anything is stored
    )
    system.restart()
    with pytest.raises(Problem) as refused:
        system.post()
    assert refused.value.code == "daily_limit_reached"
    assert system.left_today() == 0


def test_a_draft_whose_answer_was_lost_is_used_and_spares_are_removed():
    system = SendingSystem()
    system.world.faults.add("drop_after", method="gmail.users.drafts.create", count=1)
    (message,) = system.post("b").ids
    assert not system.push_out(system.outgoing[0])
    assert system.drafts() == 1
    mailbox = system.world.account(MIA)
    (draft,) = mailbox.mailbox.drafts
    system.world.store_draft(mailbox, system.world.draft_message(mailbox, draft).raw)
    assert system.drafts() == 2
    system.send_all()
    assert system.record(message).status == "sent"
    assert system.drafts() == 0
    assert len(system.world.account(BOB).mailbox.messages) == 1
