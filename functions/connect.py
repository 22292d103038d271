"""The browser's side of connecting a mailbox: to Google, and back from there."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
from flask import Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from shared import bootstrap
from shared.errors import Misconfigured, Problem, SyncError
from shared.logs import log
from shared.services.connect import ConsentResult

COOKIE = "gmail_sync_flow"
ROUTES = Map(
    [
        Rule("/oauth/start", methods=["GET"], endpoint="start"),
        Rule("/oauth/callback", methods=["GET"], endpoint="callback"),
    ]
)
PERMISSIONS = {
    "openid": "See who you are with Google",
    "email": "See your email address",
    "https://www.googleapis.com/auth/userinfo.email": "See your email address",
    "https://www.googleapis.com/auth/gmail.modify": "Read, compose and send emails",
    "https://www.googleapis.com/auth/gmail.readonly": "View your emails and settings",
    "https://www.googleapis.com/auth/gmail.compose": "Manage drafts and send emails",
    "https://www.googleapis.com/auth/gmail.send": "Send emails on your behalf",
}
"""The words of Google's consent page, so that a person recognises them."""


def connect(request: Request) -> Response:
    """Entry point of `/oauth/…`. Answers pages; a fault shows one without detail."""
    try:
        endpoint, _ = ROUTES.bind_to_environ(request.environ).match()
    except HTTPException:
        return _page("not_found", 404)
    try:
        return _start(request) if endpoint == "start" else _callback(request)
    except Problem as problem:
        return _page(problem.code, problem.status)
    except SyncError as error:
        log.error("connect_failed", code=error.code, exc_info=error)
        status = 500 if isinstance(error, Misconfigured) else 503
        return _page("try_again", status)
    except Exception as error:  # noqa: BLE001  (a page must say nothing of the inside)
        log.error("connect_failed", code="internal_error", exc_info=error)
        return _page("try_again", 500)


def _start(request: Request) -> Response:
    services = bootstrap.services()
    step = services.connections.start(request.args.get("flow", ""))
    response = Response(status=302, headers={"Location": step.url})
    response.set_cookie(
        COOKIE,
        step.cookie,
        max_age=600,
        path="/oauth",
        secure=services.settings.public_url.startswith("https:"),
        httponly=True,
        # Lax: the way back from Google is a navigation that begins elsewhere.
        samesite="Lax",
    )
    return _guarded(response)


def _callback(request: Request) -> Response:
    answer = {name: request.args[name] for name in request.args}
    result = bootstrap.services().connections.finish(
        answer, request.cookies.get(COOKIE)
    )
    if result.code == "connected" and result.return_to is not None:
        response = Response(status=303, headers={"Location": result.return_to})
        _guarded(response)
    else:
        status = 200 if result.code == "connected" else 400
        response = _page(result.code, status, result)
    response.delete_cookie(COOKIE, path="/oauth")
    return response


def _page(code: str, status: int, result: ConsentResult | None = None) -> Response:
    missing = [PERMISSIONS.get(one, one) for one in result.missing] if result else []
    html = (
        _templates()
        .get_template("consent.html")
        .render(code=code, result=result, missing=missing, style=_style())
    )
    return _guarded(Response(html, status, mimetype="text/html"))


def _guarded(response: Response) -> Response:
    """Headers that keep the page out of frames, caches and other sites' sight."""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{_style_hash()}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def _style() -> str:
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


@functools.cache
def _style_hash() -> str:
    """The one style sheet that the page may use, by its hash."""
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
