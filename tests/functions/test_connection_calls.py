"""DELETE of a connection and of its user, over the API (C6)."""

from __future__ import annotations

from typing import Any

import pytest

from shared import bootstrap
from shared.core.ids import UserId
from tests.support.api import KEY, Api, token
from tests.support.system import System

ME = "rep@ours.example"
CONNECTION = "/v1/users/u/connection"


@pytest.fixture
def system(wsgi: Any, monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    system.outside.secrets.write("api-signing-key", KEY)
    for s in ("s", "t"):
        system.subaccount(s)
        system.user("u", ME, s=s)
    system.connect("u", ME)
    return system


def caller(system: System, wsgi: Any, *subaccounts: str, sub: str = "crm") -> Api:
    api = Api(system.outside, wsgi)
    api.token = token(list(subaccounts), sub, now=system.clock.now())
    return api


def status(system: System) -> str:
    return str(system.services.connections.view(UserId("u"))["status"])


def test_c6_delete_ends_the_connection_and_can_be_repeated(
    system: System, wsgi: Any
) -> None:
    api = caller(system, wsgi, "s")
    for _ in range(2):
        answer = api.call("DELETE", CONNECTION)
        assert (answer.status_code, answer.data) == (204, b"")
    assert api.get(CONNECTION)["status"] == "disconnected"
    assert [n for n in system.outside.secrets.names() if "gmail-token" in n] == []


@pytest.mark.parametrize(
    ("subaccounts", "sub", "code"),
    [(["other"], "crm", 404), ([], "crm", 404), (["s"], "v", 403), (["x"], "u", 404)],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_token_of_another_tenant_or_user_touches_nothing(
    system: System, wsgi: Any, method: str, subaccounts: list[str], sub: str, code: int
) -> None:
    api = caller(system, wsgi, *subaccounts, sub=sub)
    body = {} if method == "POST" else None
    answer = api.call(method, CONNECTION, body)
    assert answer.status_code == code
    assert ME not in answer.text
    assert status(system) == "active"


def test_a_user_ends_the_own_connection(system: System, wsgi: Any) -> None:
    assert (
        caller(system, wsgi, "s", sub="u").call("DELETE", CONNECTION).status_code == 204
    )
    assert status(system) == "disconnected"


def test_deleting_the_user_in_the_last_subaccount_ends_the_connection(
    system: System, wsgi: Any
) -> None:
    api = caller(system, wsgi, "s", "t")
    assert api.call("DELETE", "/v1/subaccounts/s/users/u").status_code == 204
    assert status(system) == "active"
    assert api.call("DELETE", "/v1/subaccounts/t/users/u").status_code == 204
    assert status(system) == "disconnected"
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0
