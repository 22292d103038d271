"""Gmail's refusals and broken connections, as our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.auth import exceptions as auth
from googleapiclient.errors import Error, HttpError

from shared.core.syncing.failures import Operation, classify, wait_seconds
from shared.errors import SyncError, Transient
from shared.gateways.bounded_sockets import TooMuchReceived


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Gmail's error body says. `text` may quote the caller: see `errors.said`."""

    reason: str | None
    text: str


class AnswerTooLarge(Transient):
    """Gmail's answer is larger than any that was asked for."""


@contextmanager
def translated(operation: Operation = "other") -> Iterator[None]:
    """Raise our errors for the client's."""
    try:
        yield
    except SyncError:
        raise
    except HttpError as fault:
        raise error_of(fault, operation) from None
    except TooMuchReceived:
        raise AnswerTooLarge from None
    except (OSError, Error, auth.GoogleAuthError) as fault:
        raise Transient(f"Gmail cannot be reached ({type(fault).__name__}).") from None
    except Exception as fault:  # noqa: BLE001  (what the client raises at what it reads)
        # An answer cut short or garbled on its way.
        kind = type(fault).__name__
        raise Transient(f"Gmail's answer cannot be read ({kind}).") from None


def error_of(fault: HttpError, operation: Operation) -> SyncError:
    """Our error for a refusal."""
    said = refusal_of(fault)
    wait = wait_seconds(fault.resp.get("retry-after"), said.text, datetime.now(UTC))
    error = classify(int(fault.resp.status), said.reason, wait, operation)
    error.said = said.text or None
    return error


def refusal_of(fault: HttpError) -> Refusal:
    """Read Google's error body, old form and new."""
    error: Any = None
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        error = json.loads(fault.content)["error"]
    if not isinstance(error, dict):
        return Refusal(None, "")
    reasons = [
        item.get("reason")
        for key in ("details", "errors")
        for item in _listed(error.get(key))
        if isinstance(item, dict)
    ]
    # `errors` says most precisely what Gmail means; `status` is the rest.
    found = [reason for reason in [*reversed(reasons), error.get("status")] if reason]
    reason = found[0] if found and isinstance(found[0], str) else None
    said = error.get("message")
    return Refusal(reason, said if isinstance(said, str) else "")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
