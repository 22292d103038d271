"""Read what a caller sent: bounded, strict, and with the place of every mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError

from functions.http import problems
from shared.errors import Problem

Model = TypeVar("Model", bound=BaseModel)

MAX_JSON_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
# A body of this size is what Cloud Run takes over HTTP/1 (read 2026-11).
MAX_LINES_BYTES = 32 * 1024 * 1024
MAX_LINES = 100_000
LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_PIECE = 64 * 1024
_MAX_ERRORS = 20
_MAX_POINTER = 200

# In our own words: pydantic's may show patterns, and some show the value.
_DETAILS = {
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "string_pattern_mismatch": "holds characters that are not allowed",
    "string_unicode": "is not valid Unicode",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "string_too_long": "is too long",
    "string_too_short": "is too short",
    "too_long": "has too many items",
    "too_short": "has too few items",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
}


def json_object(text: bytes) -> dict[str, Any]:
    """Parse one JSON object; raises Problem `invalid_json`.

    A key given twice, NaN and Infinity are mistakes too: parsers disagree on them.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        raise problems.make("invalid_json") from None
    if not isinstance(value, dict):
        raise problems.make("invalid_json")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("no such number in JSON")


def body_of(request: Request, model: type[Model]) -> Model:
    """Read a JSON body as `model`; an empty body stands for an empty object."""
    text = _whole_body(request)
    if not text and not any(
        model_field.is_required() for model_field in model.model_fields.values()
    ):
        return model()
    return checked(_object_in(request, text), model)


def object_of(request: Request) -> dict[str, Any]:
    """Read a JSON body that is checked later."""
    return _object_in(request, _whole_body(request))


def _object_in(request: Request, text: bytes) -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise problems.make("unsupported_media_type")
    return json_object(text)


def _whole_body(request: Request) -> bytes:
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise problems.make("payload_too_large")
    text = request.stream.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise problems.make("payload_too_large")
    return text


def checked(value: Mapping[str, Any], model: type[Model]) -> Model:
    """Check a parsed body; raises Problem `invalid_request` that names the places."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise problems.make(
            "invalid_request", errors=_errors(error, "pointer")
        ) from None


def query_of(request: Request, model: type[Model] | None) -> Model | None:
    """Check the query string; an unknown or repeated parameter is a mistake."""
    given = request.args.to_dict(flat=False)
    wrong = [
        {"parameter": name[:_MAX_POINTER], "detail": "is repeated"}
        for name, values in given.items()
        if len(values) > 1
    ]
    if model is None:
        wrong += [
            {"parameter": name[:_MAX_POINTER], "detail": _DETAILS["extra_forbidden"]}
            for name in given
        ]
    if wrong:
        raise problems.make("invalid_request", errors=tuple(wrong[:_MAX_ERRORS]))
    if model is None:
        return None
    try:
        return model.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise problems.make(
            "invalid_request", errors=_errors(error, "parameter")
        ) from None


def _errors(error: ValidationError, place: str) -> tuple[dict[str, str], ...]:
    found = error.errors(include_url=False, include_input=False)[:_MAX_ERRORS]
    return tuple(
        {place: _place(place, error["loc"]), "detail": _say(error)} for error in found
    )


def _place(place: str, loc: tuple[int | str, ...]) -> str:
    if place == "parameter":
        return str(loc[0])[:_MAX_POINTER] if loc else ""
    steps = (str(part).replace("~", "~0").replace("/", "~1") for part in loc)
    return "".join(f"/{step}" for step in steps)[:_MAX_POINTER]


def _say(error: Any) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "literal_error":
        return f"must be one of {error['ctx']['expected']}"
    return _DETAILS.get(error["type"], "is not valid")


def lines_of(request: Request) -> Iterator[tuple[int, bytes | Problem]]:
    """Read an NDJSON body line by line, with line numbers from 1.

    Blank lines are skipped; one that is too long is a Problem in its place. Raises
    Problem `payload_too_large` when the whole is too big: what came before stands.
    """
    # Some clients name no type for a body they were handed as bytes.
    if request.mimetype and request.mimetype not in LINE_TYPES:
        raise problems.make("unsupported_media_type")
    if (request.content_length or 0) > MAX_LINES_BYTES:
        raise problems.make("payload_too_large")
    for number, line in enumerate(_lines(request), 1):
        if number > MAX_LINES:
            raise problems.make(
                "payload_too_large", f"An import takes at most {MAX_LINES} lines."
            )
        if line is None:
            yield (
                number,
                problems.make(
                    "invalid_request", f"The line exceeds {MAX_LINE_BYTES} bytes."
                ),
            )
        elif line.strip():
            yield number, line


def _lines(request: Request) -> Iterator[bytes | None]:
    """Cut the body into lines; None stands for one that is too long."""
    rest, total, overlong = b"", 0, False
    while piece := request.stream.read(_PIECE):
        total += len(piece)
        if total > MAX_LINES_BYTES:
            raise problems.make("payload_too_large")
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield None if overlong or len(line) > MAX_LINE_BYTES else line
            overlong = False
        if len(rest) > MAX_LINE_BYTES:
            rest, overlong = b"", True
    if rest or overlong:
        yield None if overlong else rest
