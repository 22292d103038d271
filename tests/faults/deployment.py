"""A deployment behind its real entry points, which can die at any gateway call.

Pub/Sub delivers what was not acknowledged again, as it does in the cloud.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

from flask import Request
from werkzeug.test import EnvironBuilder

import main
from functions.api import _ROUTER as ROUTER
from functions.connect import ROUTES as PAGES
from infra.local.wiring import CONSUMERS, DRAINS
from shared import bootstrap
from shared.bootstrap import Services
from shared.gateways.memory import MemoryRelay
from shared.ports import Event
from tests.support.api import KEY
from tests.support.bcc import FORMAT
from tests.support.crash import Crash, Crashing, CrashPlan
from tests.support.sending import PORTS
from tests.support.system import System

AGAIN_SECONDS = 10
"""The shortest backoff of a subscription."""
_DONE, _AGAIN = 204, 503


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a function: the same `id` each time it comes."""

    function: str
    event: Event
    id: str


@dataclass(frozen=True)
class Entry:
    """One call of an entry point: its name, and how many gateway calls came before."""

    name: str
    before: int


class Deployment(System):
    """Like the cloud: an entry point for everything, and at-least-once delivery.

    `first` says who comes first after a crash: the delivery that died, or all others.
    """

    def __init__(self, *, first: bool = False, **settings: Any) -> None:
        self.queue: deque[Delivery] = deque()
        self.entries: list[Entry] = []
        self._first = first
        super().__init__(validate=False, bcc_address_format=FORMAT, **settings)
        self.outside.relay = MemoryRelay()
        self.outside.secrets.write("api-signing-key", KEY)
        self.plan = CrashPlan()
        self.restart()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Let the entry points find this deployment."""
        with mock.patch.object(bootstrap, "services", self._current):
            yield self

    def _current(self) -> Services:
        return self.services

    def restart(self, plan: CrashPlan | None = None) -> None:
        """A new process; every gateway call of it goes through the plan, if any."""
        ports = {name: getattr(self.outside, name) for name in PORTS}
        if plan is not None:
            self.plan = plan
            ports = {name: Crashing(port, plan) for name, port in ports.items()}
        outside: Any = SimpleNamespace(
            clock=self.clock, settings=self.outside.settings, **ports
        )
        self.services = Services(outside)
        # Who pushes is shown elsewhere; here it would be a signature for each call.
        self.services.__dict__["push_authentication"] = SimpleNamespace(
            admit=lambda _: None
        )

    # --- entry points ------------------------------------------------------------

    def enter(self, function: str, what: str, request: Request) -> Any:
        """Call an entry point as the framework does; raises Crash."""
        self.entries.append(Entry(f"{function} {what}".strip(), len(self.plan.calls)))
        return getattr(main, function)(request)

    def wsgi(self, function: str) -> Callable[..., Any]:
        def app(environ: Any, start_response: Any) -> Any:
            request = Request(environ)
            answer = self.enter(function, _asked(function, request), request)
            return answer(environ, start_response)

        return app

    # --- Pub/Sub -----------------------------------------------------------------

    def publish(self, topic: str, event: Event) -> None:
        """Put a message on its way to whoever hears the topic."""
        for item in (*CONSUMERS, *DRAINS):
            if item.topic == topic:
                pushed = Event(event.data, event.attributes, item.subscription)
                name = f"d{next(self._deliveries)}"
                self.queue.append(Delivery(item.function, pushed, name))

    def _queued(self, topic: str, event: Event) -> None:
        self.publish(topic, event)

    def _published(self, topic: str, data: bytes, attributes: dict[str, str]) -> None:
        self.publish(topic.rpartition("/")[2], Event(data, attributes))

    def job(self, name: str, **more: Any) -> None:
        """The clock says that it is time."""
        self.publish(
            "scheduled-jobs", Event(json.dumps({"job": name, **more}).encode())
        )

    def push(self, delivery: Delivery) -> bool:
        """Deliver once; says whether it was acknowledged. Raises Crash."""
        event = delivery.event
        body = {
            "message": {
                "data": b64encode(event.data).decode(),
                "attributes": dict(event.attributes),
                "messageId": delivery.id,
            },
            "subscription": f"projects/p/subscriptions/{event.subscription}",
        }
        builder = EnvironBuilder(method="POST", json=body)
        request = Request(builder.get_environ())
        answer = self.enter(delivery.function, _kind(event), request)
        assert answer.status_code in {_DONE, _AGAIN}, (delivery, answer.status_code)
        return bool(answer.status_code != _AGAIN)

    def settle(self, limit: int = 1000) -> None:
        """Deliver until all is acknowledged, and nothing more comes of it."""
        for _ in range(limit):
            if not self.queue:
                self.world.release_notifications()
            if not self.queue:
                return
            delivery = self.queue.popleft()
            try:
                if self.push(delivery):
                    continue
            except Crash:
                self.restart()
            self.clock.advance(seconds=AGAIN_SECONDS)
            if self._first:
                self.queue.appendleft(delivery)
            else:
                self.queue.append(delivery)
        raise AssertionError("deliveries never come to an end")


def _asked(function: str, request: Request) -> str:
    """The route of an HTTP function, as its own table names it; raises for none."""
    if function == "api":
        route, _ = ROUTER._find(request)
        return f"{route.method} {route.path}"
    PAGES.bind_to_environ(request.environ).match()
    return f"{request.method} {request.path}"


def _kind(event: Event) -> str:
    """What a message asks its function for; empty where there is one thing only."""
    data = json.loads(event.data)
    named = data.get("work") or data.get("job")
    if named is None and "subaccount" in data:
        return "batch" if data.get("batch") else "message"
    return str(named or "")
