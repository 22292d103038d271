"""The OpenAPI 3.1 document, made from the table and the models that the routes use."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.http import fields, problems, reading_bodies
from functions.http.models import service
from functions.http.routing import Route
from shared.core.access import Authority

_REF = "#/components/schemas/{model}"
_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}

_ALWAYS = ("bad_request", "internal_error")
_OF_CALLERS = (
    "unauthenticated",
    "conflict",
    "rate_limited",
    "temporarily_unavailable",
)
_OF_IDS = ("forbidden", "not_found", "invalid_request")
_OF_BODIES = (
    "invalid_json",
    "payload_too_large",
    "unsupported_media_type",
    "invalid_request",
)


_MAY_CALL = {
    Authority.PUBLIC: "Needs no token.",
    Authority.BACKEND: "For the CRM's backend only.",
    Authority.DEPLOYMENT: (
        "For the CRM's backend only, with `deployment: true` in its token: this "
        "concerns no single subaccount."
    ),
    Authority.OWN_USER: "For the CRM's backend, and for the user in the path.",
    Authority.OWN_SENDS: (
        "For the CRM's backend. A user's token sends `individual` email as that user."
    ),
    Authority.OWN_MAILBOX: (
        "For the CRM's backend. A user's token shows what concerns that user's mailbox."
    ),
}


@functools.cache
def as_json(routes: tuple[Route, ...]) -> str:
    """The document as text."""
    return json.dumps(document(routes), indent=1)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document: nothing in it that a route does not do."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gmail two-way sync",
            "version": "1",
            "description": _description(),
        },
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "callerToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        "HS256, `iss` crm, `aud` gmail-sync, `exp` at most an hour "
                        "ahead, `sub` (a user id, or `crm`), `subaccounts`, and for "
                        "calls that concern no subaccount `deployment: true`."
                    ),
                }
            },
        },
    }


def _description() -> str:
    codes = "\n".join(
        f"- `{name}` ({code.status}): {code.meaning}"
        for name, code in problems.CODES.items()
    )
    return (
        "Two-way sync between a CRM and its users' Gmail. Refusals are problem "
        f"documents (RFC 9457) with one of these codes:\n\n{codes}"
    )


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    taken: dict[type[BaseModel], str] = {}
    for route in routes:
        for model in (route.body, route.lines, route.query, route.multipart):
            if model is not None:
                taken[model] = "validation"
        if isinstance(route.answers, type):
            taken[route.answers] = "serialization"
    wanted = [*taken.items(), (service.ProblemDocument, "serialization")]
    _, generated = models_json_schema(wanted, ref_template=_REF)  # type: ignore[arg-type]
    schemas: dict[str, Any] = generated["$defs"]
    schemas["ProblemDocument"]["properties"]["code"]["enum"] = sorted(problems.CODES)
    for query in {route.query for route in routes if route.query}:
        schemas.pop(query.__name__, None)
    return schemas


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__.lstrip("_"),
        "summary": route.summary,
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route),
            *_header_parameters(route),
        ],
        "responses": _responses(route),
        "description": _MAY_CALL[route.authority],
        "security": []
        if route.authority is Authority.PUBLIC
        else [{"callerToken": []}],
    }
    if route.body is not None:
        required = any(
            model_field.is_required()
            for model_field in route.body.model_fields.values()
        )
        schema = {"$ref": _REF.format(model=route.body.__name__)}
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": schema}},
        }
    if route.multipart is not None:
        content = _form(route.multipart)
        operation["requestBody"] = {"required": True, "content": content}
    if route.lines is not None:
        line = _REF.format(model=route.lines.__name__)
        schema = {
            "type": "string",
            "description": f"One JSON object a line, each as in {line}.",
        }
        operation["requestBody"] = {
            "required": False,
            "content": {
                line_type: {"schema": schema} for line_type in reading_bodies.LINE_TYPES
            },
        }
    return operation


def _form(model: type[BaseModel]) -> dict[str, Any]:
    """A body that comes as JSON, or as form data with files beside it."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    form = {
        "type": "object",
        "required": ["message"],
        "properties": {
            "message": schema,
            "attachment": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": (
                    "25 MiB in all. A `Content-ID` on a part, or else its file name, "
                    "is what `cid:` in the HTML refers to."
                ),
            },
        },
    }
    return {
        "application/json": {"schema": schema},
        "multipart/form-data": {
            "schema": form,
            "encoding": {"message": {"contentType": "application/json"}},
        },
    }


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": True,
            "schema": {"type": "string", "pattern": fields.KEY_PATTERN},
        }
        for name in route.headers
    ]


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": fields.ID_PATTERN},
        }
        for name in route.parameters
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(mode="validation")
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(property_schema),
        }
        for name, property_schema in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string cannot say null: left out is left out."""
    choices = [
        choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}
    ]
    left = {
        key: value for key, value in schema.items() if key not in {"anyOf", "default"}
    }
    default = schema.get("default")
    return {
        **left,
        **(choices[0] if choices else {}),
        **({"default": default} if default is not None else {}),
    }


def _responses(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in sorted(_codes(route)):
        by_status[problems.CODES[code].status].append(code)
    return {
        **_good(route),
        **{
            str(status): {
                "description": "; ".join(
                    f"`{code}`: {problems.CODES[code].meaning}" for code in codes
                ),
                "content": {
                    problems.MEDIA_TYPE: {
                        "schema": {
                            "allOf": [
                                _PROBLEM,
                                {"properties": {"code": {"enum": codes}}},
                            ]
                        }
                    }
                },
            }
            for status, codes in sorted(by_status.items())
        },
    }


def _good(route: Route) -> dict[str, Any]:
    if route.answers is None:
        return {"204": {"description": "Done"}}
    if isinstance(route.answers, str):
        # The bytes of a download have the type of the attachment.
        media = "*/*" if route.answers == "application/octet-stream" else route.answers
        return {"200": {"description": "Done", "content": {media: {}}}}
    schema = {"$ref": _REF.format(model=route.answers.__name__)}
    return {
        str(route.status): {
            "description": "Done",
            "content": {"application/json": {"schema": schema}},
        }
    }


def _codes(route: Route) -> set[str]:
    codes = {*_ALWAYS, *route.problems}
    if route.authority is not Authority.PUBLIC:
        codes.update((*_OF_CALLERS, "backend_only"))
    if route.authority is Authority.DEPLOYMENT:
        codes.add("deployment_only")
    if route.parameters:
        codes.update(_OF_IDS)
    if route.body or route.lines or route.multipart:
        codes.update(_OF_BODIES)
    if route.query is not None:
        codes.update(("invalid_request", "invalid_page_token"))
    if route.authority is not Authority.PUBLIC or route.query is None:
        codes.add("invalid_request")
    return codes
