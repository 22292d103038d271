"""How Gmail is reached: the API's description, and requests with an access token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from google.auth.credentials import Credentials
from googleapiclient import discovery_cache
from googleapiclient.discovery import (  # type: ignore[attr-defined]  # not in its stubs
    build_from_document,
)

from shared.gateways.endpoints import checked
from shared.gateways.gmail_connections import Http

AccessToken = Callable[[bool], str]
"""Gives an access token; True asks for a new one, as the last was refused."""


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
    service = build_from_document(document, http=Http())
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


class Authorised:
    """A transport with the token sent along, and after a 401 once with a new one.

    Google's client finds `credentials` by their name, for parts of a batch.
    """

    def __init__(self, http: Any, access_token: AccessToken) -> None:
        """Send over this transport."""
        self._http = http
        self.credentials = _Token(access_token)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[Any, Any]:
        """Ask, as httplib2 is asked."""
        if self.credentials.token is None:
            self.credentials.refresh()
        if hasattr(body, "read"):
            body = body.read()  # a piece of an upload, which may be sent twice
        answer: tuple[Any, Any] = self._ask(uri, method, body, headers)
        if answer[0].status != HTTPStatus.UNAUTHORIZED:
            return answer
        self.credentials.refresh()
        return self._ask(uri, method, body, headers)

    def close(self) -> None:
        """Let the transport go."""
        self._http.close()

    def _ask(
        self, uri: str, method: str, body: Any, headers: Mapping[str, str] | None
    ) -> tuple[Any, Any]:
        sent = dict(headers or {})
        self.credentials.apply(sent)  # type: ignore[no-untyped-call]
        answer: tuple[Any, Any] = self._http.request(
            uri, method, body=body, headers=sent
        )
        return answer


class _Token(Credentials):
    """An access token in the form that Google's clients take."""

    def __init__(self, access_token: AccessToken) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._access_token = access_token

    def refresh(self, _request: Any = None) -> None:
        """Get a token, a new one when there was one."""
        self.token = self._access_token(self.token is not None)

    def __repr__(self) -> str:
        return "_Token()"
