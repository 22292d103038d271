"""The end is the same as without faults, for every fault of inbound sync.

The list of gateway calls is generated from a run without faults, so a new call joins
these tests by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from shared.core.matching import recording
from tests.support.crash import Crash, CrashPlan, CrashPoint
from tests.support.system import Push, System

ME = "rep@ours.example"
MATE = "mate@ours.example"
ADA = "ada@client.example"
BOB = "bob@client.example"


def scene() -> System:
    """A notification for mail of every kind: matched, ignored, forwarded, copied."""
    system = System()
    system.subaccount()
    system.subaccount("s2", logging="all_contacts")
    system.user("u", ME)
    system.user("u", ME, s="s2")
    system.user("v", MATE)
    system.contact("ada", ADA)
    system.contact("ada2", ADA, s="s2", assigned_to=None)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.connect("v", MATE)
    system.settle()
    first = system.arrives(ADA, f"{ME}, {MATE}", "Question")
    system.sends(ME, f"{ADA}, {MATE}", "Re: Question", reply_to=first)
    system.sends(ME, BOB, "Fwd: Question", reply_to=first)
    system.arrives("eve@stranger.example", ME, "Stranger")
    system.sends(ME, MATE, "Internal")
    system.arrives(MATE, f"{ADA}, {ME}", "Forged", auth="fail")
    message = system.mail(ADA, ME, "Attached", text="x" * 210_000)
    message.add_attachment(b"y" * 5_000, maintype="a", subtype="b", filename="f.bin")
    system.world.deliver_from_outside(message.as_bytes(), [ME])
    return system


def event_ids(system: System) -> set[str]:
    return {event["id"] for event in system.events()}


@pytest.fixture(scope="module")
def untroubled() -> tuple[dict[str, Any], set[str]]:
    system = scene()
    system.settle()
    assert len(system.conversation("ada")) == 3
    assert len(system.conversation("ada2", "s2")) == 3
    assert len(system.conversation("bob")) == 1
    return system.state(), event_ids(system)


def assert_same(system: System, untroubled: tuple[dict[str, Any], set[str]]) -> None:
    state, events = untroubled
    found = system.state()
    assert found.keys() == state.keys()
    assert found == state
    assert event_ids(system) == events
    assert not [path for path in found if path.startswith(("outbox/", "quarantine/"))]


def run_until_dead(system: System, plan: CrashPlan) -> None:
    """Deliver until the process dies; what was in its hands is delivered again."""
    system.restart(plan)
    while system.pushes:
        push = system.pushes[0]
        try:
            acknowledged = system.deliver(push)
        except Crash:
            break
        system.pushes.popleft()
        if not acknowledged:
            system.clock.advance(seconds=10)
            system.pushes.append(push)
    system.restart()


@pytest.mark.parametrize("kill", range(1, 4))
def test_crashes_in_a_row_change_nothing(
    kill: int, untroubled: tuple[dict[str, Any], set[str]]
) -> None:
    """As many as may make us careful (lease), at different calls."""
    system = scene()
    for n in range(kill * 2):
        run_until_dead(system, CrashPlan(CrashPoint(7 + 3 * n, "after")))
        system.clock.advance(seconds=10)
    system.settle()
    assert_same(system, untroubled)


def test_notifications_ten_times_each_in_any_order_change_nothing(
    untroubled: tuple[dict[str, Any], set[str]],
) -> None:
    system = scene()
    every = [
        Push(push.event, f"{push.delivery}-{n}")
        for n in range(10)
        for push in system.pushes
    ]
    system.world.rng.shuffle(every)
    system.pushes.clear()
    system.pushes.extend(every)
    system.settle(limit=1000)
    assert_same(system, untroubled)


def test_the_same_delivery_ten_times_changes_nothing(
    untroubled: tuple[dict[str, Any], set[str]],
) -> None:
    system = scene()
    system.pushes.extend(list(system.pushes) * 9)
    system.settle(limit=1000)
    assert_same(system, untroubled)


FAULTS: dict[str, Callable[[Any], object]] = {
    "429": lambda f: f.add("status", status=429, probability=0.3, count=25),
    "429 with Retry-After": lambda f: f.add(
        "status", status=429, retry_after=7, probability=0.3, count=25
    ),
    "500": lambda f: f.add("status", status=500, probability=0.3, count=25),
    "lost before": lambda f: f.add("drop_before", probability=0.3, count=25),
    "lost after": lambda f: f.add("drop_after", probability=0.3, count=25),
    "lag": lambda f: f.add("history_lag", count=3, seconds=3600),
    "token endpoint down": lambda f: f.add("status", method="oauth.token", count=3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bursts_of_faults_change_nothing(
    fault: str, untroubled: tuple[dict[str, Any], set[str]]
) -> None:
    system = scene()
    system.clock.advance(hours=2)  # the access tokens are too old
    FAULTS[fault](system.world.faults)
    system.settle(limit=1000)
    assert_same(system, untroubled)


@pytest.mark.parametrize("workers", [2, 4, 16])
def test_workers_at_once_on_one_mailbox_change_nothing(
    workers: int, untroubled: tuple[dict[str, Any], set[str]]
) -> None:
    system = scene()
    work = [Push(p.event, f"{p.delivery}-{n}") for n in range(3) for p in system.pushes]
    system.pushes.clear()
    lock = threading.Lock()
    failures: list[BaseException] = []

    def worker() -> None:
        try:
            while True:
                with lock:
                    if not work:
                        return
                    push = work.pop()
                if not system.deliver(push):
                    with lock:
                        system.pushes.append(push)
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            failures.append(error)

    threads = [threading.Thread(target=worker) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    system.clock.advance(seconds=10)
    system.settle(limit=1000)
    assert_same(system, untroubled)


def test_a_holder_that_is_alive_but_slow_cannot_move_the_cursor_back() -> None:
    """Its lease was taken over: the fencing number stops it."""
    system = scene()
    entered, go_on = threading.Event(), threading.Event()
    real = system.outside.blobs.put

    def slow(*args: Any) -> None:
        real(*args)
        if not entered.is_set():
            entered.set()
            go_on.wait(10)

    system.outside.blobs.put = slow
    push = system.pushes.popleft()
    slow_one = threading.Thread(target=system.deliver, args=(push,))
    slow_one.start()
    assert entered.wait(10)
    system.outside.blobs.put = real
    system.clock.advance(seconds=10)
    assert system.deliver(push)  # the redelivery takes over and finishes
    after = system.mailbox(ME)
    go_on.set()
    slow_one.join()
    assert system.mailbox(ME).cursor == after.cursor
    system.settle()
    assert len(system.conversation("ada")) == 3


def test_a_message_that_kills_the_process_is_set_aside_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E3: attempts are counted before they are made."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    for name in ("before", "killer", "after"):
        system.arrives(ADA, ME, name)
    real = recording.compose

    def dies(message: Any, *rest: Any) -> Any:
        if message.subject == "killer":
            raise Crash
        return real(message, *rest)

    monkeypatch.setattr(recording, "compose", dies)
    for _ in range(30):
        if not system.pushes:
            break
        push = system.pushes.popleft()
        try:
            acknowledged = system.deliver(push)
        except Crash:
            acknowledged = False
            system.restart()
        if not acknowledged:
            system.clock.advance(seconds=10)
            system.pushes.append(push)
    assert not system.pushes
    assert [item.subject for item in system.conversation("ada")] == ["before", "after"]
    (decision,) = [
        path
        for path in system.outside.documents.dump().values()
        if path.get("outcome") == "quarantined"
    ]
    assert decision["rule"] == "E3"
