"""Logs as JSON lines in Cloud Logging's format, with nothing private in them.

Privacy is an allow-list, not a filter: an unknown field is dropped, and a known one may
only hold an id, a code, a number or a route. An address, a subject, a body or a token
fits none of these, whoever hands it in. Libraries' own lines are reduced to where they
come from, because their text may hold a URL or an address.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from shared.errors import SyncError

FIELDS = frozenset(
    {
        "attempts",
        "code",
        "contact",
        "count",
        "duration_ms",
        "error",
        "event_id",
        "failed",
        "frames",
        "function",
        "gmail_message_id",
        "hours_left",
        "ignored",
        "job",
        "kind",
        "labels",
        "logger",
        "mailbox",
        "message_id",
        "method",
        "outcome",
        "quarantined",
        "reason",
        "recorded",
        "route",
        "rule",
        "status",
        "subaccount",
        "topic",
        "user",
    }
)
TRACE = "logging.googleapis.com/trace"

# Ids, codes, digests and `file.py:12`, or a route; no blank and no @, so no sentence
# and no address.
_SAFE_TEXT = re.compile(r"[A-Za-z0-9._~:-]{1,128}|(?:/[A-Za-z0-9._:{}-]{1,64}){1,9}")
# A JWT, and how Google's secrets begin: should one ever be handed in as an id.
_TOKEN_LIKE = re.compile(
    r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8}|\A(?:ya29\.|GOCSPX-)"
)
_SAFE_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SAFE_TRACE = re.compile(r"projects/[a-z0-9:.-]{1,100}/traces/[0-9a-f]{32}")
_WITHHELD = "withheld"
_MAX_ITEMS = 40

_SEVERITIES = {
    "debug": "DEBUG",
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
}


def _safe(value: object) -> Any:
    """Give back what may be logged of a value, never more."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        fits = _SAFE_TEXT.fullmatch(value) and not _TOKEN_LIKE.search(value)
        return value if fits else _WITHHELD
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value[:_MAX_ITEMS]]
    return _WITHHELD


def allow_listed(
    _logger: object, method: str, event: MutableMapping[str, Any]
) -> dict[str, Any]:
    """Keep the known fields with safe values; the last word on what is logged."""
    name = event.get("event")
    line: dict[str, Any] = {
        "severity": _SEVERITIES.get(method, "ERROR"),
        "message": name
        if isinstance(name, str) and _SAFE_EVENT.fullmatch(name)
        else _WITHHELD,
    }
    trace = event.get("trace")
    if isinstance(trace, str) and _SAFE_TRACE.fullmatch(trace):
        line[TRACE] = trace
    line.update({key: _safe(event[key]) for key in sorted(FIELDS & event.keys())})
    return line


def describe(error: BaseException) -> dict[str, object]:
    """Say what an exception is and where it came from: no message, no values.

    Classes of the whole chain, the stable code, and `file:line` of the last frames.
    """
    classes: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(classes) < _MAX_ITEMS:
        classes.append(type(cause).__name__)
        cause = cause.__cause__ or (
            None if cause.__suppress_context__ else cause.__context__
        )
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return {
        "error": classes,
        "code": error.code if isinstance(error, SyncError) else "internal_error",
        "frames": [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames],
    }


class _OriginOnly(logging.Handler):
    """Handler of the standard library's logging: where from, never the text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line that names the logger and the place."""
        if record.levelno < logging.WARNING:
            return
        event = {
            "event": "library_message",
            "logger": record.name,
            "frames": [f"{Path(record.pathname).name}:{record.lineno}"],
        }
        _write(allow_listed(None, record.levelname.lower(), event))


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class _Lines:
    """Where structlog's lines end; looks stdout up each time, so it can be replaced."""

    def msg(self, line: dict[str, Any]) -> None:
        """Write one line."""
        _write(line)

    debug = info = warning = error = critical = msg


def _described(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace `exc_info` by what may be told of the exception."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        for name, value in describe(error).items():
            event.setdefault(name, value)
    return event


def _as_argument(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[MutableMapping[str, Any]], dict[str, Any]]:
    return (event,), {}


structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        _described,
        allow_listed,
        _as_argument,
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=lambda *_: _Lines(),
    cache_logger_on_first_use=False,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
"""The logger. An event is a fixed name such as `message_recorded`, the rest is fields
of the allow-list, and `exc_info=error` for an exception."""


@functools.cache
def quiet_libraries() -> None:
    """Reduce what the standard library's loggers write, once for this process."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        # Plain handlers print texts; others belong to whoever runs us (a test).
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    # Flask and werkzeug print texts by themselves only while nobody listens.
    root.addHandler(_OriginOnly())
    # A handler that fails would print the record with its arguments.
    logging.raiseExceptions = False


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Add fields to every line within."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def add(**fields: object) -> None:
    """Set fields that an enclosing `context` has named."""
    structlog.contextvars.bind_contextvars(**fields)
