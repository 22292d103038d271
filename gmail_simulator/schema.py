"""Check answers against the schemas of the discovery document.

For tests: an answer with a field that the real API does not have is a defect of the
simulator, so it raises instead of reaching the client.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from . import discovery

_FORMATS: dict[str, dict[str, Any]] = {
    "uint64": {"type": "string", "pattern": r"^\d+$"},
    "int64": {"type": "string", "pattern": r"^-?\d+$"},
    "byte": {"type": "string", "pattern": r"^[A-Za-z0-9_\-+/]*={0,2}$"},
    "uint32": {"type": "integer", "minimum": 0},
    "int32": {"type": "integer"},
}


class SchemaMismatch(AssertionError):  # reads as what it is
    """An answer does not fit the schema of the API."""


def validate_resource(name: str, resource: Any) -> None:
    """Raise `SchemaMismatch` unless this is a resource of the API."""
    payloads: list[dict[str, Any]] = []
    _check(name, _without_parts(resource, payloads))
    # part trees nest deeper than a recursive validator can follow
    while payloads:
        part = payloads.pop()
        payloads.extend(part.get("parts", ()))
        _check("MessagePart", {k: v for k, v in part.items() if k != "parts"})


def _check(name: str, resource: Any) -> None:
    error = next(_validator(name).iter_errors(resource), None)
    if error is not None:
        where = "/".join(str(step) for step in error.absolute_path)
        raise SchemaMismatch(f"{name} at /{where}: {error.message}")


def _without_parts(value: Any, payloads: list[dict[str, Any]]) -> Any:
    """Copy a resource without its part trees; these go to `payloads`."""
    if isinstance(value, list):
        return [_without_parts(item, payloads) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("payload"), dict):
        payloads.append(value["payload"])
        value = {k: v for k, v in value.items() if k != "payload"}
    return {k: _without_parts(v, payloads) for k, v in value.items()}


@cache
def _validator(name: str) -> Draft202012Validator:
    defs = {
        key: _convert(schema) for key, schema in discovery.document()["schemas"].items()
    }
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": defs})


def _convert(schema: dict[str, Any]) -> dict[str, Any]:
    """Turn one schema of the discovery document into JSON Schema."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    converted: dict[str, Any] = {"type": schema["type"]}
    if "enum" in schema:
        converted["enum"] = schema["enum"]
    if "items" in schema:
        converted["items"] = _convert(schema["items"])
    if schema["type"] == "object":
        fields = schema.get("properties", {})
        converted["properties"] = {
            key: _convert(value) for key, value in fields.items()
        }
        converted["additionalProperties"] = False
    return converted
