"""The API's own description: its routes, its scopes, and the schemas of its answers.

Everything comes from the discovery document that the client library ships, so that the
simulator cannot drift from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient.discovery_cache

_UPLOAD_PREFIXES = ("resumable/upload/", "upload/")


@dataclass(frozen=True)
class Method:
    """One method of the API."""

    id: str
    http_method: str
    segments: tuple[str, ...]
    query: frozenset[str]
    required: frozenset[str]
    request: str | None
    response: str | None
    uploads: bool
    scopes: frozenset[str]


@cache
def document() -> dict[str, Any]:
    """Return the discovery document of Gmail v1."""
    folder = Path(next(iter(googleapiclient.discovery_cache.__path__)))
    text = (folder / "documents" / "gmail.v1.json").read_text("utf-8")
    described: dict[str, Any] = json.loads(text)
    return described


@cache
def common_parameters() -> frozenset[str]:
    """Return the query parameters that every method takes."""
    return frozenset(document()["parameters"]) | {"upload_id"}


def find(http_method: str, path: str) -> tuple[Method, dict[str, str], bool] | None:
    """Return the method at a path, the path's parameters, and if it is an upload."""
    path = path.lstrip("/")
    upload = False
    for prefix in _UPLOAD_PREFIXES:
        if path.startswith(prefix):
            path, upload = path[len(prefix) :], True
            break
    pieces = path.split("/")
    for method in _by_shape().get((http_method, len(pieces)), ()):
        values = _match(method.segments, pieces)
        if values is not None and (method.uploads or not upload):
            return method, values, upload
    return None


def properties(schema: str) -> frozenset[str]:
    """Return the field names of a resource."""
    return frozenset(document()["schemas"][schema]["properties"])


def _match(segments: tuple[str, ...], pieces: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for segment, piece in zip(segments, pieces, strict=True):
        if segment.startswith("{"):
            values[segment[1:-1]] = piece
        elif segment != piece:
            return None
    return values


@cache
def _by_shape() -> dict[tuple[str, int], list[Method]]:
    shapes: dict[tuple[str, int], list[Method]] = {}
    waiting: list[dict[str, Any]] = [document()]
    while waiting:
        resource = waiting.pop()
        waiting.extend(resource.get("resources", {}).values())
        for described in resource.get("methods", {}).values():
            method = _method(described)
            shape = (method.http_method, len(method.segments))
            shapes.setdefault(shape, []).append(method)
    for methods in shapes.values():
        # `messages/send` before `messages/{id}`
        methods.sort(key=lambda m: sum(s.startswith("{") for s in m.segments))
    return shapes


def _method(described: dict[str, Any]) -> Method:
    parameters = described.get("parameters", {})
    in_query = {n: p for n, p in parameters.items() if p["location"] == "query"}
    return Method(
        described["id"],
        described["httpMethod"],
        tuple(described["path"].split("/")),
        frozenset(in_query),
        frozenset(n for n, p in in_query.items() if p.get("required")),
        described.get("request", {}).get("$ref"),
        described.get("response", {}).get("$ref"),
        "mediaUpload" in described,
        frozenset(described.get("scopes", ())),
    )
