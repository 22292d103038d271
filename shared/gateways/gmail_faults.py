"""Gmail's refusals and broken connections, as our errors."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httplib2
from google.auth import exceptions as auth
from googleapiclient.errors import Error, HttpError

from shared.core.syncing.failures import Operation, classify, wait_seconds
from shared.errors import SyncError, Transient


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Gmail's error body says. `text` may quote the caller: see `errors.said`."""

    reason: str | None
    text: str


@contextmanager
def translated(operation: Operation = "other") -> Iterator[None]:
    """Raise our errors for the client's."""
    try:
        yield
    except SyncError:
        raise
    except HttpError as fault:
        raise error_of(fault, operation) from None
    except (
        OSError,
        Error,
        httplib2.HttpLib2Error,
        http.client.HTTPException,
        auth.GoogleAuthError,
    ) as fault:
        raise Transient(f"Gmail cannot be reached ({type(fault).__name__}).") from None
    except (ValueError, KeyError) as fault:
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
    with suppress(ValueError, KeyError, TypeError):
        error = json.loads(fault.content)["error"]
    if not isinstance(error, dict):
        return Refusal(None, "")
    reasons = [
        item.get("reason")
        for key in ("details", "errors")
        for item in error.get(key) or ()
        if isinstance(item, dict)
    ]
    # `errors` says most precisely what Gmail means; `status` is the rest.
    found = [reason for reason in [*reversed(reasons), error.get("status")] if reason]
    reason = found[0] if found and isinstance(found[0], str) else None
    return Refusal(reason, str(error.get("message", "")))
