"""Consent, codes and tokens, as a web server and a browser go through them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests

from gmail_simulator import (
    Client,
    GmailWorld,
    WsgiAdapter,
    client_file,
    consent,
)

ANN, BOB = "ann@acme.test", "bob@acme.test"
BASE, CALLBACK = "http://google.test", "http://sync.test/oauth/callback"
READ = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"
EMAIL = "https://www.googleapis.com/auth/userinfo.email"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    .decode()
    .rstrip("=")
)


@pytest.fixture
def web(world: GmailWorld) -> Any:
    """The client file's `web` part, of a client the world knows."""
    web = client_file(BASE, [CALLBACK])["web"]
    world.oauth.register(
        Client(web["client_id"], web["client_secret"], tuple(web["redirect_uris"]))
    )
    return web


def url(web: Any, **changes: Any) -> Any:
    query = {
        "client_id": web["client_id"],
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"openid email {READ} {SEND}",
        "state": "s1",
        "access_type": "offline",
        "prompt": "consent select_account",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "nonce": "n1",
    } | changes
    return f"{web['auth_uri']}?{urlencode({k: v for k, v in query.items() if v})}"


def answered(target: Any) -> Any:
    return {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}


def redeem(browser: Any, web: Any, code_: Any, /, **changes: Any) -> Any:
    form = {
        "grant_type": "authorization_code",
        "client_id": web["client_id"],
        "client_secret": web["client_secret"],
        "redirect_uri": CALLBACK,
        "code": code_,
        "code_verifier": VERIFIER,
    } | changes
    return browser.post(web["token_uri"], data=form)


def refresh(browser: Any, web: Any, token: Any, **changes: Any) -> Any:
    form = {
        "grant_type": "refresh_token",
        "client_id": web["client_id"],
        "client_secret": web["client_secret"],
        "refresh_token": token,
    } | changes
    return browser.post(web["token_uri"], data=form)


def connect(browser: Any, web: Any, account: Any = ANN, **changes: Any) -> Any:
    code = answered(consent(browser, url(web, **changes), account))["code"]
    return redeem(browser, web, code).json()


def test_consent_sends_the_browser_back_with_code_state_and_scopes(
    browser: Any, web: Any
) -> None:
    target = consent(browser, url(web), ANN)
    assert target.startswith(f"{CALLBACK}?")
    answer = answered(target)
    assert answer["state"] == "s1"
    assert set(answer["scope"].split()) == {"openid", EMAIL, READ, SEND}


def test_a_code_becomes_tokens_and_an_id_token_of_this_account(
    browser: Any, web: Any, clock: Any
) -> None:
    tokens = connect(browser, web)
    assert tokens["token_type"] == "Bearer"
    assert tokens["refresh_token"]
    keys = jwt.PyJWKSet.from_json(browser.get(web["auth_provider_x509_cert_url"]).text)
    kid = jwt.get_unverified_header(tokens["id_token"])["kid"]
    claims = jwt.decode(
        tokens["id_token"],
        keys[kid].key,
        algorithms=["RS256"],
        audience=web["client_id"],
        issuer="https://accounts.google.com",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["email"] == ANN
    assert claims["email_verified"] is True
    assert claims["hd"] == "acme.test"
    assert claims["nonce"] == "n1"
    assert claims["iat"] == int(clock.now.timestamp())


def test_a_consumer_account_has_no_hosted_domain(
    browser: Any, web: Any, world: GmailWorld
) -> None:
    world.add_account("jane@gmail.com")
    tokens = connect(browser, web, "jane@gmail.com")
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert "hd" not in claims


def test_the_access_token_opens_the_mailbox(browser: Any, web: Any) -> None:
    tokens = connect(browser, web)
    answer = browser.get(
        f"{BASE}/gmail/v1/users/me/profile",
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.json()["emailAddress"] == ANN


def test_deny_comes_back_as_access_denied(browser: Any, web: Any) -> None:
    target = consent(browser, url(web), ANN, deny=True)
    assert answered(target) == {"state": "s1", "error": "access_denied"}


def test_a_partial_consent_grants_only_what_was_ticked(browser: Any, web: Any) -> None:
    code = answered(consent(browser, url(web), ANN, scopes=[READ]))["code"]
    tokens = redeem(browser, web, code).json()
    assert set(tokens["scope"].split()) == {"openid", EMAIL, READ}
    answer = browser.post(
        f"{BASE}/gmail/v1/users/me/messages/send",
        json={"raw": "eA=="},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "http://sync.test/other"}, "redirect_uri_mismatch"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"code": "4/unknown"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_exchange_is_refused_and_spends_nothing(
    browser: Any, web: Any, change: Any, error: Any
) -> None:
    code = answered(consent(browser, url(web), ANN))["code"]
    answer = redeem(browser, web, code, **change)
    assert answer.json()["error"] == error
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert redeem(browser, web, code).status_code == 200


def test_a_code_that_comes_twice_ends_the_grant(browser: Any, web: Any) -> None:
    code = answered(consent(browser, url(web), ANN))["code"]
    tokens = redeem(browser, web, code).json()
    assert redeem(browser, web, code).json()["error"] == "invalid_grant"
    assert refresh(browser, web, tokens["refresh_token"]).status_code == 400


def test_a_code_expires(browser: Any, web: Any, clock: Any) -> None:
    code = answered(consent(browser, url(web), ANN))["code"]
    clock.pass_time(minutes=11)
    assert redeem(browser, web, code).json()["error"] == "invalid_grant"


def test_client_credentials_may_come_in_the_header(browser: Any, web: Any) -> None:
    code = answered(consent(browser, url(web), ANN))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    auth = (web["client_id"], web["client_secret"])
    assert browser.post(web["token_uri"], data=form, auth=auth).status_code == 200


def test_a_refresh_token_comes_with_the_first_consent_or_when_asked_again(
    browser: Any, web: Any
) -> None:
    assert "refresh_token" in connect(browser, web, prompt="")
    assert "refresh_token" not in connect(browser, web, prompt="select_account")
    assert "refresh_token" in connect(browser, web, prompt="consent")
    assert "refresh_token" not in connect(browser, web, access_type="online")


def test_what_was_allowed_before_is_not_asked_again(browser: Any, web: Any) -> None:
    connect(browser, web)
    answer = browser.get(url(web, prompt="", login_hint=ANN), allow_redirects=False)
    assert answer.status_code == 303
    assert "code=" in answer.headers["Location"]


def test_granted_scopes_can_be_included(browser: Any, web: Any) -> None:
    connect(browser, web, scope=READ)
    tokens = connect(browser, web, scope=SEND, include_granted_scopes="true")
    assert set(tokens["scope"].split()) == {READ, SEND}
    assert connect(browser, web, scope=SEND)["scope"] == SEND


def test_revoking_either_token_ends_the_whole_grant(browser: Any, web: Any) -> None:
    first, second = connect(browser, web), connect(browser, web)
    answer = browser.post(f"{BASE}/revoke", data={"token": first["access_token"]})
    assert answer.status_code == 200
    assert refresh(browser, web, second["refresh_token"]).status_code == 400
    answer = browser.get(
        f"{BASE}/gmail/v1/users/me/profile",
        headers={"Authorization": f"Bearer {second['access_token']}"},
    )
    assert answer.status_code == 401
    again = browser.post(f"{BASE}/revoke", data={"token": first["access_token"]})
    assert again.json()["error"] == "invalid_token"


def test_another_accounts_grant_outlives_a_revoke(browser: Any, web: Any) -> None:
    first, other = connect(browser, web), connect(browser, web, BOB)
    browser.post(f"{BASE}/revoke", data={"token": first["refresh_token"]})
    assert refresh(browser, web, other["refresh_token"]).status_code == 200


def test_a_password_change_ends_the_refresh_token(
    browser: Any, web: Any, world: GmailWorld
) -> None:
    tokens = connect(browser, web)
    world.change_password(ANN)
    answer = refresh(browser, web, tokens["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


def test_an_admin_block_is_invalid_grant_until_it_is_lifted(
    browser: Any, web: Any, world: GmailWorld
) -> None:
    tokens = connect(browser, web)
    account = world.account(ANN)
    world.oauth.block(account, "reauth related error (invalid_rapt)", "invalid_rapt")
    answer = refresh(browser, web, tokens["refresh_token"]).json()
    assert answer["error"] == "invalid_grant"
    assert answer["error_subtype"] == "invalid_rapt"
    world.oauth.unblock(account)
    assert refresh(browser, web, tokens["refresh_token"]).status_code == 200


def test_a_redirect_uri_must_be_registered_exactly(browser: Any, web: Any) -> None:
    answer = browser.get(url(web, redirect_uri=CALLBACK + "/"), allow_redirects=False)
    assert answer.status_code == 400
    assert "redirect_uri_mismatch" in answer.text


def test_the_account_is_chosen_on_a_page_unless_hinted(browser: Any, web: Any) -> None:
    page = browser.get(url(web)).text
    assert ANN in page
    assert BOB in page
    hinted = browser.get(url(web, prompt="consent", login_hint=BOB)).text
    assert BOB in hinted
    assert ANN not in hinted
    assert hinted.count('type="checkbox"') == 2


def test_an_address_without_an_account_gets_one_on_the_chooser(
    browser: Any, web: Any, world: GmailWorld
) -> None:
    page = browser.get(url(web) + "&account=new@acme.test&create=1").text
    assert "new@acme.test" in page
    assert world.account("new@acme.test")


def test_faults_strike_the_token_endpoint(
    browser: Any, web: Any, world: GmailWorld
) -> None:
    tokens = connect(browser, web)
    world.faults.add("status", method="oauth.token", status=503, count=1)
    assert refresh(browser, web, tokens["refresh_token"]).status_code == 503
    world.faults.add("drop_before", method="oauth.token", count=1)
    with pytest.raises(requests.ConnectionError):
        refresh(browser, web, tokens["refresh_token"])
    assert refresh(browser, web, tokens["refresh_token"]).status_code == 200


def test_consent_passes_through_the_clients_own_page_first(
    app: Any, browser: Any, web: Any
) -> None:
    def own(environ: Any, start_response: Any) -> Any:
        start_response("302 Found", [("Location", url(web))])
        return [b""]

    browser.mount("http://sync.test", WsgiAdapter(own))
    assert answered(consent(browser, "http://sync.test/start", ANN))["code"]


def test_the_client_file_is_what_googles_libraries_read(web: Any) -> None:
    text = json.dumps(client_file(BASE + "/", [CALLBACK]))
    assert json.loads(text)["web"]["token_uri"] == f"{BASE}/token"
    assert web["redirect_uris"] == [CALLBACK]
