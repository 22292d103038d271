"""How Gmail is reached: the API's description, and requests with an access token."""

from __future__ import annotations

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


def authorised(http: Any, access_token: AccessToken) -> Any:
    """The Http with the token sent along, and after a 401 once a new one."""
    return google_auth_httplib2.AuthorizedHttp(
        _Token(access_token), http=http, max_refresh_attempts=1
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
