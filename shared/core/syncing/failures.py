"""What an answer of Gmail that is no success means for us: one table.

Pure. Gmail's texts never reach an error's message: they can quote what was asked.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

from shared.errors import (
    GmailNotFound,
    HistoryExpired,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    SyncError,
    Transient,
)

Operation = Literal["message", "history", "watch", "draft", "other"]
"""What was asked; a 404 means something else for each."""

# Gmail's daily limits free up within a day; asking every few minutes is in vain.
DAILY_LIMIT_SECONDS = 4 * 3600.0
# Nothing that a server says makes us wait longer than this.
MAX_WAIT_SECONDS = 24 * 3600.0

# Reasons as the API spells them: the old `errors[].reason`, the newer
# `details[].reason` and `status` (Gmail API "Resolve errors", read 2026-11).
_DAILY = frozenset(
    ("dailyLimitExceeded", "dailyLimitExceededUnreg", "userDailyLimitExceeded")
)
_RATE = frozenset(
    (
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
    )
)
_CONSENT = frozenset(
    (
        "domainPolicy",
        "insufficientPermissions",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "authError",
        "UNAUTHENTICATED",
    )
)
_DEPLOYMENT = frozenset(
    ("accessNotConfigured", "SERVICE_DISABLED", "keyInvalid", "ipRefererBlocked")
)
_PRECONDITION = frozenset(("failedPrecondition", "FAILED_PRECONDITION"))

_RETRY_AT = re.compile(
    r"retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)", re.IGNORECASE
)


def classify(
    status: int,
    reason: str | None,
    retry_after: float | None,
    operation: Operation,
) -> SyncError:
    """Say what to do about an HTTP status of Gmail and the reason it gives.

    A 401 is final here: the caller has refreshed the token once before it asks.
    """
    if reason in _DAILY and status in {
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
    }:
        return RateLimited(
            "Gmail's daily limit of this mailbox is reached.",
            retry_after=max(retry_after or 0.0, DAILY_LIMIT_SECONDS),
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.FORBIDDEN and reason in _RATE
    ):
        return RateLimited(retry_after=retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
    }:
        return Transient(
            f"Gmail did not answer as it should (status {status}).",
            retry_after=retry_after,
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return NeedsReauth()
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(reason, operation)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return _not_found(operation)
    if reason in _PRECONDITION:
        return Permanent("Gmail is not enabled for this account.")
    if operation == "watch":
        return Misconfigured("Gmail refused the notification topic.")
    return Permanent(f"Gmail refused the request (status {status}).")


def _forbidden(reason: str | None, operation: Operation) -> SyncError:
    if reason in _CONSENT:
        return NeedsReauth()
    if reason in _DEPLOYMENT:
        return Misconfigured("The Gmail API is not enabled for this deployment.")
    if operation == "watch":
        # Gmail's service account may not publish to the topic.
        return Misconfigured("Gmail may not publish to the notification topic.")
    return Permanent("Gmail forbids this.")


def _not_found(operation: Operation) -> SyncError:
    if operation == "history":
        return HistoryExpired()
    if operation in {"message", "draft"}:
        return GmailNotFound()
    if operation == "watch":
        return Misconfigured("The notification topic does not exist.")
    return Permanent("Gmail does not know what was asked for.")


def wait_seconds(header: str | None, text: str, now: datetime) -> float | None:
    """How long a server asks us to wait; None when it does not say.

    Understands a `Retry-After` header (seconds or an HTTP date) and Gmail's own
    "Retry after <time>" in the text of a 429.
    """
    found = _header_seconds(header.strip(), now) if header else None
    if found is None and (match := _RETRY_AT.search(text)):
        found = _time_seconds(match.group(1), now)
    return None if found is None else min(max(found, 0.0), MAX_WAIT_SECONDS)


def _header_seconds(header: str, now: datetime) -> float | None:
    if header.isascii() and header.isdigit():
        # Cut before it is a number: a header of a million digits is no wait.
        return float(header[:9])
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - now).total_seconds()


def _time_seconds(text: str, now: datetime) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at.replace(tzinfo=UTC) - now).total_seconds()
