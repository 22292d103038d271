"""The Gmail API over HTTP: who calls what, may they, and what goes wrong.

Every call goes the same way: route, token, faults, rights, the method itself, `fields`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from . import api_mailbox, api_messages, api_settings, api_threads, discovery
from .accounts import Account
from .batch import answer_batch
from .calls import HANDLERS, Context
from .discovery import Method
from .errors import ApiError, ConnectionLost, bad_request
from .faults import Fault
from .masks import apply_mask, parse_mask
from .oauth_records import Token
from .uploads import Session, Uploads, read_json, read_simple
from .web import Request, Response, json_response, unquoted
from .world import GmailWorld

# these modules enter their methods into the table
__all__ = [
    "GmailApi",
    "api_mailbox",
    "api_messages",
    "api_settings",
    "api_threads",
]

Check = Callable[[str, Any], None]
Read = Callable[[Request], tuple[dict[str, Any], bytes | None]]
_BATCH_PATHS = ("/batch", "/batch/gmail/v1")
_OK = 200


@dataclass
class _Caller:
    account: Account
    token: Token


class GmailApi:
    """Answers requests to the API of one world."""

    def __init__(
        self,
        world: GmailWorld,
        sleep: Callable[[float], None],
        check: Check | None = None,
    ) -> None:
        """`sleep` makes slow answers slow; `check` inspects every answer."""
        self._world, self._sleep, self._check = world, sleep, check
        self._uploads = Uploads(random.Random(0))  # noqa: S311

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path.rstrip("/")
        if request.method == "POST" and path in _BATCH_PATHS:
            return self._batch(request)
        if request.one("upload_id"):
            return self._continue_upload(request)
        found = discovery.find(request.method, path)
        if found is None:
            return _refuse(ApiError(404, "Not Found", "notFound"))
        method, values, upload = found
        values = {name: unquoted(value) for name, value in values.items()}
        if upload and request.one("uploadType") == "resumable":
            return self._begin_upload(request, method, values)
        if upload:
            return self._call(request, method, values, read_simple)
        return self._call(request, method, values, lambda r: (read_json(r.body), None))

    def _batch(self, request: Request) -> Response:
        try:
            with self._world.transaction():
                faults = self._world.faults.for_call("batch", "")
            self._break_before(faults)
            response = answer_batch(request, self.handle)
        except ApiError as refusal:
            return _refuse(refusal)
        self._break_after(faults, request)
        return response

    def _call(
        self,
        request: Request,
        method: Method,
        values: dict[str, str],
        read: Read,
        *,
        session: Session | None = None,
    ) -> Response:
        """Do one call; note it whatever comes of it."""
        status, address = 0, ""
        faults: list[Fault] = []
        try:
            with self._world.transaction():
                try:
                    caller = self._caller(request)
                    address = caller.account.address
                    target = values.get("messageId") or values.get("id")
                    faults = self._world.faults.for_call(method.id, address, target)
                    self._break_before(faults)
                    self._admit(caller, method, values["userId"])
                    response = self._perform(
                        request,
                        method=method,
                        values=values,
                        read=read,
                        caller=caller,
                        faults=faults,
                    )
                except ApiError as refusal:
                    response = _refuse(refusal)
                for fault in faults:
                    if fault.action == "garbage":
                        response = Response(200, fault.text.encode(), response.headers)
                status = int(response.status)
                if session is not None and status == _OK:
                    # a client that lost the answer asks for it again
                    session.answer = response
            self._break_after(faults, request)
        except (ConnectionLost, TimeoutError):
            status = 0
            raise
        finally:
            self._world.calls.note(method.id, address, status, self._world.clock())
        return response

    def _perform(
        self,
        request: Request,
        *,
        method: Method,
        values: dict[str, str],
        read: Read,
        caller: _Caller,
        faults: list[Fault],
    ) -> Response:
        handler = HANDLERS.get(method.id)
        if handler is None:
            raise ApiError(501, f"{method.id} is not simulated", "notImplemented")
        unknown = set(request.query) - method.query - discovery.common_parameters()
        for name in sorted(unknown):
            raise bad_request(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind '
                "query parameter. Field could not be found in request message."
            )
        for name in method.required - set(request.query):
            raise bad_request(f"Missing required parameter: {name}")
        body, media = read(request)
        if method.request:
            for name in sorted(set(body) - discovery.properties(method.request)):
                raise bad_request(
                    f'Invalid JSON payload received. Unknown name "{name}": '
                    "Cannot find field."
                )
        lag = next((f for f in faults if f.action == "history_lag"), None)
        context = Context(
            self._world,
            caller.account,
            caller.token.grant.client_id,
            caller.token.scopes,
            values,
            request.query,
            body,
            media,
            lag,
        )
        answer = handler(context)
        if self._check and answer is not None and method.response:
            self._check(method.response, answer)
        mask = request.one("fields")
        if mask and answer is not None:
            answer = apply_mask(answer, parse_mask(mask))
        return json_response(answer)

    # --- resumable uploads -----------------------------------------------------

    def _begin_upload(
        self, request: Request, method: Method, values: dict[str, str]
    ) -> Response:
        try:
            with self._world.transaction():
                address = self._caller(request).account.address
                faults = self._world.faults.for_call("upload.start", address)
                self._break_before(faults)
                session = self._uploads.begin(request, method, values)
        except ApiError as refusal:
            return _refuse(refusal)
        self._break_after(faults, request)
        query = urlencode({"uploadType": "resumable", "upload_id": session.id})
        location = f"{request.base_url}{request.path}?{query}"
        return Response(
            200, b"", {"Location": location, "X-GUploader-UploadID": session.id}
        )

    def _continue_upload(self, request: Request) -> Response:
        try:
            with self._world.transaction():
                address = self._caller(request).account.address
                session = self._uploads.get(request.one("upload_id"))
                if session.answer is not None:
                    return session.answer
                faults = self._world.faults.for_call("upload.chunk", address)
                broken = any(f.action == "drop_before" for f in faults)
                # a connection that breaks has brought a part of the bytes
                done = self._uploads.receive(session, request, 0.5 if broken else 1.0)
                self._break_before(faults)
        except ApiError as refusal:
            return _refuse(refusal)
        self._break_after(faults, request)
        if not done:
            return self._uploads.incomplete(session)
        whole = Request(
            request.method, request.path, session.query, request.headers, b""
        )
        media = bytes(session.received)
        return self._call(
            whole,
            session.method,
            session.values,
            lambda _: (session.resource, media),
            session=session,
        )

    # --- who and whether -------------------------------------------------------

    def _caller(self, request: Request) -> _Caller:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            text = request.one("access_token")
        token = self._world.oauth.access(text.strip())
        if token is None:
            raise ApiError(401)
        return _Caller(token.grant.account, token)

    def _admit(self, caller: _Caller, method: Method, user: str) -> None:
        """Refuse a call that this token, account or minute does not allow."""
        account = caller.account
        if user != "me" and user.lower() != account.address:
            raise ApiError(403, f"Delegation denied for {account.address}")
        if not caller.token.scopes & method.scopes:
            raise ApiError(403, reason="insufficientPermissions")
        if not account.mail_enabled:
            raise ApiError(400, "Mail service not enabled", "failedPrecondition")
        now = self._world.clock()
        if self._world.calls.over_budget(account.address, method.id, now):
            raise ApiError(
                429,
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per "
                "minute per user'",
                "rateLimitExceeded",
            )

    # --- faults ----------------------------------------------------------------

    def _break_before(self, faults: list[Fault]) -> None:
        for fault in faults:
            match fault.action:
                case "status":
                    raise ApiError(
                        fault.status, None, fault.reason, retry_after=fault.retry_after
                    )
                case "drop_before":
                    raise ConnectionLost("connection lost before the work")
                case "history_expired" | "vanish":
                    raise ApiError(404)
                case _:
                    pass

    def _break_after(self, faults: list[Fault], request: Request) -> None:
        for fault in faults:
            if fault.action == "drop_after":
                raise ConnectionLost("connection lost after the work")
            if fault.action == "slow":
                self._sleep(fault.seconds)
                if request.patience is not None and fault.seconds > request.patience:
                    raise TimeoutError("timed out")


def _refuse(refusal: ApiError) -> Response:
    return json_response(refusal.body(), refusal.code, refusal.headers)
