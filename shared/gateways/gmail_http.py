"""How Gmail is reached: the API's description, connections and access tokens."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import google_auth_httplib2
import httplib2
from google.auth.credentials import Credentials
from googleapiclient import discovery_cache
from googleapiclient.discovery import (  # type: ignore[attr-defined]  # not in its stubs
    build_from_document,
)

from shared.gateways.endpoints import checked

HTTP_SECONDS = 20

AccessToken = Callable[[bool], str]
"""Gives an access token; True asks for a new one, as the last was refused."""
HttpFactory = Callable[[], Any]
"""Makes an object with httplib2's `request` and `close`, for one request."""


@dataclass(frozen=True, slots=True)
class Api:
    """Gmail's methods; making these takes the client milliseconds, so they are kept."""

    service: Any
    users: Any
    messages: Any
    attachments: Any
    history: Any
    send_as: Any


@cache
def api(endpoint: str) -> Api:
    """Gmail's API at this origin, from the description that ships with the client.

    The client's `api_endpoint` option leaves media and batch at Google, so the root in
    the description itself is changed.
    """
    root = checked(endpoint, "GMAIL_API_ENDPOINT").rstrip("/") + "/"
    text = discovery_cache.get_static_doc("gmail", "v1")  # type: ignore[no-untyped-call]
    document = {**json.loads(text), "rootUrl": root}
    # Every request brings its own Http; this one only keeps the client from looking
    # for the machine's own credentials.
    service = build_from_document(document, http=httplib2.Http())
    users = service.users()
    messages = users.messages()
    return Api(
        service,
        users,
        messages,
        messages.attachments(),
        users.history(),
        users.settings().sendAs(),
    )


def new_http() -> httplib2.Http:
    """An Http for one request: it is not thread-safe, and keeps no connection."""
    made = _Http(timeout=HTTP_SECONDS)
    # A redirect would carry the token somewhere else.
    made.follow_redirects = False
    return made


def authorised(http_factory: HttpFactory, access_token: AccessToken) -> Any:
    """An Http that sends the token, and after a 401 once a new one."""
    return google_auth_httplib2.AuthorizedHttp(
        _Token(access_token), http=http_factory(), max_refresh_attempts=1
    )


class _Token(Credentials):
    """An access token in the form that Google's clients take."""

    def __init__(self, access_token: AccessToken) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._access_token = access_token

    def refresh(self, request: Any) -> None:  # noqa: ARG002 - as Google calls it
        self.token = self._access_token(self.token is not None)

    def __repr__(self) -> str:
        return "_Token()"


class _Once:
    """A connection that never sends a request a second time.

    httplib2 repeats any request, a send too, when the server closes the connection
    without an answer. A plain reset it leaves to the caller.
    """

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = super().getresponse()  # type: ignore[misc]
        except http.client.BadStatusLine as fault:
            raise ConnectionResetError("closed without an answer") from fault
        return response


class _PlainOnce(_Once, httplib2.HTTPConnectionWithTimeout):
    pass


class _TlsOnce(_Once, httplib2.HTTPSConnectionWithTimeout):
    pass


class _Http(httplib2.Http):
    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        redirections: int = httplib2.DEFAULT_MAX_REDIRECTS,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, Any]:
        if connection_type is None:
            connection_type = _TlsOnce if uri.startswith("https:") else _PlainOnce
        answer: tuple[httplib2.Response, Any] = super().request(
            uri, method, body, headers, redirections, connection_type
        )
        return answer
