"""The WSGI application: the API, the consent pages, the web mailbox, the admin API."""

from __future__ import annotations

from collections.abc import Callable

from . import admin
from .api import GmailApi
from .oauth_pages import OAuthPages
from .web import (
    Environ,
    Request,
    Response,
    StartResponse,
    WsgiApp,
    read_request,
    write_response,
)
from .web_mailbox import WebMailbox
from .world import GmailWorld

_API_PREFIXES = ("/gmail/", "/upload/", "/resumable/", "/batch")


def _never_sleep(_seconds: float) -> None:
    """Be as quick as possible; a slow answer shows in the client's patience only."""


def create_app(
    world: GmailWorld,
    *,
    validate: bool = False,
    sleep: Callable[[float], None] = _never_sleep,
) -> WsgiApp:
    """Serve a world.

    With `validate` every answer is held against the discovery document, and one that
    does not fit raises. A lost connection leaves the application as `ConnectionLost`.
    """
    check = None
    if validate:
        # a tool of tests; a plain run does without it
        from .schema import validate_resource

        check = validate_resource
    api = GmailApi(world, sleep, check)
    oauth = OAuthPages(world)
    mailbox = WebMailbox(world)

    def answer(request: Request) -> Response:
        if request.path.startswith(_API_PREFIXES):
            return api.handle(request)
        if request.path.startswith(admin.PREFIX):
            return admin.handle(world, request)
        return oauth.handle(request) or mailbox.handle(request)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        return write_response(answer(read_request(environ)), start_response)

    return app
