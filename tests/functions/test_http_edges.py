"""Broken requests and broken surroundings: always a problem, never a leak."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import (
    Conflict,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    Transient,
    Unauthenticated,
)
from shared.ports import Put
from tests.support.api import Api, Memory, token

CANARY = "canary-secret@example.org"


def put(
    api: Api, data: Any, content_type: Any = "application/json", **more: Any
) -> Any:
    headers = {"Content-Type": content_type, **more}
    return api.call("PUT", "/v1/subaccounts/a", data=data, headers=headers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "A", "name": "B"}',
        b'{"name": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"name": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"{} {}",
    ],
    ids=range(14),
)
def test_what_is_not_one_json_object_is_refused(api: Api, data: Any) -> None:
    answer = put(api, data)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"],
)
def test_another_media_type_is_refused(api: Api, content_type: Any) -> None:
    answer = put(api, b'{"name": "A"}', content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_charset_does_no_harm(api: Api) -> None:
    assert (
        put(api, b'{"name": "A"}', "application/json; charset=utf-8").status_code == 200
    )


def test_a_big_body_is_refused_without_being_read(api: Api) -> None:
    answer = put(api, b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")


def test_a_big_body_of_a_stranger_is_not_read(api: Api) -> None:
    class Body:
        taken = 0

        def read(self, size: Any = -1) -> Any:
            Body.taken += size
            return b"x" * max(size, 0)

    api.token = None
    overrides = {"wsgi.input": Body(), "CONTENT_LENGTH": str(30 * 1024 * 1024)}
    answer = api.call("PUT", "/v1/subaccounts/a", environ_overrides=overrides)
    assert answer.status_code == 401
    assert answer.json["code"] == "unauthenticated"
    assert Body.taken == 0


def test_an_import_that_is_too_big_is_refused(api: Api) -> None:
    answer = api.call(
        "POST",
        "/v1/subaccounts/a/contacts:import",
        data=b" " * (33 * 1024 * 1024),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/subaccounts", "/v1/subaccounts/a/"])
def test_an_unknown_path_is_a_problem(api: Api, path: str) -> None:
    answer = api.call("GET", path)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_another_method_names_the_allowed_ones(api: Api) -> None:
    answer = api.call("PATCH", "/v1/subaccounts/a/contacts/c1")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, PUT"


def test_a_verb_is_no_part_of_an_id(api: Api) -> None:
    answer = api.call("PUT", "/v1/subaccounts/a/contacts/c1:unknown", {"name": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Transient(), 503, "temporarily_unavailable"),
        (RateLimited(retry_after=7.2), 503, "rate_limited"),
        (Conflict(), 503, "conflict"),
        (NeedsReauth(), 409, "reauth_required"),
        (Unauthenticated(), 403, "forbidden"),
        (Permanent(CANARY), 500, "internal_error"),
        (Misconfigured(CANARY), 500, "internal_error"),
        (ValueError(CANARY), 500, "internal_error"),
        (RecursionError(CANARY), 500, "internal_error"),
        (MemoryError(CANARY), 500, "internal_error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_fault_becomes_a_problem_that_leaks_nothing(
    api: Api,
    gateways: Memory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Any,
    status: int,
    code: str,
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(gateways.documents, "get", fail)
    answer = api.call("GET", "/v1/subaccounts/a")
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "code"}
    logged = capsys.readouterr()
    assert "canary" not in answer.text + logged.out + logged.err
    assert "Traceback" not in logged.out + logged.err
    if status == 503:
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_missing_signing_key_is_our_fault(api: Api, gateways: Memory) -> None:
    gateways.secrets.destroy("api-signing-key")
    gateways.clock.pass_seconds(61)
    api.token = token()
    answer = api.call("GET", "/v1/subaccounts/a")
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")


def test_every_answer_forbids_caching_and_sniffing(api: Api) -> None:
    for path in ("/health", "/v1/subaccounts/a", "/nowhere"):
        answer = api.call("GET", path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_health_needs_no_token(api: Api) -> None:
    api.token = None
    well = {"status": "ok", "checked_at": None, "issues": {}}
    assert api.get("/health") == well


def test_e6_health_says_what_the_last_sweep_found(api: Api, gateways: Any) -> None:
    found = {"at": 1_772_442_000_000, "issues": {"watch_expiring": 2}}
    gateways.documents.commit([Put("health/overall", found)])
    assert api.get("/health") == {
        "status": "degraded",
        "checked_at": "2026-03-02T09:00:00Z",
        "issues": {"watch_expiring": 2},
    }


def test_a_call_is_logged_by_route_and_trace_with_nothing_private(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(
        "/v1/subaccounts/a/contacts/c9",
        {"name": "Canary", "emails": ["canary@example.org"]},
    )
    capsys.readouterr()
    api.call(
        "GET",
        "/v1/subaccounts/a/decisions?address=canary@example.org",
        headers={"X-Cloud-Trace-Context": "0" * 31 + "a/1;o=1"},
    )
    logged = capsys.readouterr()
    (line,) = [json.loads(item) for item in logged.out.splitlines()]
    assert line == {
        "severity": "INFO",
        "message": "call_answered",
        "logging.googleapis.com/trace": f"projects/test-project/traces/{'0' * 31}a",
        "code": None,
        "duration_ms": line["duration_ms"],
        "method": "GET",
        "route": "/v1/subaccounts/{subaccount}/decisions",
        "status": 200,
    }
    assert logged.err == ""
