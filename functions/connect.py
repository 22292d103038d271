"""What browsers open: the way through Google's consent, and the settings page."""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from functions import pages, settings
from functions.shell import trace_of
from shared import bootstrap, logs
from shared.errors import Misconfigured, Problem, SyncError
from shared.logs import log
from shared.services.connecting.connect import ConsentResult

COOKIE = "gmail_sync_flow"
PERMISSIONS = {
    "openid": "See who you are with Google",
    "email": "See your email address",
    "https://www.googleapis.com/auth/userinfo.email": "See your email address",
    "https://www.googleapis.com/auth/gmail.readonly": "View your emails and settings",
    "https://www.googleapis.com/auth/gmail.compose": "Manage drafts and send emails",
}
"""The words of Google's consent page, so that a person recognises them."""


def connect(request: Request) -> Response:
    """Entry point of `/oauth/…`, `/settings`. A fault shows a page without detail."""
    logs.quiet_libraries()
    try:
        page, _ = ROUTES.bind_to_environ(request.environ).match()
    except HTTPException as error:
        return _consent_page("not_found", error.code or 404)
    with logs.context(trace=_trace(request)):
        return _answer(page, request)


def _answer(page: Callable[[Request], Response], request: Request) -> Response:
    try:
        return page(request)
    except Problem as problem:
        if request.path.startswith(settings.PATH):
            return settings.problem_page(problem)
        return _consent_page(problem.code, problem.status)
    except SyncError as error:
        log.error("connect_failed", code=error.code, exc_info=error)
        status = 500 if isinstance(error, Misconfigured) else 503
        return _consent_page("try_again", status)
    except Exception as error:  # noqa: BLE001  (a page must say nothing of the inside)
        log.error("connect_failed", code="internal_error", exc_info=error)
        return _consent_page("try_again", 500)


def _trace(request: Request) -> str | None:
    try:
        project = bootstrap.services().settings.google_cloud_project
    except SyncError:
        return None
    return trace_of(request, project)


def _start(request: Request) -> Response:
    """Bind the flow to this browser, on the way to Google."""
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
    return pages.guarded(response)


def _callback(request: Request) -> Response:
    """Take Google's answer."""
    answer = {name: request.args[name] for name in request.args}
    result = bootstrap.services().connections.finish(
        answer, request.cookies.get(COOKIE)
    )
    if result.code == "connected" and result.return_to is not None:
        response = pages.redirect(result.return_to)
    else:
        status = 200 if result.code == "connected" else 400
        response = _consent_page(result.code, status, result)
    response.delete_cookie(COOKIE, path="/oauth")
    return response


def _consent_page(
    code: str, status: int, result: ConsentResult | None = None
) -> Response:
    missing = [PERMISSIONS.get(one, one) for one in result.missing] if result else []
    return pages.page("consent.html", status, code=code, result=result, missing=missing)


ROUTES = Map(
    [
        Rule("/oauth/start", methods=["GET"], endpoint=_start),
        Rule("/oauth/callback", methods=["GET"], endpoint=_callback),
        Rule("/settings", methods=["GET"], endpoint=settings.open_page),
        Rule("/settings/connect", methods=["POST"], endpoint=settings.connect),
        Rule("/settings/disconnect", methods=["GET"], endpoint=settings.ask_disconnect),
        Rule("/settings/disconnect", methods=["POST"], endpoint=settings.disconnect),
    ]
)
