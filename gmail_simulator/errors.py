"""Refusals in the words of Google's servers."""

from __future__ import annotations

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    410: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_REASON = {
    400: "invalidArgument",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "aborted",
    410: "notFound",
    413: "uploadTooLarge",
    429: "rateLimitExceeded",
}
_MESSAGE = {
    "rateLimitExceeded": "Rate Limit Exceeded",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "dailyLimitExceeded": "Daily user sending limit exceeded",
    "domainPolicy": "The domain administrators have disabled Gmail apps.",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "failedPrecondition": "Precondition check failed.",
    "backendError": "Backend Error",
    "notFound": "Requested entity was not found.",
    "authError": "Request had invalid authentication credentials. Expected OAuth 2 "
    "access token, login cookie or other valid authentication credential.",
}
_USAGE = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"})
_NEEDS_LOGIN = 401
_SERVER_FAULT = 500


class ApiError(Exception):
    """A refusal with Google's status, reason and JSON body."""

    def __init__(
        self,
        code: int,
        message: str | None = None,
        reason: str | None = None,
        *,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Fill in what Google says where the caller says nothing."""
        self.code = code
        fallback = "backendError" if code >= _SERVER_FAULT else "invalid"
        self.reason = reason or _REASON.get(code, fallback)
        self.message = message or _MESSAGE.get(self.reason, "Invalid request")
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        if code == _NEEDS_LOGIN:
            self.headers.setdefault(
                "WWW-Authenticate",
                'Bearer realm="https://accounts.google.com/", error="invalid_token"',
            )
        if self.reason == "insufficientPermissions":
            self.headers.setdefault(
                "WWW-Authenticate",
                'Bearer realm="https://accounts.google.com/", '
                'error="insufficient_scope"',
            )
        super().__init__(f"{code} {self.reason}: {self.message}")

    def body(self) -> dict[str, Any]:
        """Return the JSON that Google would answer."""
        domain = "usageLimits" if self.reason in _USAGE else "global"
        detail = {"message": self.message, "domain": domain, "reason": self.reason}
        if self.code == _NEEDS_LOGIN:
            detail |= {"location": "Authorization", "locationType": "header"}
        status = _STATUS.get(self.code, "UNKNOWN")
        if self.reason == "failedPrecondition":
            status = "FAILED_PRECONDITION"
        error = {
            "code": self.code,
            "message": self.message,
            "errors": [detail],
            "status": status,
        }
        return {"error": error}


class OAuthError(Exception):
    """A refusal of the token endpoint, in the shape of RFC 6749."""

    def __init__(
        self,
        error: str,
        description: str = "",
        *,
        code: int = 400,
        subtype: str | None = None,
    ) -> None:
        """Keep the error code, the words beside it, and Google's own subtype."""
        self.error, self.description = error, description
        self.code, self.subtype = code, subtype
        super().__init__(f"{error}: {description}")

    def body(self) -> dict[str, str]:
        """Return the JSON that Google would answer."""
        answer = {"error": self.error}
        if self.description:
            answer["error_description"] = self.description
        if self.subtype:
            answer["error_subtype"] = self.subtype
        return answer


class ConnectionLost(ConnectionResetError):  # what happened
    """The connection broke; the caller cannot tell whether the work was done."""


def bad_request(message: str) -> ApiError:
    """Refuse an argument."""
    return ApiError(400, message)


def not_found() -> ApiError:
    """Refuse an id that is not there."""
    return ApiError(404)
