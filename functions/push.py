"""Pub/Sub pushes: who may push, what was pushed, and which answer stops or repeats it.

Always plain HTTP functions: a `cloud_event` function answers a malformed event with all
request headers, the token among them.

| what happens | answer | Pub/Sub then |
| --- | --- | --- |
| done; malformed; permanent; owner must reconnect | 204 | is done |
| not our subscription | 403 | tries again, in vain |
| passing fault | 503 | tries again |
| misconfigured, or a bug | 500 | tries again, then dead letter |
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request, Response
from werkzeug.exceptions import HTTPException

from functions.shell import trace_of
from shared import bootstrap, logs
from shared.errors import (
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    Transient,
    Unauthenticated,
)
from shared.logs import log
from shared.ports import Event

Decoded = TypeVar("Decoded")

# Pub/Sub takes messages up to 10 MB; base64 makes them a third longer.
_MAX_BODY_BYTES = 15 * 1024 * 1024
_DONE, _FORBIDDEN, _FAULT, _AGAIN = 204, 403, 500, 503


def run_push(
    request: Request,
    decode: Callable[[Event], Decoded],
    handle: Callable[[Decoded, str], None],
    *,
    on_permanent: Callable[[Decoded, Permanent], None] | None = None,
) -> Response:
    """Admit, decode and handle one push; the answer's body is always empty.

    `decode` raises Malformed. `handle` also gets the message id, the same for every
    delivery of a message. `on_permanent` keeps what can never succeed (quarantine).
    """
    logs.quiet_libraries()
    try:
        services = bootstrap.services()
        project = services.settings.google_cloud_project
        with logs.context(trace=trace_of(request, project)):
            services.push_authentication.admit(request.headers.get("Authorization"))
            status = _take(request, decode, handle, on_permanent)
    except Exception as error:  # noqa: BLE001  (the last resort, by design)
        status = _status_of(error)
    return Response(status=status)


def _take(
    request: Request,
    decode: Callable[[Event], Decoded],
    handle: Callable[[Decoded, str], None],
    on_permanent: Callable[[Decoded, Permanent], None] | None,
) -> int:
    try:
        event, message_id = _event(request)
        decoded = decode(event)
    except Malformed:
        # A 4xx would be delivered again until the retention ends.
        log.warning("push_malformed", count=1)
        return _DONE
    with logs.context(event_id=message_id):
        try:
            handle(decoded, message_id)
        except Misconfigured:
            raise
        except Permanent as error:
            log.warning("push_permanent", exc_info=error)
            if on_permanent is not None:
                on_permanent(decoded, error)
    return _DONE


def _status_of(error: Exception) -> int:
    if isinstance(error, Unauthenticated):
        return _FORBIDDEN
    if isinstance(error, NeedsReauth):
        log.info("push_needs_reauth")
        return _DONE
    if isinstance(error, Transient):
        log.warning("push_will_retry", exc_info=error)
        return _AGAIN
    log.error("push_failed", exc_info=error)
    return _FAULT


def _event(request: Request) -> tuple[Event, str]:
    """Read the wrapped body of a push; raises Malformed."""
    try:
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            raise Malformed
        raw = request.stream.read(_MAX_BODY_BYTES + 1)
        if len(raw) > _MAX_BODY_BYTES:
            raise Malformed
        body = json.loads(raw)
        message: dict[str, Any] = body["message"]
        data = base64.b64decode(message.get("data", ""), validate=True)
        attributes = message.get("attributes") or {}
        message_id = message.get("messageId") or message.get("message_id")
        if not isinstance(message_id, str) or not isinstance(attributes, dict):
            raise Malformed
        subscription = str(body.get("subscription", ""))
    except (
        AttributeError,
        HTTPException,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
        binascii.Error,
    ):
        raise Malformed from None
    own = {str(name): str(value) for name, value in attributes.items()}
    return Event(data, own, subscription), message_id
