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
from shared.services.connecting.consent_flow import FLOW_MINUTES

COOKIE_PATH = "/oauth"
QUESTION = "/oauth/confirm"
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
    if request.method == "HEAD":
        # Whatever looks at a link without opening it must not use it up.
        return _consent_page("not_found", 405)
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
    """Show for whom a mailbox is connected; bind the link to this browser."""
    services = bootstrap.services()
    flow = request.args.get("flow", "")
    shown = services.connections.start(flow, request.cookies)
    # Google sends people on to their organisation's own sign-in page, which a browser
    # counts as the way of this form.
    onward = ("https:", "http:") if services.settings.development else ("https:",)
    response = pages.page("ask.html", 200, form_targets=onward, flow=flow, asked=shown)
    return _bound(response, shown.cookie_name, shown.cookie)


def _leave(request: Request) -> Response:
    """On to Google, as the user wanted."""
    flow = request.form.get("flow", "")
    url = bootstrap.services().connections.leave(
        flow, request.cookies, _form_token(request)
    )
    return pages.redirect(url)


def _callback(request: Request) -> Response:
    """Take Google's answer."""
    answer = {name: request.args[name] for name in request.args}
    result = bootstrap.services().connections.finish(answer, request.cookies)
    if result.question is None:
        return _end(result)
    response = pages.redirect(f"{QUESTION}?flow={result.question}")
    return _bound(response, result.cookie_name or "", result.cookie or "")


def _question(request: Request) -> Response:
    """Ask whether the connection shall move to the account that Google named (C10)."""
    flow = request.args.get("flow", "")
    shown = bootstrap.services().connections.question(flow, request.cookies)
    return pages.page("move.html", 200, flow=flow, asked=shown)


def _answer_question(request: Request) -> Response:
    """Move the connection, or leave it as it is."""
    result = bootstrap.services().connections.answer(
        request.form.get("flow", ""),
        request.cookies,
        _form_token(request),
        move=request.form.get("move") == "yes",
    )
    return _end(result)


def _end(result: ConsentResult) -> Response:
    """The end of a consent, in words; what the flow left in the browser goes."""
    good = result.code in {"connected", "kept"}
    if result.code == "connected" and result.return_to is not None:
        response = pages.redirect(result.return_to)
        if settings.is_own_page(result.return_to):
            settings.announce(response, result)
    else:
        response = _consent_page(result.code, 200 if good else 400, result)
    if result.cookie_name is not None:
        response.delete_cookie(result.cookie_name, path=COOKIE_PATH)
    return response


def _form_token(request: Request) -> str:
    """What shows that a form was sent from our own page."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Problem(403, "forbidden", "This form belongs to another site.")
    return request.form.get("form_token", "")


def _bound(response: Response, name: str, cookie: str) -> Response:
    """Bind a flow to this browser. Each has a cookie of its own."""
    services = bootstrap.services()
    response.set_cookie(
        name,
        cookie,
        max_age=FLOW_MINUTES * 60,
        path=COOKIE_PATH,
        secure=services.settings.public_url.startswith("https:"),
        httponly=True,
        # Lax: the way back from Google is a navigation that begins elsewhere.
        samesite="Lax",
    )
    return response


def _consent_page(
    code: str, status: int, result: ConsentResult | None = None
) -> Response:
    missing = (
        [PERMISSIONS.get(permission, permission) for permission in result.missing]
        if result
        else []
    )
    return pages.page("consent.html", status, code=code, result=result, missing=missing)


ROUTES = Map(
    [
        Rule("/oauth/start", methods=["GET"], endpoint=_start),
        Rule("/oauth/start", methods=["POST"], endpoint=_leave),
        Rule("/oauth/callback", methods=["GET"], endpoint=_callback),
        Rule(QUESTION, methods=["GET"], endpoint=_question),
        Rule(QUESTION, methods=["POST"], endpoint=_answer_question),
        Rule("/settings", methods=["GET"], endpoint=settings.open_page),
        Rule("/settings/connect", methods=["POST"], endpoint=settings.connect),
        Rule("/settings/disconnect", methods=["GET"], endpoint=settings.ask_disconnect),
        Rule("/settings/disconnect", methods=["POST"], endpoint=settings.disconnect),
    ]
)
