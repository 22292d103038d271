"""A generator that reads our own OpenAPI document tries to break the service."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.http.reading_bodies import LINE_TYPES
from functions.http.table import ROUTES
from shared import bootstrap
from shared.core.access import Authority
from shared.errors import Problem
from tests.support import api as support

schemathesis.serializer.alias(list(LINE_TYPES), "text/plain")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

# The backend, and a user; then nobody, and two who are not let in.
GOOD = [f"Bearer {support.token(['a'], sub)}" for sub in ("crm", "u1")]
BAD = [None, "Basic dTpw", f"Bearer {support.token(['a'], key=b'x' * 32)}"]


@pytest.fixture(scope="module")
def schema() -> Any:
    app = support.app("api")
    found = support.Api(support.Memory(), app)

    class Connections:
        def begin(self, user: Any, return_to: Any = None) -> Any:
            return "https://sync.example.com/oauth/start?flow=f"

        def view(self, user: str) -> Any:
            raise Problem(404, "not_connected", "Never connected.")

        def disconnect(self, user: str) -> None:
            return None

        def disconnect_outside(self, user: str, leaving: str | None = None) -> None:
            return None

        def mailbox_of(self, user: str) -> Any:
            raise Problem(404, "not_connected", "Never connected.")

    found.services.__dict__["connections"] = Connections()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "services", lambda: found.services)
        found.put("/v1/subaccounts/a", {"name": "A"})
        yield schemathesis.openapi.from_wsgi("/openapi.json", app)


def test_every_operation_of_the_served_document_is_called(schema: Any) -> None:
    served = {
        (method.upper(), path)
        for path, item in schema.raw_schema["paths"].items()
        for method in item.keys() - {"parameters", "summary", "description"}
    }
    assert served == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name)
@pytest.mark.parametrize(
    "route", ROUTES, ids=lambda route: f"{route.method} {route.path}"
)
def test_generated_calls_are_answered_as_documented(
    schema: Any, route: Any, mode: Any
) -> None:
    operation = schema[route.path][route.method]
    if mode is GenerationMode.NEGATIVE and not (route.parameters or route.query):
        pytest.skip("nothing in this call can be wrong")

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        authorization=st.sampled_from([*GOOD, *GOOD, *GOOD, *BAD]),
    )
    def generated(case: Any, authorization: str | None) -> None:
        if "subaccount" in case.path_parameters:
            case.path_parameters["subaccount"] = "a"
        # Such a path names another call, or none: routing refuses it before anybody is
        # asked who they are.
        assume(
            not any(
                set("\n\r/:") & set(unquote(str(value)))
                or unquote(str(value)) in {"", ".", ".."}
                for value in case.path_parameters.values()
            )
        )
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        if authorization in BAD and route.authority is not Authority.PUBLIC:
            assert answer.status_code == 401

    generated()
