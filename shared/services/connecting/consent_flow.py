"""One consent from its link to Google's answer: bound to one browser, used once.

The link names a random flow. The first browser that opens it gets a cookie and is the
only one that can use the link from then on; each flow has a cookie of its own, so
consents in several tabs do not disturb each other. `state` is random, kept as a digest,
used once and within ten minutes. An answer that fails any check changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_tokens
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.core.ids import UserId, digest
from shared.errors import Conflict, Problem
from shared.logs import log
from shared.ports import Clock, Create, Delete, Documents, Snapshot, Update
from shared.repositories import paths

FLOW_MINUTES = 10
"""How long a consent may take; then its link and its state are worthless."""
_COOKIE = "gmail_sync_flow_"
_MAX_CHARS = 256


@dataclass(frozen=True, slots=True)
class Bound:
    """A flow in its browser: what it is about, and the cookie that proves it."""

    data: Mapping[str, Any]
    cookie_name: str
    cookie: str

    @property
    def user(self) -> UserId:
        """Whose connection it is about."""
        return UserId(self.data["user"])

    @property
    def form_token(self) -> str:
        """What the form of this flow's page must bring back (CSRF)."""
        return digest("form", self.cookie)


@dataclass(frozen=True, slots=True)
class Spent(Bound):
    """A flow whose answer has come. `verifier` is that of PKCE."""

    verifier: str


class ConsentFlows:
    """Opens, binds and spends flows. Knows nothing of Google."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def open(self, about: Mapping[str, Any], browser: str | None = None) -> str:
        """Make a flow; returns the secret that its link names.

        With `browser`, the value of a cookie, it is bound to that one from the start.
        """
        flow = random_tokens.token_urlsafe(32)
        document = {
            **about,
            "browser": _browser(browser) if browser else None,
            "expires_at": self._clock.now() + timedelta(minutes=FLOW_MINUTES),
        }
        self._documents.commit([Create(paths.oauth_flow(flow), document)])
        return flow

    def bind(self, flow: str, cookies: Mapping[str, str]) -> Bound:
        """Bind a flow to the browser that opens its link first; others are refused.

        The same browser may open it again. Of two that open it at the same moment one
        wins. Raises Problem when the link is unknown, used or too old.
        """
        found = self._fresh_flow(flow)
        if found.data["browser"] is not None:
            return self._bound(found, cookies)
        cookie = random_tokens.token_urlsafe(48)
        change = {"browser": _browser(cookie)}
        try:
            self._documents.commit([Update(found.path, change, found.version)])
        except Conflict:
            raise _opened_elsewhere() from None
        return Bound(found.data, cookie_name(flow), cookie)

    def find(self, flow: str, cookies: Mapping[str, str], form_token: str) -> Bound:
        """The flow of a form that this browser sends; raises Problem for any other."""
        bound = self._bound(self._fresh_flow(flow), cookies)
        if not hmac.compare_digest(bound.form_token.encode(), form_token.encode()):
            raise Problem(403, "forbidden", "This form is not from this page.")
        return bound

    def look(self, flow: str, cookies: Mapping[str, str]) -> Bound:
        """The flow of a link that belongs to this browser; raises Problem otherwise."""
        return self._bound(self._fresh_flow(flow), cookies)

    def leave(self, flow: str, bound: Bound) -> tuple[str, str]:
        """Send the browser to Google; returns the state and the PKCE challenge."""
        state = random_tokens.token_urlsafe(32)
        document = {
            "flow": paths.oauth_flow(flow),
            "expires_at": bound.data["expires_at"],
        }
        self._documents.commit([Create(paths.oauth_state(state), document)])
        # S256 of RFC 7636 §4.2.
        hashed = hashlib.sha256(_verifier(bound.cookie, state).encode()).digest()
        return state, _base64(hashed)

    def spend(self, state: str, cookies: Mapping[str, str]) -> Spent | None:
        """The flow of a state that this browser began, once; its link is used then."""
        found = self._documents.get([paths.oauth_state(state)])[0]
        if not self._is_fresh(found):
            return None
        flow = self._documents.get([found.data["flow"]])[0]
        if not self._is_fresh(flow):
            return None
        try:
            bound = self._bound(flow, cookies)
            self._documents.commit(
                [
                    Delete(found.path, found.version),
                    Delete(flow.path, flow.version),
                ]
            )
        except Problem:
            log.warning("consent_from_another_browser")
            return None
        except Conflict:
            return None
        return Spent(
            bound.data,
            bound.cookie_name,
            bound.cookie,
            _verifier(bound.cookie, state),
        )

    def use_up(self, flow: str) -> None:
        """End a flow; raises Problem when somebody else has ended it."""
        found = self._fresh_flow(flow)
        try:
            self._documents.commit([Delete(found.path, found.version)])
        except Conflict:
            raise _too_old() from None

    def _fresh_flow(self, flow: str) -> Snapshot:
        if not flow or len(flow) > _MAX_CHARS:
            raise _too_old()
        found = self._documents.get([paths.oauth_flow(flow)])[0]
        if not self._is_fresh(found):
            raise _too_old()
        return found

    def _bound(self, found: Snapshot, cookies: Mapping[str, str]) -> Bound:
        name = _cookie_name(found.path)
        cookie = cookies.get(name, "")
        known = found.data["browser"] or ""
        if not hmac.compare_digest(known, _browser(cookie)):
            raise _opened_elsewhere()
        return Bound(found.data, name, cookie)

    def _is_fresh(self, found: Snapshot) -> bool:
        expires_at: datetime | None = found.data.get("expires_at")
        return expires_at is not None and expires_at > self._clock.now()


def cookie_name(flow: str) -> str:
    """The cookie that binds this flow to a browser."""
    return _cookie_name(paths.oauth_flow(flow))


def _cookie_name(path: str) -> str:
    return _COOKIE + path.rpartition("/")[2][:16]


def _browser(cookie: str) -> str:
    return digest("browser", cookie)


def _verifier(cookie: str, state: str) -> str:
    """A PKCE verifier for each state, which nobody has without the cookie."""
    return _base64(hmac.digest(cookie.encode(), state.encode(), "sha256"))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _too_old() -> Problem:
    return Problem(
        400, "flow_expired", "This link is too old. Begin again in your CRM."
    )


def _opened_elsewhere() -> Problem:
    return Problem(
        403, "opened_elsewhere", "This link was opened in another browser first."
    )
