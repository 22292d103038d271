"""The OpenAPI document is valid, and is what the routes really do."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.http import problems
from functions.http.table import ROUTES
from tests.support.api import Api


@pytest.fixture
def document(api: Api) -> Any:
    api.token = None
    return api.get("/openapi.json")


def test_the_document_is_valid(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_documented_and_nothing_else(document: Any) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))


def test_every_code_is_documented(document: Any) -> None:
    listed = document["components"]["schemas"]["ProblemDocument"]["properties"]["code"]
    assert listed["enum"] == sorted(problems.CODES)
    for route in ROUTES:
        assert set(route.problems) <= set(problems.CODES)


def test_every_reference_leads_somewhere(document: Any) -> None:
    text = json.dumps(document)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in document["components"]["schemas"]


def test_only_health_and_the_document_are_public(document: Any) -> None:
    public = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if operation["security"] == []
    }
    assert public == {"/health", "/openapi.json"}


def check_answer(document: Any, method: Any, template: Any, answer: Any) -> None:
    """Hold a real answer to its documented schema."""
    responses = document["paths"][template][method.lower()]["responses"]
    described = responses[str(answer.status_code)]
    if "content" not in described:
        assert answer.data == b""
        return
    schema = described["content"][answer.mimetype].get("schema")
    if schema is not None:
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.validator_for(whole).validate(answer.json)
