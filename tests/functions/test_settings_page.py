"""The settings page at its edges: who may see it, forms, cookies, headers."""

from __future__ import annotations

import itertools
import re
import string
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from shared import bootstrap
from shared.core.ids import UserId
from shared.core.matching.bcc import LOGGING
from tests.support.api import KEY, app, token
from tests.support.system import System

ME = "rep@ours.example"
CRM = "https://crm.example.com"


@pytest.fixture(scope="module")
def wsgi() -> Any:
    return app("connect")


def start(
    wsgi: Any, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[System, Client]:
    system = System(**settings)
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    system.outside.secrets.write("api-signing-key", KEY)
    system.subaccount()
    system.user("u", ME)
    return system, Client(wsgi)


@pytest.fixture
def system_and_browser(
    wsgi: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[System, Client]:
    return start(wsgi, monkeypatch)


@pytest.fixture
def system(system_and_browser: tuple[System, Client]) -> System:
    return system_and_browser[0]


@pytest.fixture
def browser(system_and_browser: tuple[System, Client]) -> Client:
    return system_and_browser[1]


def a_token(system: System, sub: str = "u", s: str = "s", **claims: Any) -> str:
    return token([s], sub, now=system.clock.now(), **claims)


LINKS = itertools.count()


def sign_in(system: System, browser: Client, **who: Any) -> TestResponse:
    who.setdefault("jti", str(next(LINKS)))  # every link is another token
    return browser.get("/settings", query_string={"token": a_token(system, **who)})


def form_token(page: TestResponse) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


# --- who may see it ----------------------------------------------------------------


def test_the_token_is_traded_for_a_cookie_and_leaves_the_address(
    system: System, browser: Client
) -> None:
    answer = sign_in(system, browser)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert browser.get("/settings").status_code == 200


def test_the_cookie_is_short_lived_and_hidden_from_scripts(
    system: System, browser: Client
) -> None:
    cookie = sign_in(system, browser).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/settings" in cookie
    assert "Max-Age=1800" in cookie
    assert "SameSite=Lax" in cookie
    system.clock.advance(minutes=30)
    assert browser.get("/settings").status_code == 401


def test_in_a_foreign_frame_the_cookie_is_kept_apart(
    wsgi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.system.PUBLIC", "https://sync.example.com")
    system, browser = start(wsgi, monkeypatch, frame_ancestors=(CRM,))
    answer = sign_in(system, browser)
    cookie = answer.headers["Set-Cookie"]
    for attribute in ("Secure", "SameSite=None", "Partitioned", "HttpOnly"):
        assert attribute in cookie


@pytest.mark.parametrize("bad", ["", "nonsense", "a.b.c", "é", "x" * 9000])
def test_a_bad_token_shows_nothing(browser: Client, bad: str) -> None:
    answer = browser.get("/settings", query_string={"token": bad})
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


def test_an_old_token_shows_nothing(system: System, browser: Client) -> None:
    old = a_token(system)
    system.clock.advance(minutes=11)
    answer = browser.get("/settings", query_string={"token": old})
    assert answer.status_code == 401


def test_the_backends_token_opens_no_users_page(
    system: System, browser: Client
) -> None:
    assert sign_in(system, browser, sub="crm").status_code == 403


def test_a_token_of_another_tenant_shows_nothing_of_this_one(
    system: System, browser: Client
) -> None:
    system.connect("u", ME)
    system.subaccount("t")
    system.user("w", "w@theirs.example", s="t")
    sign_in(system, browser, sub="u", s="t")
    answer = browser.get("/settings")
    assert answer.status_code == 403
    assert ME not in answer.text


def test_a_user_who_was_removed_sees_nothing(system: System, browser: Client) -> None:
    sign_in(system, browser)
    system.services.directory.delete_member("s", UserId("u"))
    assert browser.get("/settings").status_code == 403


def test_a_planted_session_is_never_taken_over(system: System, browser: Client) -> None:
    """Session fixation: the cookie after signing in is always a new one."""
    browser.set_cookie("gmail_sync_session", "planted", path="/settings")
    assert browser.get("/settings").status_code == 401
    sign_in(system, browser)
    first = browser.get_cookie("gmail_sync_session", path="/settings")
    sign_in(system, browser)
    second = browser.get_cookie("gmail_sync_session", path="/settings")
    assert first
    assert second
    assert "planted" not in {first.value, second.value}
    assert first.value != second.value
    browser.set_cookie("gmail_sync_session", first.value, path="/settings")
    assert browser.get("/settings").status_code == 401  # it ended with the new one


def test_a_link_is_good_for_one_trade(wsgi: Any, system: System) -> None:
    first, second = Client(wsgi), Client(wsgi)
    assert sign_in(system, first, jti="same").status_code == 303
    again = sign_in(system, second, jti="same")
    assert (again.status_code, "works once" in again.text) == (401, True)
    assert second.get("/settings").status_code == 401
    # Whoever opened it may reload it, in the same browser.
    cookie = first.get_cookie("gmail_sync_session", path="/settings")
    assert sign_in(system, first, jti="same").status_code == 303
    assert first.get_cookie("gmail_sync_session", path="/settings") == cookie


def test_asking_for_the_headers_of_a_link_does_not_use_it(
    wsgi: Any, system: System
) -> None:
    token = a_token(system, jti="head")
    assert Client(wsgi).head(f"/settings?token={token}").status_code == 405
    browser = Client(wsgi)
    assert browser.get(f"/settings?token={token}").status_code == 303
    assert browser.get("/settings").status_code == 200


def test_a_signature_in_another_spelling_is_the_same_link(
    wsgi: Any, system: System
) -> None:
    """The last character of 32 bytes in base64 has two spare bits."""
    token = a_token(system)
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    other = token[:-1] + letters[letters.index(token[-1]) ^ 1]
    assert Client(wsgi).get(f"/settings?token={token}").status_code == 303
    assert Client(wsgi).get(f"/settings?token={other}").status_code == 401


def test_of_two_trades_at_once_one_wins(system: System) -> None:
    token = a_token(system)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(system.services.sessions.open, token) for _ in range(8)]
    assert sum(trade.exception() is None for trade in done) == 1


def test_what_is_stored_opens_no_session(system: System, browser: Client) -> None:
    sign_in(system, browser)
    cookie = browser.get_cookie("gmail_sync_session", path="/settings")
    assert cookie
    assert cookie.value not in repr(system.outside.documents.dump())


# --- forms -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/settings/connect", "/settings/disconnect"])
@pytest.mark.parametrize("given", [None, "", "guessed", "é"])
def test_a_form_without_the_pages_own_token_does_nothing(
    system: System, browser: Client, path: str, given: str | None
) -> None:
    system.connect("u", ME)
    sign_in(system, browser)
    data = {} if given is None else {"form_token": given}
    assert browser.post(path, data=data).status_code == 403
    assert system.services.connections.view(UserId("u"))["status"] == "active"


def test_a_form_from_another_site_does_nothing(system: System, browser: Client) -> None:
    system.connect("u", ME)
    sign_in(system, browser)
    data = {"form_token": form_token(browser.get("/settings"))}
    for site in ("cross-site", "same-site", "none"):
        answer = browser.post(
            "/settings/disconnect", data=data, headers={"Sec-Fetch-Site": site}
        )
        assert answer.status_code == 403
    assert system.services.connections.view(UserId("u"))["status"] == "active"


def test_a_form_of_another_session_does_nothing(
    wsgi: Any, system: System, browser: Client
) -> None:
    system.connect("u", ME)
    sign_in(system, browser)
    other = Client(wsgi)
    sign_in(system, other)
    data = {"form_token": form_token(other.get("/settings"))}
    assert browser.post("/settings/disconnect", data=data).status_code == 403


def test_reading_changes_nothing(system: System, browser: Client) -> None:
    system.connect("u", ME)
    sign_in(system, browser)
    assert browser.get("/settings/disconnect").status_code == 200
    assert browser.get("/settings/connect").status_code == 405
    assert system.services.connections.view(UserId("u"))["status"] == "active"


def test_connect_leads_through_the_service_and_back_to_the_page(
    system: System, browser: Client
) -> None:
    sign_in(system, browser)
    data = {"form_token": form_token(browser.get("/settings"))}
    page = browser.post("/settings/connect", data=data)
    assert page.status_code == 303
    assert "/oauth/start?flow=" in page.location
    framed = browser.post(
        "/settings/connect", data=data, headers={"Sec-Fetch-Dest": "iframe"}
    )
    assert framed.status_code == 200
    assert 'target="_blank" rel="noopener"' in framed.text


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("began", "Email from before"),
        ("resumed", "email that you missed is being brought in now"),
        ("renewed", "Sync goes on without a gap"),
        ("moved", "your former mailbox is no longer synced"),
    ],
)
def test_c10_the_page_says_once_how_the_consent_ended(
    system: System, browser: Client, how: str, said: str
) -> None:
    system.connect("u", ME)
    sign_in(system, browser)
    browser.set_cookie("gmail_sync_done", how, path="/settings")
    assert said in browser.get("/settings").text
    assert said not in browser.get("/settings").text


def test_c8_the_page_says_why_there_is_no_bcc_address(
    wsgi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, browser = start(
        wsgi, monkeypatch, bcc_address_format="log+{token}@logs.example"
    )
    sign_in(system, browser)
    page = browser.get("/settings").text
    assert "so nothing would be logged" in page
    assert "@logs.example" not in page
    system.world.add_account("log@logs.example")
    assert system.connect(LOGGING, "log@logs.example").code == "connected"
    page = browser.get("/settings").text
    assert "so nothing would be logged" not in page
    assert "@logs.example" in page


# --- headers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/settings", "/settings/none", "/oauth/callback", "/oauth/start"]
)
def test_every_page_is_guarded(browser: Client, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_only_the_allowed_crm_frames_the_settings_and_nobody_the_consent(
    wsgi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, browser = start(wsgi, monkeypatch, frame_ancestors=(CRM,))
    sign_in(system, browser)
    page = browser.get("/settings").headers
    assert f"frame-ancestors {CRM}" in page["Content-Security-Policy"]
    assert "X-Frame-Options" not in page
    consent = browser.get("/oauth/callback").headers
    assert "frame-ancestors 'none'" in consent["Content-Security-Policy"]


def test_names_are_shown_as_text(system: System, browser: Client) -> None:
    from shared.core.ids import SubaccountId
    from shared.repositories.directory import MemberToWrite

    evil = "<script>alert(1)</script>"
    system.services.directory.put_member(
        SubaccountId("s"), MemberToWrite(UserId("u"), evil, ME, ME, ())
    )
    sign_in(system, browser)
    assert evil not in browser.get("/settings").text


def test_a_fault_says_nothing_of_the_inside(
    system: System, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(system, browser)

    def broken(_user: UserId) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(system.services.connections, "view", broken)
    answer = browser.get("/settings")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
