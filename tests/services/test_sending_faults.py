"""What nobody expected, at each gateway call of a send: it ends with a true reason.

A fault that follows the mail comes again at each try. The calls are found by a dry run.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from shared.bootstrap import Services
from shared.core.sending.states import MOST_FAULTS
from shared.errors import Malformed, Misconfigured, NeedsReauth, Permanent, Transient
from shared.services.sending.send_records import Upload
from tests.support.crash import CrashPlan
from tests.support.sending import PORTS, SendingSystem

UPLOAD = (Upload("a.pdf", "application/pdf", b"x" * 300_000),)
REFUSALS: list[Callable[[], Exception]] = [
    lambda: Permanent("a refusal"),
    lambda: Malformed("a refusal"),
    lambda: Misconfigured("a setting"),
    NeedsReauth,
]
FAULTS: list[Callable[[], Exception]] = [
    lambda: UnicodeError("canary"),
    lambda: UnicodeEncodeError("ascii", "ü", 0, 1, "canary"),
    lambda: ValueError("canary"),
    lambda: TypeError("canary"),
    lambda: KeyError("canary"),
    lambda: AttributeError("canary"),
    lambda: RecursionError("canary"),
    lambda: MemoryError("canary"),
    lambda: ZeroDivisionError("canary"),
    lambda: RuntimeError("canary"),
    lambda: StopIteration("canary"),
    lambda: AssertionError("canary"),
    lambda: OSError("canary"),
    lambda: ConnectionResetError("canary"),
    lambda: TimeoutError("canary"),
    lambda: ssl.SSLError("canary"),
    lambda: EOFError("canary"),
    *REFUSALS,
]


class Failing:
    """A port, one of whose methods fails, before or after it has done its work."""

    def __init__(
        self, inner: Any, method: str, make: Callable[[], Exception], *, after: bool
    ) -> None:
        self._inner, self._method, self._make = inner, method, make
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "gmail":
            return lambda *args, **more: Failing(
                found(*args, **more), self._method, self._make, after=self._after
            )
        if f"{type(self._inner).__name__}.{name}" != self._method:
            return found

        def call(*args: Any, **more: Any) -> Any:
            if self._after:
                found(*args, **more)
            raise self._make()

        return call


def accepted(route: str) -> SendingSystem:
    """A mail that is about to be sent."""
    if route == "bulk":
        system = SendingSystem()
        system.bulk("c", uploads=UPLOAD)
    elif route == "workflow":
        system = SendingSystem()
        system.post("c", uploads=UPLOAD, kind="workflow")
    else:
        system = SendingSystem(connected=route == "gmail")
        system.post("c", uploads=UPLOAD)
    if route == "bulk":
        # The batch is spread out; its mails are what fails.
        push = system.outgoing.popleft()
        assert system.push_out(push)
    return system


ROUTES = ["gmail", "provider", "workflow", "bulk"]


def calls(route: str) -> list[str]:
    """The gateway calls of the sending itself, without the store's own."""
    system = accepted(route)
    plan = CrashPlan()
    system.restart(plan)
    system.send_all()
    kept = ("MemoryDocuments.", "MemoryTopics.")
    return sorted({name for name in plan.calls if not name.startswith(kept)})


CALLS = [(route, name) for route in ROUTES for name in calls(route)]


def broken(system: SendingSystem, port: Callable[[str, Any], Any]) -> None:
    """Begin anew with other gateways."""
    at = system.outside
    gateways: Any = SimpleNamespace(
        clock=at.clock,
        settings=at.settings,
        **{name: port(name, getattr(at, name)) for name in PORTS},
    )
    system.services = Services(gateways)


def deliver(system: SendingSystem, most: int = 400) -> Iterator[Exception]:
    """Deliver what is left until nothing is; gives the faults that came out."""
    for _ in range(most):
        if not system.outgoing:
            return
        push = system.outgoing.popleft()
        try:
            done = system.push_out(push)
        except Exception as fault:  # noqa: BLE001  (that is what is asked for)
            done = False
            yield fault
        if not done:
            system.clock.advance(seconds=60)
            system.outgoing.append(push)
    raise AssertionError("it is queued for ever")


def mails(system: SendingSystem) -> int:
    return len(system.world.outside) + len(system.relay.taken)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("route", "method"), CALLS, ids=str)
def test_s7_a_fault_that_stays_ends_a_send_with_a_true_reason(
    route: str, method: str, after: bool
) -> None:
    # What a port refuses, it has certainly not done.
    for make in FAULTS if not after else FAULTS[: -len(REFUSALS)]:
        system = accepted(route)
        broken(system, lambda _, inner, m=make: Failing(inner, method, m, after=after))
        list(deliver(system))
        (record,) = system.conversation("c")
        reason = record.reason
        assert mails(system) <= 1
        assert record.status in {"sent", "failed"}, make()
        if record.status == "failed":
            assert reason["detail"]
            assert "canary" not in str(reason)
            if mails(system):
                assert reason["code"] == "fate_unknown"
        else:
            assert mails(system) == 1
        events = [kind for kind, _ in system.new_events() if "message" in kind]
        assert events == [f"message.{record.status}"]
        assert system.under_way() == 0


@pytest.mark.parametrize(("route", "method"), CALLS, ids=str)
def test_s7_a_fault_that_goes_away_leaves_one_mail_or_says_that_nobody_knows(
    route: str, method: str
) -> None:
    for make in FAULTS[:5]:
        for after in (False, True):
            system = accepted(route)
            broken(
                system,
                lambda _, inner, m=make, a=after: Failing(inner, method, m, after=a),
            )
            push = system.outgoing.popleft()
            try:
                again = not system.push_out(push)
            except Exception:  # noqa: BLE001
                again = True
            if again:
                system.outgoing.append(push)
            system.clock.advance(seconds=200)
            system.restart()
            system.settle()
            (record,) = system.conversation("c")
            assert mails(system) == (record.status == "sent") or (
                record.reason["code"] == "fate_unknown"
            )
            assert mails(system) <= 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_fault_is_told_at_each_try_and_the_tries_are_few(route: str) -> None:
    """Each is a 500 that an alert counts; then the mail has failed."""
    system = accepted(route)
    method = "GmailMailbox.create_draft" if route == "gmail" else "MemoryRelay.send"
    broken(system, lambda _, inner: Failing(inner, method, ValueError, after=False))
    found = list(deliver(system))
    assert [type(fault) for fault in found] == [ValueError] * (MOST_FAULTS - 1)
    (record,) = system.conversation("c")
    assert record.reason == {
        "code": "internal_error",
        "detail": "Sending it failed again and again, by a fault of this service "
        "(ValueError).",
    }


def test_an_outage_is_no_fault_however_often_it_comes() -> None:
    system = accepted("gmail")
    broken(
        system,
        lambda _, inner: Failing(
            inner, "GmailMailbox.create_draft", Transient, after=False
        ),
    )
    push = system.outgoing.popleft()
    for _ in range(MOST_FAULTS + 2):
        assert not system.push_out(push)
        system.clock.advance(seconds=60)
    (record,) = system.conversation("c")
    assert record.status == "queued"
