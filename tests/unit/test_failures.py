"""What each refusal of Gmail means: the table of failure classes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.syncing.failures import (
    DAILY_LIMIT_SECONDS,
    MAX_WAIT_SECONDS,
    Operation,
    classify,
    wait_seconds,
)
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

OPERATIONS: tuple[Operation, ...] = ("message", "history", "watch", "draft", "other")
NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)

EVERYWHERE = [
    (401, "authError", NeedsReauth),
    (401, None, NeedsReauth),
    (403, "rateLimitExceeded", RateLimited),
    (403, "userRateLimitExceeded", RateLimited),
    (403, "quotaExceeded", RateLimited),
    (403, "RATE_LIMIT_EXCEEDED", RateLimited),
    (403, "RESOURCE_EXHAUSTED", RateLimited),
    (403, "dailyLimitExceeded", RateLimited),
    (403, "dailyLimitExceededUnreg", RateLimited),
    (403, "userDailyLimitExceeded", RateLimited),
    (403, "authError", NeedsReauth),
    (403, "UNAUTHENTICATED", NeedsReauth),
    (403, "domainPolicy", NeedsReauth),
    (403, "insufficientPermissions", NeedsReauth),
    (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", NeedsReauth),
    (403, "accessNotConfigured", Misconfigured),
    (403, "SERVICE_DISABLED", Misconfigured),
    (403, "keyInvalid", Misconfigured),
    (403, "ipRefererBlocked", Misconfigured),
    (400, "failedPrecondition", Permanent),
    (400, "FAILED_PRECONDITION", Permanent),
    (408, None, Transient),
    (409, "aborted", Transient),
    (429, "rateLimitExceeded", RateLimited),
    (429, None, RateLimited),
    (429, "anything", RateLimited),
    (500, "backendError", Transient),
    (502, None, Transient),
    (503, "backendError", Transient),
    (504, None, Transient),
    (599, None, Transient),
]

BY_OPERATION = [
    (404, "notFound", "message", GmailNotFound),
    (404, "notFound", "draft", GmailNotFound),
    (404, "notFound", "history", HistoryExpired),
    (404, "notFound", "watch", Misconfigured),
    (404, "notFound", "other", Permanent),
    (410, None, "message", GmailNotFound),
    (410, None, "history", HistoryExpired),
    (400, "invalidArgument", "watch", Misconfigured),
    (400, "invalidArgument", "message", Permanent),
    (400, None, "history", Permanent),
    (403, "forbidden", "watch", Misconfigured),
    (403, "forbidden", "message", Permanent),
    (403, None, "other", Permanent),
    (413, "uploadTooLarge", "draft", Permanent),
    (412, None, "other", Permanent),
    (302, None, "other", Permanent),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("status", "reason", "expected"), EVERYWHERE)
def test_refusals_that_mean_the_same_whatever_was_asked(
    status: int, reason: str | None, expected: type[SyncError], operation: Operation
) -> None:
    assert type(classify(status, reason, None, operation)) is expected


@pytest.mark.parametrize(("status", "reason", "operation", "expected"), BY_OPERATION)
def test_refusals_that_depend_on_what_was_asked(
    status: int, reason: str | None, operation: Operation, expected: type[SyncError]
) -> None:
    assert type(classify(status, reason, None, operation)) is expected


def test_no_rate_limit_and_no_outage_is_ever_permanent() -> None:
    """E3: they must never put a message into quarantine."""
    for status, reason, _ in EVERYWHERE:
        if status in {429, 500, 502, 503, 504} or "imit" in (reason or ""):
            fault = classify(status, reason, None, "message")
            assert not isinstance(fault, Permanent)


def test_the_wait_that_gmail_asks_for_is_kept() -> None:
    for status in (429, 403, 503):
        fault: Any = classify(status, "rateLimitExceeded", 17.0, "message")
        assert fault.retry_after == 17.0


@pytest.mark.parametrize("status", [403, 429])
def test_a_daily_limit_is_waited_out_for_hours(status: int) -> None:
    short: Any = classify(status, "dailyLimitExceeded", 5.0, "draft")
    assert short.retry_after == DAILY_LIMIT_SECONDS == 4 * 60 * 60
    long: Any = classify(status, "dailyLimitExceeded", 80_000.0, "draft")
    assert long.retry_after == 80_000.0


def test_every_refusal_says_in_a_sentence_what_is_wrong() -> None:
    refusals = [
        (403, "dailyLimitExceeded", "other"),
        (500, None, "other"),
        (502, None, "other"),
        (400, "failedPrecondition", "other"),
        (400, None, "watch"),
        (400, None, "other"),
        (413, None, "other"),
        (403, "SERVICE_DISABLED", "other"),
        (403, None, "watch"),
        (403, None, "other"),
        (404, None, "watch"),
        (404, None, "other"),
    ]
    told = {classify(status, why, None, op).detail for status, why, op in refusals}  # type: ignore[arg-type]
    assert len(told) == len(refusals)
    for sentence in told:
        assert re.fullmatch(
            r"(Gmail|Gmail's|The) [a-zA-Z ]+( \(status \d+\))?\.", sentence
        )
        assert type(sentence) is str
    classes = {item.__doc__ for item in (Permanent, Misconfigured, Transient)}
    assert not told & classes


def test_no_reason_of_gmail_is_quoted() -> None:
    for status in (400, 401, 403, 404, 429, 500):
        for operation in OPERATIONS:
            assert "canary" not in classify(status, "canary", None, operation).detail


@pytest.mark.parametrize(
    ("header", "text", "expected"),
    [
        (None, "", None),
        ("", "", None),
        ("30", "", 30.0),
        (" 30 ", "", 30.0),
        ("0", "", 0.0),
        ("9" * 1000, "", 24 * 60 * 60),
        ("-5", "", None),
        ("soon", "", None),
        ("²", "", None),
        ("Thu, 05 Nov 2026 12:01:00 GMT", "", 60.0),
        ("Thu, 05 Nov 2026 12:01:00", "", 60.0),
        ("Thu, 05 Nov 2026 11:00:00 GMT", "", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "", MAX_WAIT_SECONDS),
        ("Thu, 99 Nov 2026 12:01:00 GMT", "", None),
        (None, "User-rate limit exceeded.  Retry after 2026-11-05T12:00:40.500Z", 40.5),
        (None, "Retry after 2026-11-05T12:00:40Z (Mail sending)", 40.0),
        (None, "Retry after 2026-99-05T12:00:40Z", None),
        ("10", "Retry after 2026-11-05T12:00:40Z", 10.0),
        ("soon", "Retry after 2026-11-05T12:00:40Z", 40.0),
    ],
)
def test_how_long_a_server_asks_us_to_wait(
    header: str | None, text: str, expected: float | None
) -> None:
    assert wait_seconds(header, text, NOW) == expected
