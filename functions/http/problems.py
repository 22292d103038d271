"""Refusals as problem documents (RFC 9457) with stable codes.

Every code that the API can answer is in `CODES`; the OpenAPI document lists them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from flask import Response
from werkzeug.exceptions import HTTPException

from shared.errors import (
    DocumentFull,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Problem,
    SyncError,
    Transient,
    Unauthenticated,
)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Code:
    """One stable code: the status it comes with and what it means."""

    status: int
    title: str
    meaning: str


CODES: dict[str, Code] = {
    "bad_request": Code(400, "Bad request", "The HTTP request itself is broken."),
    "invalid_json": Code(
        400, "Invalid JSON", "The body is not one JSON object in UTF-8."
    ),
    "idempotency_key_required": Code(
        400,
        "Idempotency-Key needed",
        "Sending takes an Idempotency-Key of 1 to 255 printable ASCII characters.",
    ),
    "unauthenticated": Code(
        401, "Not authenticated", "The bearer token is missing or not valid."
    ),
    "forbidden": Code(
        403, "Forbidden", "The token does not cover what the request names."
    ),
    "backend_only": Code(
        403, "Backend only", "A user's token does not reach this call."
    ),
    "deployment_only": Code(
        403,
        "Deployment right needed",
        "The call concerns no subaccount: the token needs `deployment: true`.",
    ),
    "not_found": Code(
        404, "Not found", "It does not exist, or the caller has no access to it."
    ),
    "not_connected": Code(
        404, "Not connected", "The user has never connected a mailbox."
    ),
    "attachment_not_stored": Code(
        404, "Attachment not stored", "The attachment was too large to be stored."
    ),
    "method_not_allowed": Code(
        405,
        "Method not allowed",
        "This path does not support the method; see the Allow header.",
    ),
    "reauth_required": Code(
        409, "Reconnect needed", "The mailbox's owner must connect it again."
    ),
    "bcc_not_configured": Code(
        409, "No BCC addresses", "The deployment has no BCC addresses."
    ),
    "payload_too_large": Code(
        413, "Payload too large", "The body exceeds the limit of this call."
    ),
    "unsupported_media_type": Code(
        415,
        "Unsupported media type",
        "This call does not accept the Content-Type of the body.",
    ),
    "invalid_request": Code(
        422, "Invalid request", "`errors` lists what is wrong, and where."
    ),
    "invalid_page_token": Code(
        422, "Invalid page token", "The page token was not issued by this list."
    ),
    "limit_reached": Code(
        422, "Limit reached", "A limit on the size of this resource is reached."
    ),
    "no_sender": Code(
        409,
        "Nothing to send with",
        "The user has no connection, and the subaccount no default provider.",
    ),
    "sending_paused": Code(
        409,
        "Sending is paused",
        "The operator has paused sending: repeat the call when it is resumed.",
    ),
    "unknown_contact": Code(
        422,
        "Unknown contact",
        "A named contact does not exist, or no contact is among the To recipients.",
    ),
    "too_many_contacts": Code(
        422, "Too many contacts", "A bulk call takes at most 1,000 contacts."
    ),
    "from_not_allowed": Code(
        422, "From not allowed", "The user may not send from this address."
    ),
    "idempotency_key_reused": Code(
        422,
        "Idempotency-Key reused",
        "The Idempotency-Key was used for a call with other content.",
    ),
    "daily_limit_reached": Code(
        429,
        "Daily limit reached",
        "The mailbox, or the subaccount's provider, may send again at `retry_at`, in "
        "`Retry-After` seconds.",
    ),
    "return_to_not_allowed": Code(
        422, "Return address not allowed", "`return_to` is not at an allowed origin."
    ),
    "internal_error": Code(
        500, "Internal error", "An unexpected error occurred. It has been logged."
    ),
    "conflict": Code(
        503, "Busy", "The resource is being modified concurrently. Try again."
    ),
    "rate_limited": Code(
        503, "Busy", "A service we depend on is limiting requests. Try again later."
    ),
    "temporarily_unavailable": Code(
        503,
        "Temporarily unavailable",
        "A service we depend on is unavailable. Try again later.",
    ),
}

_BY_HTTP_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_DEFAULT_RETRY_AFTER = 1.0


def problem_of(error: Exception) -> Problem:
    """Turn what was raised into the refusal that the caller may see.

    What we do not know becomes `internal_error` and tells nothing.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, Transient):
        code = error.code if error.code in CODES else Transient.code
        seconds = math.ceil(error.retry_after or _DEFAULT_RETRY_AFTER)
        return make(code, headers={"Retry-After": str(seconds)})
    if isinstance(error, NeedsReauth):
        return make("reauth_required")
    if isinstance(error, Unauthenticated):
        return make("forbidden")
    if isinstance(error, DocumentFull):
        return make("limit_reached", detail=error.detail)
    if isinstance(error, Malformed) and not isinstance(error, Misconfigured):
        return make("invalid_request", detail=error.detail)
    if isinstance(error, HTTPException) and error.code in _BY_HTTP_STATUS:
        return make(_BY_HTTP_STATUS[error.code])
    return make("internal_error")


def make(
    code: str,
    detail: str | None = None,
    *,
    errors: tuple[dict[str, str], ...] = (),
    headers: dict[str, str] | None = None,
) -> Problem:
    """Refuse with a code of the table."""
    known = CODES[code]
    return Problem(
        known.status, code, detail or known.meaning, errors=errors, headers=headers
    )


def response(problem: Problem) -> Response:
    """Write a refusal down."""
    known = CODES.get(problem.code)
    document: dict[str, object] = {
        "type": f"urn:gmail-sync:problem:{problem.code}",
        "title": known.title if known else "Refused",
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.extra,
    }
    if problem.errors:
        document["errors"] = list(problem.errors)
    return Response(
        json.dumps(document),
        status=problem.status,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )


def is_fault(error: Exception) -> bool:
    """Whether operators should look at this, and not only the caller."""
    return not isinstance(error, Problem | SyncError | HTTPException) or (
        isinstance(error, SyncError) and problem_of(error).code == "internal_error"
    )
