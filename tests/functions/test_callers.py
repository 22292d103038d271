"""Who may call, and what a caller never learns."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from functions.http.table import ROUTES
from shared.core.access import Authority
from tests.support.api import KEY, START, Api, Memory, token

NOW = int(START.timestamp())


def unsigned(claims: Any) -> Any:
    def part(value: Any) -> Any:
        return (
            base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
        )

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


GOOD = {
    "iss": "crm",
    "aud": "gmail-sync",
    "sub": "crm",
    "subaccounts": ["a"],
    "exp": NOW + 600,
}

BAD_TOKENS = {
    "none": None,
    "empty": "",
    "garbage": "abc",
    "dots": "..",
    "unsigned": unsigned(GOOD),
    "another key": token(key=b"x" * 32),
    "HS512": jwt.encode(GOOD, b"k" * 64, algorithm="HS512"),
    "same key, HS384": jwt.encode(GOOD, KEY * 2, algorithm="HS384"),
    "no exp": token(exp=...),
    "exp is text": token(exp="9999999999"),
    "exp is true": token(exp=True),
    "exp is infinite": token(exp=float("inf")),
    "expired": token(exp=NOW),
    "expired a second ago": token(exp=NOW - 1),
    "too far ahead": token(exp=NOW + 3600 + 10),
    "far too far ahead": token(exp=10**30),
    "not yet valid": token(nbf=NOW + 60),
    "wrong issuer": token(iss="evil"),
    "no issuer": token(iss=...),
    "wrong audience": token(aud="other"),
    "no audience": token(aud=...),
    "no sub": token(sub=...),
    "empty sub": token(sub=""),
    "odd sub": token(sub="a b"),
    "no subaccounts": token(subaccounts=...)
    if False
    else jwt.encode(
        {k: v for k, v in GOOD.items() if k != "subaccounts"}, KEY, algorithm="HS256"
    ),
    "subaccounts is text": jwt.encode({**GOOD, "subaccounts": "a"}, KEY),
    "subaccounts holds a number": jwt.encode({**GOOD, "subaccounts": [1]}, KEY),
    "sub of a reserved form": token(sub="__x__"),
    "sub of dots": token(sub=".."),
    "sub with a line break": token(sub="crm\n"),
    "sub with an at sign": token(sub="@logging"),
    "deployment is text": token(deployment="true"),
    "very long": "a" * 10_000,
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused_and_told_nothing(api: Api, name: str) -> None:
    api.token = BAD_TOKENS[name]
    answer = api.call("GET", "/v1/subaccounts/a")
    assert answer.status_code == 401
    assert answer.json["code"] == "unauthenticated"
    assert answer.json["detail"] == "The request carries no valid bearer token."
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_for_a_whole_hour_is_good(api: Api) -> None:
    api.token = token(exp=NOW + 3600, iat=NOW + 50)
    assert api.call("GET", "/v1/subaccounts/a").status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_another_scheme_is_refused(api: Api, scheme: Any) -> None:
    headers = {"Authorization": f"{scheme} {token()}".strip()}
    assert api.call("GET", "/v1/subaccounts/a", headers=headers).status_code == 401


def test_every_enabled_key_counts_and_a_new_one_at_once(
    api: Api, gateways: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [b"n" * 32, KEY]
    monkeypatch.setattr(gateways.secrets, "read_all", lambda name: list(keys))
    api.token = token(key=b"n" * 32)
    gateways.clock.pass_seconds(6)
    assert api.call("GET", "/v1/subaccounts/a").status_code == 200
    api.token = token()
    assert api.call("GET", "/v1/subaccounts/a").status_code == 200


def test_a_destroyed_key_stops_within_a_minute(api: Api, gateways: Memory) -> None:
    api.call("GET", "/v1/subaccounts/a")
    gateways.secrets.write("api-signing-key", b"n" * 32)
    gateways.clock.pass_seconds(61)
    assert api.call("GET", "/v1/subaccounts/a").status_code == 401


def test_bad_tokens_do_not_make_us_read_secrets_each_time(
    api: Api, gateways: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    real = gateways.secrets.read_all
    monkeypatch.setattr(
        gateways.secrets, "read_all", lambda name: reads.append(name) or real(name)
    )
    api.token = token(key=b"x" * 32)
    for _ in range(50):
        assert api.call("GET", "/v1/subaccounts/a").status_code == 401
    assert len(reads) <= 1


@pytest.mark.parametrize(
    "key", [b"short", b"development-only-signing-key-never-deploy-this"]
)
def test_a_deployment_refuses_a_weak_or_development_key(
    api: Api, gateways: Memory, key: Any
) -> None:
    from shared.services.auth.authentication import Authentication

    gateways.secrets.write("api-signing-key", key)
    authentication = Authentication(gateways.secrets, gateways.clock, development=False)
    from shared.errors import Misconfigured

    with pytest.raises(Misconfigured):
        authentication.caller(f"Bearer {token(key=KEY)}")


def test_one_machine_takes_the_development_key(gateways: Memory) -> None:
    from shared.services.auth.authentication import Authentication

    key = b"development-only-signing-key-never-deploy-this"
    gateways.secrets.write("api-signing-key", key)
    authentication = Authentication(gateways.secrets, gateways.clock, development=True)
    assert authentication.caller(f"Bearer {token(key=key)}").is_backend


def test_a_foreign_subaccount_answers_the_same_whether_it_exists(api: Api) -> None:
    api.token = token(["a"])
    answers = {
        (item.status_code, item.text)
        for s in ("b", "nowhere", "b%20c")
        for item in [api.call("GET", f"/v1/subaccounts/{s}")]
    }
    assert len(answers) == 1
    ((status, _),) = answers
    assert status == 403


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.authority is not Authority.PUBLIC],
    ids=lambda r: f"{r.method} {r.path}",
)
def test_every_call_wants_a_token_before_anything_else(api: Api, route: Any) -> None:
    api.token = None
    path = route.path.replace("{subaccount}", "b").replace("{", "").replace("}", "")
    answer = api.call(
        route.method, path, data=b"{", headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "route",
    [item for item in ROUTES if "{subaccount}" in item.path],
    ids=lambda r: f"{r.method} {r.path}",
)
def test_every_call_in_a_foreign_subaccount_is_forbidden(api: Api, route: Any) -> None:
    api.token = token(["a"])
    path = route.path.replace("{subaccount}", "b").replace("{", "").replace("}", "")
    answer = api.call(route.method, path, data=b"{")
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


# --- connections ------------------------------------------------------------------


@pytest.fixture
def connections(api: Api) -> Any:
    """A stand-in for the use case: only who gets through matters here."""

    class Connections:
        def begin(self, user: Any, return_to: Any = None) -> Any:
            return f"https://sync.example.com/oauth/start?flow={user}"

        def view(self, user: Any) -> Any:
            return {
                "user": user,
                "address": "uma@gmail.example",
                "status": "reauth_required",
                "connected_at": "2026-11-02T09:30:00Z",
                "watch_expires_at": None,
                "last_synced_at": None,
                "sends_left_today": 500,
                "warnings": [],
                "bcc_addresses": {},
                "sync": {},
            }

    api.services.__dict__["connections"] = Connections()
    for s, u in (("a", "u1"), ("b", "u2")):
        api.put(
            f"/v1/subaccounts/{s}/users/{u}", {"name": u, "email": f"{u}@example.com"}
        )
    return api


@pytest.mark.parametrize(
    ("sub", "subaccounts", "user", "status"),
    [
        ("crm", ["a"], "u1", 200),
        ("crm", ["a", "b"], "u2", 200),
        ("crm", ["a"], "u2", 404),
        ("crm", ["a"], "unknown", 404),
        ("crm", [], "u1", 404),
        ("u1", ["a"], "u1", 200),
        ("u1", ["b"], "u1", 404),
        ("u1", ["a", "b"], "u2", 403),
        ("u1", ["a"], "unknown", 403),
    ],
)
def test_who_may_touch_a_connection(
    connections: Api, sub: Any, subaccounts: Any, user: Any, status: int
) -> None:
    connections.token = token(subaccounts, sub)
    path = f"/v1/users/{user}/connection"
    assert connections.call("GET", path).status_code == status
    assert connections.call("POST", path, {}).status_code == status
    assert connections.call("POST", path).status_code == status


def test_a_foreign_user_answers_as_an_unknown_one(connections: Api) -> None:
    connections.token = token(["a"])
    known = connections.call("GET", "/v1/users/u2/connection")
    unknown = connections.call("GET", "/v1/users/nobody/connection")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
