"""The one place where an error becomes an answer; entry points hold no `try`.

Here for calls of the HTTP API; `push.py` does the same for Pub/Sub.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from flask import Request, Response

from functions.http import problems
from shared import logs
from shared.logs import log

_TRACE = re.compile(r"([0-9a-f]{32})(?:/|$)")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")
_BAD_REQUEST = 400
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_MAX_UNREAD_BYTES = 1024 * 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def run_http(
    request: Request,
    answer: Callable[[Request], Response],
    *,
    project: Callable[[], str],
) -> Response:
    """Answer one call of the API; whatever goes wrong is a problem document."""
    logs.quiet_libraries()
    started = time.monotonic()
    # Methods are the caller's words too.
    method = request.method if request.method in _METHODS else "OTHER"
    with logs.context(trace=None, method=method, route=None):
        try:
            logs.add(trace=trace_of(request, project()))
            response = answer(request)
            code = None
        except Exception as error:  # noqa: BLE001  (the last resort, by design)
            problem = problems.problem_of(error)
            code = problem.code
            if problems.is_fault(error):
                log.error("call_failed", exc_info=error)
            response = problems.response(problem)
        log.info(
            "call_answered",
            status=response.status_code,
            code=code,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return _leave_unread(request, response)


def trace_of(request: Request, project: str) -> str | None:
    """Cloud Logging's name of the trace that the request belongs to."""
    found = _TRACE.match(
        request.headers.get("X-Cloud-Trace-Context", "")
    ) or _TRACEPARENT.match(request.headers.get("traceparent", ""))
    return f"projects/{project}/traces/{found[1]}" if found and project else None


def _leave_unread(request: Request, response: Response) -> Response:
    """Keep the framework from reading a refused body into memory.

    functions-framework reads what is left of every request, unless the answer is a
    stream: so a refusal of a big body becomes one.
    """
    length = request.content_length
    big = length is None or length > _MAX_UNREAD_BYTES
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if response.status_code >= _BAD_REQUEST and big and (length or chunked):
        body = response.get_data()
        response.response = iter((body,))
        response.headers["Content-Length"] = str(len(body))
        response.headers["Connection"] = "close"
    return response
