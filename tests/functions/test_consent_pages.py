"""The way to Google and back, at its edges: 400 for every answer that is not ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import Client, TestResponse

from functions.connect import COOKIE
from gmail_simulator.consent import consent
from shared import bootstrap
from shared.core.ids import UserId
from tests.support.api import app
from tests.support.system import System

ME = "rep@ours.example"


@pytest.fixture(scope="module")
def wsgi() -> Any:
    return app("connect")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    system.subaccount()
    system.user("u", ME)
    system.world.add_account(ME)
    return system


class Consent:
    """A flow in one browser, up to Google's answer."""

    def __init__(self, system: System, wsgi: Any) -> None:
        self.system, self.wsgi = system, wsgi
        self.browser = Client(wsgi)
        link = urlsplit(system.services.connections.begin(UserId("u")))
        self.begun = self.browser.get(f"{link.path}?{link.query}")
        back = consent(system.outside.browser, self.begun.location, ME)
        self.answer = dict(parse_qsl(urlsplit(back).query))

    def back(self, browser: Client | None = None, **changed: str) -> TestResponse:
        """Come back from Google, in this browser or another one."""
        query = {k: v for k, v in (self.answer | changed).items() if v}
        return (browser or self.browser).get("/oauth/callback", query_string=query)

    @property
    def traded(self) -> int:
        """How often Google was asked to trade a code."""
        return int(self.system.world.calls.count("oauth.token"))


@pytest.fixture
def flow(system: System, wsgi: Any) -> Consent:
    return Consent(system, wsgi)


def test_the_browser_that_began_it_comes_back_connected(flow: Consent) -> None:
    cookie = flow.begun.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/oauth" in cookie
    page = flow.back()
    assert page.status_code == 200
    assert ME in page.text
    assert "Max-Age=0" in page.headers["Set-Cookie"]


STRANGE: dict[str, Callable[[Consent], TestResponse]] = {
    "no state": lambda flow: flow.back(state=""),
    "a made-up state": lambda flow: flow.back(state="x" * 43),
    "another flow's state": lambda flow: flow.back(
        state=Consent(flow.system, flow.wsgi).answer["state"]
    ),
    "another browser": lambda flow: flow.back(Client(flow.wsgi)),
    "the browser of another flow": lambda flow: flow.back(
        Consent(flow.system, flow.wsgi).browser
    ),
    "ten minutes later": lambda flow: (
        flow.system.clock.advance(minutes=10),
        flow.back(),
    )[1],
    "no code": lambda flow: flow.back(code=""),
    "nothing at all": lambda flow: flow.back(state="", code=""),
}


@pytest.mark.parametrize("come", STRANGE.values(), ids=STRANGE)
def test_any_other_answer_is_400_and_no_code_is_traded(
    flow: Consent, come: Callable[[Consent], TestResponse]
) -> None:
    page = come(flow)
    assert page.status_code == 400
    assert flow.traded == 0
    assert flow.system.services.connections._mailboxes.connection(UserId("u")) is None


def test_an_answer_that_comes_again_is_400_and_trades_nothing(flow: Consent) -> None:
    cookie = flow.begun.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    assert flow.back().status_code == 200
    traded = flow.traded
    kept = Client(flow.wsgi)  # whoever kept the cookie that the answer has removed
    kept.set_cookie(COOKIE, cookie, path="/oauth")
    for browser in (flow.browser, kept):
        assert flow.back(browser).status_code == 400
    assert flow.traded == traded
