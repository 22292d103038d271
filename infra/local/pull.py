"""A pull subscription of Pub/Sub in memory, over its REST calls.

Promises what Pub/Sub does: a message comes until it is acknowledged, and comes again
when its deadline has passed.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from shared.ports import Event

DEADLINE_SECONDS = 10.0
WAIT_SECONDS = 10.0
_MOST_KEPT = 10_000
"""Nobody may ever ask: the oldest are let go."""


class PullSubscription:
    """A WSGI app: `POST /v1/<name>:pull` and `:acknowledge`."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold nothing yet; `name` is projects/…/subscriptions/…."""
        self._name = name
        self._clock = clock
        self._numbers = itertools.count(1)
        self._messages: dict[str, tuple[Event, float]] = {}
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        """Take an event that was published."""
        with self._changed:
            self._messages[str(next(self._numbers))] = (event, 0.0)
            if len(self._messages) > _MOST_KEPT:
                del self._messages[next(iter(self._messages))]
            self._changed.notify_all()

    def pull(self, most: int, wait: float) -> list[dict[str, Any]]:
        """Messages that are due, as Pub/Sub writes them; waits for a first one."""
        with self._changed:
            due = self._due(most)
            if not due and wait:
                self._changed.wait(wait)
                due = self._due(most)
            for number in due:
                event, _ = self._messages[number]
                until = self._clock() + DEADLINE_SECONDS
                self._messages[number] = (event, until)
            return [_received(number, self._messages[number][0]) for number in due]

    def acknowledge(self, numbers: list[str]) -> None:
        """Forget these."""
        with self._changed:
            for number in numbers:
                self._messages.pop(number, None)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer one request."""
        request = Request(environ)
        body = json.loads(request.get_data() or b"{}")
        found: dict[str, Any] = {}
        status = 200
        match request.method, request.path.removeprefix(f"/v1/{self._name}:"):
            case "POST", "pull":
                wait = 0.0 if body.get("returnImmediately") else WAIT_SECONDS
                if received := self.pull(int(body.get("maxMessages", 1)), wait):
                    found["receivedMessages"] = received
            case "POST", "acknowledge":
                self.acknowledge(body.get("ackIds", []))
            case _:
                status, found = 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        response = Response(json.dumps(found), status, mimetype="application/json")
        return response(environ, start_response)

    def _due(self, most: int) -> list[str]:
        now = self._clock()
        due = (number for number, (_, at) in self._messages.items() if at <= now)
        return list(itertools.islice(due, most))


def _received(number: str, event: Event) -> dict[str, Any]:
    return {
        "ackId": number,
        "message": {
            "messageId": number,
            "data": base64.b64encode(event.data).decode(),
            "attributes": dict(event.attributes),
        },
    }
