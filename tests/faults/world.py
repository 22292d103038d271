"""A deployment behind its real entry points, and everybody who calls them.

Whoever calls does what is done in the cloud when a function dies or has no answer:
Pub/Sub delivers again, the CRM repeats its call, the person opens the page again. So a
flow is told once, as if nothing could go wrong, and goes on through any fault.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Request
from urllib3.filepost import encode_multipart_formdata
from werkzeug.test import Client, EnvironBuilder, TestResponse

import main
from functions.api import _ROUTER as ROUTER
from functions.connect import ROUTES as PAGES
from infra.local.wiring import CONSUMERS, DRAINS
from shared import bootstrap
from shared.bootstrap import Services
from shared.core.ids import SubaccountId, UserId
from shared.gateways.memory import MemoryRelay
from shared.ports import Event
from tests.support.api import KEY, token
from tests.support.bcc import FORMAT
from tests.support.crash import Crash, Crashing, CrashPlan
from tests.support.sending import PORTS
from tests.support.system import System

AGAIN_SECONDS = 10
"""The shortest backoff of a subscription; callers have the same patience."""
_TIMES = 60
_DONE, _REFUSED, _FAULT, _AGAIN = 204, 400, 500, 503
_SPENT = "This link can no longer be used"


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


class World(System):
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
        self.crm = Client(self._wsgi("api"))
        self.browser = Client(self._wsgi("connect"))

    @contextmanager
    def running(self) -> Iterator[World]:
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

    def _wsgi(self, function: str) -> Callable[..., Any]:
        def app(environ: Any, start_response: Any) -> Any:
            request = Request(environ)
            answer = self.enter(function, _asked(function, request), request)
            return answer(environ, start_response)

        return app

    def _until_answered(self, ask: Callable[[], TestResponse]) -> TestResponse:
        """Repeat a call that died or that is asked to come again."""
        for _ in range(_TIMES):
            try:
                answer = ask()
            except Crash:
                self.restart()
            else:
                assert answer.status_code != _FAULT, answer.text
                if answer.status_code != _AGAIN:
                    return answer
            self.clock.advance(seconds=AGAIN_SECONDS)
        raise AssertionError("a call is never answered")

    # --- the CRM -----------------------------------------------------------------

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """Call the API as the CRM's backend, until it answers."""
        bearer = token(["s", "s2"], now=self.clock.now())
        headers = {"Authorization": f"Bearer {bearer}", **more.pop("headers", {})}
        return self._until_answered(
            lambda: self.crm.open(path, method=method, headers=headers, **more)
        )

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Call the API until it answers well; gives the answer's JSON, or its bytes."""
        if body is not None:
            more["json"] = body
        answer = self.ask(method, path, **more)
        assert answer.status_code < _REFUSED, (method, path, answer.text)
        return answer.json if answer.is_json else answer.data

    def posts(self, key: str, *files: tuple[str, bytes], **fields: Any) -> Any:
        """Send mail; `files` are attached."""
        body = {"kind": "individual", "user": "u", "text": "Words", **fields}
        more: dict[str, Any] = {"json": body}
        if files:
            more = _form(body, files)
        headers = {"Idempotency-Key": key} | more.pop("headers", {})
        path = "/v1/subaccounts/s/messages"
        return self.call("POST", path, headers=headers, **more)

    def drop(self) -> str:
        """The BCC address of user u, as before the flow."""
        bcc = Services(self.outside).bcc
        return str(bcc.show(SubaccountId("s"), UserId("u")))

    # --- the user's browser ------------------------------------------------------

    def connect(self, u: str, address: str, **answer: Any) -> Any:
        """As before the flow: no entry point, no page."""
        link = self.services.connections.begin(UserId(u))
        step = self.services.connections.start(link.partition("flow=")[2])
        back = urlsplit(self._agrees(step.url, address, **answer))
        return self.services.connections.finish(
            dict(parse_qsl(back.query)), step.cookie
        )

    def visit(self, path: str, method: str = "GET", **more: Any) -> TestResponse:
        """Open a page until it answers."""
        return self._until_answered(
            lambda: self.browser.open(path, method=method, **more)
        )

    def connects(
        self, address: str, path: str = "/v1/users/u/connection", **answer: Any
    ) -> TestResponse:
        """Consent until it has ended; a link that was spent in vain means a new one."""
        for _ in range(_TIMES):
            link = self.call("POST", path, {})["authorization_url"]
            page = self.consents(link, address, **answer)
            shown = self.ask("GET", path)
            view = shown.json or {}
            if page is not None or (view.get("status"), view.get("address")) == (
                "active",
                address,
            ):
                return page or shown
        raise AssertionError("the consent never ends")

    def consents(self, link: str, address: str, **answer: Any) -> TestResponse | None:
        """Go to Google and back; None where that has to begin anew."""
        step = self.visit(_local(link))
        if _SPENT in step.text:
            return None
        page = self.visit(
            _local(self._agrees(step.headers["Location"], address, **answer))
        )
        return None if _SPENT in page.text else page

    def _agrees(
        self, url: str, address: str, *, scopes: Iterable[str] | None = None
    ) -> str:
        """Google's pages in short; returns where they send the browser."""
        asked = dict(parse_qsl(urlsplit(url).query))
        account = self.world.resolve(address) or self.world.add_account(address)
        oauth = self.world.oauth
        client = oauth.clients[asked["client_id"]]
        ticked = asked["scope"].split() if scopes is None else scopes
        code, _ = oauth.issue_code(client, account, ticked, asked)
        return f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'code': code})}"

    def signs_in(self, user: str = "u") -> None:
        """Open the settings page as the CRM links to it."""
        self.visit(
            "/settings",
            query_string={"token": token(["s"], user, now=self.clock.now())},
        )

    def presses(self, button: str) -> TestResponse:
        """Send a form of the settings page."""
        page = self.visit("/settings")
        found = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert found, page.text
        return self.visit(f"/settings/{button}", "POST", data={"form_token": found[1]})

    # --- Pub/Sub -----------------------------------------------------------------

    def publish(self, topic: str, event: Event) -> None:
        """Put a message on its way to whoever hears the topic."""
        for one in (*CONSUMERS, *DRAINS):
            if one.topic == topic:
                pushed = Event(event.data, event.attributes, one.subscription)
                name = f"d{next(self._deliveries)}"
                self.queue.append(Delivery(one.function, pushed, name))

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
    if "subaccount" in data:
        return "batch" if data.get("batch") else "message"
    return str(data.get("work") or data.get("job") or "")


def _form(body: Any, files: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """A form with a message and its attachments, as bytes that can be sent again."""
    fields: list[Any] = [("message", (None, json.dumps(body), "application/json"))]
    fields += [("attachment", (name, raw, "application/pdf")) for name, raw in files]
    data, content_type = encode_multipart_formdata(fields)
    return {"data": data, "content_type": content_type}


def _local(url: str) -> str:
    found = urlsplit(url)
    return f"{found.path}?{found.query}"
