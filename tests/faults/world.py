"""Everybody around a deployment: the CRM that calls it, and a user's browser.

Who gets no answer asks again: the CRM repeats its call, the person opens the page once
more. So a flow is told once, as if nothing could go wrong, and goes on through any fault.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from urllib3.filepost import encode_multipart_formdata
from werkzeug.test import Client, TestResponse

from shared.bootstrap import Services
from shared.core.ids import SubaccountId, UserId
from tests.faults.deployment import AGAIN_SECONDS, Deployment
from tests.support.api import token
from tests.support.consenting import Consenting
from tests.support.crash import Crash

_TIMES = 60
_OK, _ONWARD = 200, 303
_REFUSED, _FAULT, _AGAIN = 400, 500, 503
_SPENT = "This link can no longer be used"


class World(Deployment):
    """A deployment with one CRM and one browser."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.crm = Client(self.wsgi("api"))
        self.browser = Client(self.wsgi("connect"))

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
        bearer = token(["s", "s2"], now=self.clock.now(), deployment=True)
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
        flow = Consenting(self.services, u)
        back = urlsplit(self._agrees(flow.url, address, **answer))
        return flow.back(dict(parse_qsl(back.query)))

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
        asks = self.visit(_local(link))
        step = self.sends_form(asks) if asks.status_code == _OK else asks
        if step.status_code != _ONWARD:
            return None
        page = self.visit(
            _local(self._agrees(step.headers["Location"], address, **answer))
        )
        if page.status_code == _ONWARD and "/oauth/confirm" in page.headers["Location"]:
            page = self.visit(page.headers["Location"])
        return None if _SPENT in page.text else page

    def sends_form(self, page: TestResponse, **pressed: str) -> TestResponse:
        """Press a button of a consent page."""
        action = re.search(r'action="(/oauth/[a-z]+)"', page.text)
        assert action, page.text
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        return self.visit(action[1], "POST", data=dict(hidden) | pressed)

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
        """Open the settings page as the CRM links to it, again if the link is used.

        A link whose page was lost on the way has been traded all the same.
        """
        for _ in range(2):
            link = token(["s"], user, now=self.clock.now(), jti=uuid.uuid4().hex)
            page = self.visit("/settings", query_string={"token": link})
            if page.status_code != HTTPStatus.UNAUTHORIZED:
                return

    def presses(self, button: str) -> TestResponse:
        """Send a form of the settings page."""
        page = self.visit("/settings")
        found = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert found, page.text
        return self.visit(f"/settings/{button}", "POST", data={"form_token": found[1]})


def _form(body: Any, files: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """A form with a message and its attachments, as bytes that can be sent again."""
    fields: list[Any] = [("message", (None, json.dumps(body), "application/json"))]
    fields += [("attachment", (name, raw, "application/pdf")) for name, raw in files]
    data, content_type = encode_multipart_formdata(fields)
    return {"data": data, "content_type": content_type}


def _local(url: str) -> str:
    found = urlsplit(url)
    return f"{found.path}?{found.query}"
