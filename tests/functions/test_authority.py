"""Who may make which call: every route, with every kind of token.

The table is written by hand from the contract, and not from the routes, so that a route
that declares too much authority is found.
"""

from __future__ import annotations

from typing import Any

import pytest

from functions.http.routing import Route
from functions.http.table import ROUTES
from shared.core.access import Authority
from tests.support.api import Api, token

S, U = "/v1/subaccounts/{subaccount}", "/v1/users/{user}/connection"

A_USERS_OWN = {
    ("POST", U),
    ("GET", U),
    ("DELETE", U),
    ("PATCH", f"{S}/users/{{user}}"),
    ("POST", f"{S}/users/{{user}}/bcc-address:rotate"),
    ("POST", f"{S}/messages"),
    ("GET", f"{S}/decisions"),
}
OF_THE_DEPLOYMENT = {
    (method, "/v1/logging-mailbox/connection") for method in ("POST", "GET", "DELETE")
}
PUBLIC = {("GET", "/openapi.json"), ("GET", "/health"), ("GET", "/health")}


def path_of(route: Route, subaccount: str, user: str) -> str:
    filled = route.path.replace("{subaccount}", subaccount).replace("{user}", user)
    return filled.replace("{", "").replace("}", "")


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_a_route_without_authority_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="authority"):
        Route("GET", "/v1/x", lambda _call: None, "x", None)  # type: ignore[call-arg]


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_users_token_reaches_only_what_is_the_users(api: Api, route: Route) -> None:
    """Nothing is read for the refusal: the body is broken, the ids are unknown."""
    call = (route.method, route.path)
    if call in PUBLIC:
        assert route.authority is Authority.PUBLIC
        return
    own = call in A_USERS_OWN
    for subaccount in ("a", "nowhere", "b%20c"):
        api.token = token(["a"], "u1")
        refused = api.call(
            route.method, path_of(route, subaccount, "u1"), data=b"{", headers={}
        )
        code = refused.json["code"]
        if not own:
            assert (refused.status_code, code) == (403, "backend_only")
        elif subaccount == "a" or "{subaccount}" not in route.path:
            assert code != "backend_only"
        else:
            assert (refused.status_code, code) == (403, "forbidden")
    if own and "{user}" in route.path:
        refused = api.call(route.method, path_of(route, "a", "u2"), data=b"{")
        assert (refused.status_code, refused.json["code"]) == (403, "backend_only")


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_the_backend_reaches_all_but_the_deployment(api: Api, route: Route) -> None:
    api.token = token(["a"])
    response = api.call(route.method, path_of(route, "a", "u1"), data=b"{")
    refused = response.status_code == 403
    assert refused == ((route.method, route.path) in OF_THE_DEPLOYMENT)
    if refused:
        assert response.json["code"] == "deployment_only"
        assert "deployment" in response.json["detail"]


@pytest.mark.parametrize("kind", ["bulk", "workflow"])
@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_users_token_sends_no_bulk_whatever_else_is_wrong(
    api: Api, kind: str, form: str
) -> None:
    api.put("/v1/subaccounts/a", {"name": "A"})
    api.token = token(["a"], "u1")
    text = f'{{"kind": "{kind}", "user": "u1", "nonsense": true}}'
    body: dict[str, Any] = (
        {"data": text, "headers": {"Content-Type": "application/json"}}
        if form == "json"
        else {"data": {"message": text}, "content_type": "multipart/form-data"}
    )
    body.setdefault("headers", {})["Idempotency-Key"] = "k"
    refused = api.call("POST", "/v1/subaccounts/a/messages", **body)
    assert (refused.status_code, refused.json["code"]) == (403, "backend_only")


def test_a_users_token_sends_as_nobody_else(api: Api) -> None:
    api.put("/v1/subaccounts/a", {"name": "A"})
    api.token = token(["a"], "u1")
    body = {"kind": "individual", "user": "u2", "to": []}
    headers = {"Idempotency-Key": "k"}
    refused = api.call("POST", "/v1/subaccounts/a/messages", body, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (403, "backend_only")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/subaccounts/a/users/crm", {"name": "x", "email": "x@y.zz"}),
        ("GET", "/v1/users/crm/connection", None),
        ("POST", "/v1/users/crm/connection", {}),
        (
            "PUT",
            "/v1/subaccounts/a/contacts/c",
            {"name": "x", "emails": ["x@y.zz"], "assigned_to": "crm"},
        ),
    ],
)
def test_no_user_is_called_crm(api: Api, method: str, path: str, body: Any) -> None:
    api.put("/v1/subaccounts/a", {"name": "A"})
    refused = api.call(method, path, body)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")
    assert "crm" in refused.json["errors"][0]["detail"]


def test_an_import_row_assigned_to_crm_is_refused(api: Api) -> None:
    api.put("/v1/subaccounts/a", {"name": "A"})
    row = {"id": "c", "name": "x", "emails": ["x@y.zz"], "assigned_to": "crm"}
    done = api.import_rows("/v1/subaccounts/a/contacts:import", [row]).json
    assert done["imported"] == 0
    assert done["failed"][0]["code"] == "invalid_request"


@pytest.mark.parametrize("sub", ["CRM", "crm.", "crm~", "Crm"])
def test_a_sub_that_looks_like_the_backend_is_a_user(api: Api, sub: str) -> None:
    api.token = token(["a"], sub, deployment=True)
    assert api.call("GET", "/v1/quarantine").json["code"] == "backend_only"
    logging = api.call("GET", "/v1/logging-mailbox/connection")
    assert logging.json["code"] == "backend_only"
