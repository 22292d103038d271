"""The way to Google and back, at its edges: 400 for every answer that is not ours."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import Client, TestResponse

from gmail_simulator.consent import consent
from shared import bootstrap
from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.records import Subaccount
from shared.repositories.directory import MemberToWrite
from tests.support.api import app
from tests.support.system import System

ME, NEW = "rep@ours.example", "rep@studio.example"
_FIELD = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')


@pytest.fixture(scope="module")
def wsgi() -> Any:
    return app("connect")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System(bcc_address_format="log+{token}@logs.example")
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    system.services.directory.put_subaccount(
        Subaccount(SubaccountId("s"), name="North Agency"), None
    )
    system.services.directory.put_member(
        SubaccountId("s"), MemberToWrite(UserId("u"), "Mia Berg", ME, ME, ())
    )
    for address in (ME, NEW):
        system.world.add_account(address)
    return system


class Consent:
    """A link, opened in one browser."""

    def __init__(
        self,
        system: System,
        wsgi: Any,
        browser: Client | None = None,
        user: str = "u",
        **begin: Any,
    ) -> None:
        self.system, self.wsgi = system, wsgi
        self.browser = browser or Client(wsgi)
        link = urlsplit(system.services.connections.begin(UserId(user), **begin))
        self.path = f"{link.path}?{link.query}"
        self.page = self.open()

    def open(self, browser: Client | None = None) -> TestResponse:
        return (browser or self.browser).get(self.path)

    def press(
        self,
        page: TestResponse | None = None,
        browser: Client | None = None,
        to: str = "/oauth/start",
        headers: dict[str, str] | None = None,
        **changed: str,
    ) -> TestResponse:
        """Send the page's form."""
        fields = dict(_FIELD.findall((page or self.page).text)) | changed
        return (browser or self.browser).post(to, data=fields, headers=headers)

    def agreed(self, account: str = ME, **answer: Any) -> dict[str, str]:
        """Go on to Google, and come up to its answer."""
        url = self.press().location
        back = consent(self.system.outside.browser, url, account, **answer)
        return dict(parse_qsl(urlsplit(back).query))

    def back(
        self, answer: dict[str, str], browser: Client | None = None, **changed: str
    ) -> TestResponse:
        """Come back from Google, in this browser or another one."""
        query = {k: v for k, v in (answer | changed).items() if v}
        return (browser or self.browser).get("/oauth/callback", query_string=query)

    @property
    def traded(self) -> int:
        """How often Google was asked to trade a code."""
        return int(self.system.world.calls.count("oauth.token"))


@pytest.fixture
def flow(system: System, wsgi: Any) -> Consent:
    return Consent(system, wsgi)


def words(page: TestResponse) -> str:
    """What a person reads."""
    body = re.sub(r"<(style|script|title).*?</\1>", "", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


# --- the page before Google ---------------------------------------------------------


def test_the_first_page_says_for_whom_and_asks(flow: Consent) -> None:
    assert flow.page.status_code == 200
    said = words(flow.page)
    assert "will be connected for Mia Berg in North Agency." in said
    assert "Only continue if you are Mia Berg" in said
    assert "email from before stays out" in said
    assert "Continue with Google" in said
    assert flow.traded == 0
    there = flow.press()
    assert there.status_code == 303
    assert there.location.startswith(flow.system.outside.google._client["auth_uri"])


def test_every_team_is_named_and_of_very_many_the_number(
    system: System, wsgi: Any
) -> None:
    for number in range(24):
        system.subaccount(f"team{number:02}")
        system.user("u", ME, s=f"team{number:02}")
    said = words(Consent(system, wsgi).page)
    assert "Mia Berg in North Agency, team00, team01," in said
    assert "team18 and 5 more." in said


def test_the_logging_mailbox_is_named_as_such(system: System, wsgi: Any) -> None:
    said = words(Consent(system, wsgi, user=LOGGING).page)
    assert "becomes the logging mailbox of this CRM" in said


def test_names_are_shown_as_text(system: System, wsgi: Any) -> None:
    evil = "<script>alert(1)</script>"
    system.services.directory.put_member(
        SubaccountId("s"), MemberToWrite(UserId("u"), evil, ME, ME, ())
    )
    assert evil not in Consent(system, wsgi).page.text


def test_only_the_asking_page_may_lead_on_to_other_sites(flow: Consent) -> None:
    """Google sends people on to their organisation's sign-in page."""
    policy = flow.page.headers["Content-Security-Policy"]
    assert "form-action 'self' https:" in policy
    assert "frame-ancestors 'none'" in policy
    other = flow.browser.get("/oauth/callback").headers["Content-Security-Policy"]
    assert "form-action 'self';" in other


@pytest.mark.parametrize(
    "changed",
    [
        {"form_token": ""},
        {"form_token": "guessed"},
        {"form_token": "é"},
        {"flow": ""},
        {"flow": "made-up"},
        {"flow": "a" * 5000},
    ],
)
def test_a_form_that_is_not_the_pages_own_leads_nowhere(
    flow: Consent, changed: dict[str, str]
) -> None:
    answer = flow.press(**changed)
    assert answer.status_code in {400, 403}
    assert answer.location is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_form_of_another_site_leads_nowhere(flow: Consent, site: str) -> None:
    assert flow.press(headers={"Sec-Fetch-Site": site}).status_code == 403


def test_another_flows_page_does_not_fit(system: System, wsgi: Any) -> None:
    mine = Consent(system, wsgi)
    other = Consent(system, wsgi, mine.browser)
    token = dict(_FIELD.findall(other.page.text))["form_token"]
    assert mine.press(form_token=token).status_code == 403


# --- one link, one browser ----------------------------------------------------------


def test_a_link_opens_in_its_first_browser_only(flow: Consent) -> None:
    second = Client(flow.wsgi)
    refused = flow.open(second)
    assert refused.status_code == 403
    assert "only in the browser that opens it first" in words(refused)
    assert "begin again in your CRM" in words(refused)
    assert "Mia Berg" not in refused.text
    assert "Set-Cookie" not in refused.headers
    assert flow.press(flow.page, second).status_code == 403
    again = flow.open()  # a reload
    assert again.status_code == 200
    assert flow.press(again).status_code == 303


def test_of_two_browsers_that_open_a_link_at_once_one_wins(
    system: System, wsgi: Any
) -> None:
    """Both have read that nobody has it before either writes."""
    documents = system.outside.documents
    read, gate = documents.get, threading.Barrier(2)
    held = threading.local()

    def both_read(paths: Any) -> Any:
        found = read(paths)
        if paths[0].startswith("oauth_flows/") and not getattr(held, "once", False):
            held.once = True
            gate.wait(timeout=10)
        return found

    link = urlsplit(system.services.connections.begin(UserId("u")))
    documents.get = both_read
    codes: list[int] = []

    def open_it() -> None:
        page = Client(wsgi).get(f"{link.path}?{link.query}")
        codes.append(page.status_code)

    browsers = [threading.Thread(target=open_it) for _ in range(2)]
    for browser in browsers:
        browser.start()
    for browser in browsers:
        browser.join()
    assert sorted(codes) == [200, 403]


def test_looking_at_a_link_does_not_take_it(system: System, wsgi: Any) -> None:
    """Mail filters and messengers ask for the head of a link."""
    link = urlsplit(system.services.connections.begin(UserId("u")))
    path = f"{link.path}?{link.query}"
    assert Client(wsgi).head(path).status_code == 405
    assert Client(wsgi).get(path).status_code == 200


def test_a_link_is_used_once(flow: Consent) -> None:
    assert flow.back(flow.agreed()).status_code == 200
    assert flow.open().status_code == 400
    assert flow.press().status_code == 400


def test_a_link_ends_after_ten_minutes(flow: Consent) -> None:
    flow.system.clock.advance(minutes=10)
    assert flow.open().status_code == 400
    assert flow.press().status_code == 400


# --- the way back -------------------------------------------------------------------


def test_the_browser_that_began_it_comes_back_connected(flow: Consent) -> None:
    cookie = flow.page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/oauth" in cookie
    page = flow.back(flow.agreed())
    assert page.status_code == 200
    assert f"{ME} is connected for Mia Berg in North Agency." in words(page)
    assert "Email from before" in words(page)
    assert "Max-Age=0" in page.headers["Set-Cookie"]


def other_flow(flow: Consent) -> Consent:
    return Consent(flow.system, flow.wsgi)


STRANGE: dict[str, Callable[[Consent, dict[str, str]], TestResponse]] = {
    "no state": lambda flow, answer: flow.back(answer, state=""),
    "a made-up state": lambda flow, answer: flow.back(answer, state="x" * 43),
    "another flow's state": lambda flow, answer: flow.back(
        answer, state=other_flow(flow).agreed()["state"]
    ),
    "another browser": lambda flow, answer: flow.back(answer, Client(flow.wsgi)),
    "the browser of another flow": lambda flow, answer: flow.back(
        answer, other_flow(flow).browser
    ),
    "ten minutes later": lambda flow, answer: (
        flow.system.clock.advance(minutes=10),
        flow.back(answer),
    )[1],
    "no code": lambda flow, answer: flow.back(answer, code=""),
    "nothing at all": lambda flow, answer: flow.back(answer, state="", code=""),
}
ENDS = {"ten minutes later", "no code"}
"""These are answers to this very flow: it is over with them."""


@pytest.mark.parametrize("name", STRANGE)
def test_any_other_answer_is_400_and_harms_nothing(flow: Consent, name: str) -> None:
    answer = flow.agreed()
    page = STRANGE[name](flow, answer)
    assert page.status_code == 400
    assert flow.traded == 0
    assert flow.system.services.connections._mailboxes.connection(UserId("u")) is None
    if name not in ENDS:
        assert "Set-Cookie" not in page.headers
        assert flow.back(answer).status_code == 200
        assert flow.system.services.connections.view(UserId("u"))["status"] == "active"


def test_two_consents_in_two_tabs_both_come_to_their_end(
    system: System, wsgi: Any
) -> None:
    system.user("v", NEW)
    browser = Client(wsgi)
    first = Consent(system, wsgi, browser)
    second = Consent(system, wsgi, browser, user="v")
    answers = first.agreed(), second.agreed(NEW)
    assert first.back(answers[0]).status_code == 200
    assert second.back(answers[1]).status_code == 200
    for user in ("u", "v"):
        assert system.services.connections.view(UserId(user))["status"] == "active"


def test_an_answer_that_comes_again_is_400_and_trades_nothing(flow: Consent) -> None:
    name, _, rest = flow.page.headers["Set-Cookie"].partition("=")
    answer = flow.agreed()
    assert flow.back(answer).status_code == 200
    traded = flow.traded
    kept = Client(flow.wsgi)  # whoever kept the cookie that the answer has removed
    kept.set_cookie(name, rest.partition(";")[0], path="/oauth")
    for browser in (flow.browser, kept):
        assert flow.back(answer, browser).status_code == 400
    assert flow.traded == traded


# --- another account (C10) ----------------------------------------------------------


@pytest.fixture
def asked(system: System, wsgi: Any) -> Consent:
    """A reauthorisation that comes back with another account."""
    assert system.connect("u", ME).code == "connected"
    system.services.accounts.needs_reauth(system.mailbox_id(ME))
    flow = Consent(system, wsgi)
    assert f"Reconnect {ME}" in words(flow.page)
    assert "email that you missed" in words(flow.page)
    there = flow.back(flow.agreed(NEW))
    assert there.status_code == 303
    flow.path = there.location
    flow.page = flow.open()
    return flow


def test_c10_the_page_names_both_addresses_and_what_is_brought_in(
    asked: Consent,
) -> None:
    said = words(asked.page)
    assert asked.page.status_code == 200
    assert f"You wanted to reconnect {ME} for Mia Berg in North Agency" in said
    assert f"at Google you chose {NEW}. Nothing has changed yet." in said
    assert f"{ME} is no longer synced for you, and email that you missed there" in said
    assert asked.open().status_code == 200  # a reload
    assert asked.open(Client(asked.wsgi)).status_code == 403


def test_c10_confirmed(asked: Consent) -> None:
    done = asked.press(to="/oauth/confirm", move="yes")
    said = words(done)
    assert done.status_code == 200
    assert f"{NEW} is connected for Mia Berg in North Agency, instead of {ME}." in said
    assert "your former mailbox is no longer synced" in said
    assert asked.system.services.connections.view(UserId("u"))["address"] == NEW
    assert asked.press(to="/oauth/confirm", move="yes").status_code == 400


@pytest.mark.parametrize("changed", [{}, {"move": "no"}, {"move": ""}])
def test_c10_anything_but_a_yes_keeps_the_connection(
    asked: Consent, changed: dict[str, str]
) -> None:
    done = asked.press(to="/oauth/confirm", **changed)
    assert done.status_code == 200
    assert f"{ME} was not replaced" in words(done)
    view = asked.system.services.connections.view(UserId("u"))
    assert (view["address"], view["status"]) == (ME, "reauth_required")


def test_c10_a_forged_answer_changes_nothing(asked: Consent) -> None:
    for answer in (
        asked.press(to="/oauth/confirm", move="yes", form_token="x"),
        asked.press(browser=Client(asked.wsgi), to="/oauth/confirm", move="yes"),
        asked.press(
            to="/oauth/confirm", move="yes", headers={"Sec-Fetch-Site": "cross-site"}
        ),
        asked.browser.get("/oauth/confirm?flow=made-up&move=yes"),
    ):
        assert answer.status_code in {400, 403}
    view = asked.system.services.connections.view(UserId("u"))
    assert (view["address"], view["status"]) == (ME, "reauth_required")
    assert asked.press(to="/oauth/confirm", move="yes").status_code == 200


def test_c10_renewing_an_active_connection_asks_as_well(
    system: System, wsgi: Any
) -> None:
    """Nothing was missed there, and nothing of that kind is said."""
    system.connect("u", ME)
    flow = Consent(system, wsgi, intent="reauthorise")
    assert f"Renew the permission for {ME}" in words(flow.page)
    assert "missed" not in words(flow.page)
    flow.path = flow.back(flow.agreed(NEW)).location
    flow.page = flow.open()
    said = words(flow.page)
    assert f"You wanted to renew the permission for {ME}" in said
    assert f"{ME} is no longer synced for you." in said
    assert "missed" not in said
    view = system.services.connections.view(UserId("u"))
    assert (view["address"], view["status"]) == (ME, "active")


def test_c7_the_page_says_that_missed_mail_is_brought_in(
    system: System, wsgi: Any
) -> None:
    system.connect("u", ME)
    system.services.accounts.needs_reauth(system.mailbox_id(ME))
    flow = Consent(system, wsgi)
    said = words(flow.back(flow.agreed()))
    assert "email that you missed is being brought in now" in said
    again = Consent(system, wsgi)
    assert "Sync goes on without a gap" in words(again.back(again.agreed()))


def test_c11_the_page_names_the_teams_in_which_the_mailbox_is_synced(
    system: System, wsgi: Any
) -> None:
    directory = system.services.directory
    for name, title, sync in (("s", "North Agency", False), ("s2", "South", True)):
        directory.put_subaccount(Subaccount(SubaccountId(name), name=title), None)
        member = MemberToWrite(UserId("u"), "Mia Berg", ME, ME, (), sync)
        directory.put_member(SubaccountId(name), member)
    page = Consent(system, wsgi).page.text
    assert "South" in page
    assert "North Agency" not in page
