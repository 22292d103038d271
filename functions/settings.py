"""The user's page "Email (2-way sync)": see, connect, change, disconnect.

Works without JavaScript. The CRM may show it in a frame; Google may not be shown in
one, so there the way to Google is a link to a tab of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from flask import Request, Response

from functions import pages
from shared import bootstrap
from shared.bootstrap import Services
from shared.core.ids import UserId
from shared.errors import Problem
from shared.services.connecting.connect import ConsentResult
from shared.services.connecting.sessions import SESSION_MINUTES, Session

COOKIE = "gmail_sync_session"
DONE = "gmail_sync_done"
"""Cookie that tells the page how the consent ended from which the user comes back."""
PATH = "/settings"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def open_page(request: Request) -> Response:
    """`GET /settings`: trade a token for a session, or show the page."""
    services = bootstrap.services()
    token = request.args.get("token")
    if token is None:
        session = _session(services, request)
        done = request.cookies.get(DONE)
        shown = _page(services, "settings.html", done=done, **_shown(services, session))
        if done is not None:
            shown.delete_cookie(DONE, path=PATH)
        return shown
    response = pages.redirect(PATH)
    cookie = request.cookies.get(COOKIE)
    if services.sessions.opened_by(token, cookie):
        return response
    secret = services.sessions.open(token)
    services.sessions.end(cookie)
    _set_cookie(services, response, secret)
    return response


def connect(request: Request) -> Response:
    """`POST /settings/connect`: on to the page that asks, for C1, C5 and C7 alike.

    The button pressed tells what is meant, whatever has happened since it was shown.
    """
    services = bootstrap.services()
    session = _from_own_form(services, request)
    framed = request.headers.get("Sec-Fetch-Dest") in {"iframe", "frame"}
    back = None if framed else f"{services.settings.public_url}{PATH}"
    moves = request.form.get("intent") == "update"
    intent: Literal["update", "reauthorise"] = "update" if moves else "reauthorise"
    link = services.connections.begin(session.user, back, intent)
    if not framed:
        return pages.redirect(link)
    return _page(services, "continue.html", link=link)


def is_own_page(url: str) -> bool:
    """Whether a consent leads back to the settings page."""
    return url == f"{bootstrap.services().settings.public_url}{PATH}"


def announce(response: Response, result: ConsentResult) -> None:
    """Let the settings page say how the consent has ended, once."""
    services = bootstrap.services()
    response.set_cookie(
        DONE,
        result.how or "",
        max_age=60,
        path=PATH,
        secure=services.settings.public_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def ask_disconnect(request: Request) -> Response:
    """`GET /settings/disconnect`: say what it means, and ask."""
    services = bootstrap.services()
    session = _session(services, request)
    return _page(services, "disconnect.html", **_shown(services, session))


def disconnect(request: Request) -> Response:
    """`POST /settings/disconnect`: do it (C6)."""
    services = bootstrap.services()
    session = _from_own_form(services, request)
    services.connections.disconnect(session.user)
    return pages.redirect(PATH)


def problem_page(problem: Problem) -> Response:
    """A refusal, in words."""
    services = bootstrap.services()
    return _page(services, "refused.html", problem.status, code=problem.code)


# --- who looks ---------------------------------------------------------------------


def _session(services: Services, request: Request) -> Session:
    """The session of this browser, of a user who is still a member."""
    session = services.sessions.find(request.cookies.get(COOKIE))
    if session is None:
        raise Problem(401, "session_over", "The session is over.")
    memberships = services.directory.subaccounts_of(session.user)
    if not session.subaccounts.intersection(memberships):
        raise Problem(403, "forbidden", "This user is in none of these subaccounts.")
    return session


def _from_own_form(services: Services, request: Request) -> Session:
    """The session of a form that was sent from the page itself, and nowhere else."""
    session = _session(services, request)
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Problem(403, "forbidden", "This form belongs to another site.")
    if not session.admits(request.form.get("form_token", "")):
        raise Problem(403, "forbidden", "This form is not from this session.")
    return session


def _set_cookie(services: Services, response: Response, secret: str) -> None:
    """Bind the session to this browser; in a foreign frame only where one is allowed.

    There the browser must send it across sites, and keeps it apart for each CRM.
    """
    secure = services.settings.public_url.startswith("https:")
    framed = secure and bool(services.settings.frame_ancestors)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=SESSION_MINUTES * 60,
        path=PATH,
        secure=secure,
        httponly=True,
        # Lax, not Strict: the way back from Google begins at another site.
        samesite="None" if framed else "Lax",
        partitioned=framed,
    )


# --- what is shown -----------------------------------------------------------------


def _page(
    services: Services, template: str, status: int = 200, **shown: Any
) -> Response:
    ancestors = services.settings.frame_ancestors
    return pages.page(template, status, frame_ancestors=ancestors, **shown)


def _shown(services: Services, session: Session) -> dict[str, Any]:
    user = session.user
    own = services.directory.subaccounts_of(user)
    covered = [subaccount for subaccount in own if subaccount in session.subaccounts]
    members = [services.directory.member(subaccount, user) for subaccount in covered]
    logs_no_bcc = services.bcc.lead_nowhere()
    bcc = {} if logs_no_bcc else services.bcc.show_all(user, covered)
    names: dict[str, Any] = {
        subaccount: services.directory.subaccount(subaccount) for subaccount in covered
    }
    view = _view(services, user)
    now = services.gateways.clock.now()
    return {
        "member": next((member for member in members if member is not None), None),
        "view": view,
        "form_token": session.form_token,
        "synced": _ago(view.get("last_synced_at"), now),
        "since": _day(view.get("connected_at")),
        "logs_no_bcc": logs_no_bcc,
        "bcc": [
            (names[subaccount].name, address)
            for subaccount, address in bcc.items()
            if names.get(subaccount) is not None
        ],
    }


def _view(services: Services, user: UserId) -> dict[str, Any]:
    try:
        return services.connections.view(user)
    except Problem:
        return {"status": "never", "warnings": []}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> str | None:
    moment = _moment(text)
    return f"{moment.day} {moment:%B %Y}" if moment else None


def _ago(text: str | None, now: datetime) -> str | None:
    """How long ago, in words."""
    moment = _moment(text)
    if moment is None:
        return None
    seconds = max(timedelta(0), now.astimezone(UTC) - moment).total_seconds()
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        count = int(seconds // unit)
        if count:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
