"""One consent from its link to Google's answer: bound to one browser, good once.

The link names a random flow; opening it binds the flow to that browser by a cookie,
which is also the PKCE verifier; `state` is random, kept as a digest, used once and
within ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as random_tokens
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.ids import UserId, digest
from shared.errors import Conflict, Problem
from shared.logs import log
from shared.ports import Clock, Create, Delete, Documents, Snapshot
from shared.repositories import paths

FLOW_MINUTES = 10
"""How long a consent may take; then its state is worthless."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A flow in one browser: what goes to Google, and what stays in the browser."""

    user: UserId
    state: str
    cookie: str

    @property
    def challenge(self) -> str:
        """PKCE S256 of the cookie (RFC 7636 §4.2)."""
        hashed = hashlib.sha256(self.cookie.encode()).digest()
        return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


class ConsentFlows:
    """Opens, binds and spends flows. Knows nothing of Google."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        """Use these gateways."""
        self._documents = documents
        self._clock = clock

    def open(self, user: UserId, return_to: str | None) -> str:
        """Make a flow; returns the secret that its link names."""
        flow = random_tokens.token_urlsafe(32)
        document = {
            "user": user,
            "return_to": return_to,
            "expires_at": self._clock.now() + timedelta(minutes=FLOW_MINUTES),
        }
        self._documents.commit([Create(paths.oauth_flow(flow), document)])
        return flow

    def bind(self, flow: str) -> Bound:
        """Bind a flow to the browser that opens its link.

        Raises Problem when the link is unknown, used or too old.
        """
        found = self._documents.get([paths.oauth_flow(flow)])[0]
        if not self._is_fresh(found):
            raise Problem(
                400, "flow_expired", "This link is too old. Begin again in your CRM."
            )
        state = random_tokens.token_urlsafe(32)
        cookie = random_tokens.token_urlsafe(48)
        document = {
            "flow": found.path,
            "browser": digest("browser", cookie),
            "expires_at": found.data["expires_at"],
        }
        self._documents.commit([Create(paths.oauth_state(state), document)])
        return Bound(UserId(found.data["user"]), state, cookie)

    def spend(self, state: str, cookie: str) -> Snapshot | None:
        """The flow of a state that this browser began, once."""
        found = self._documents.get([paths.oauth_state(state)])[0]
        if not self._is_fresh(found):
            return None
        if found.data["browser"] != digest("browser", cookie):
            log.warning("consent_from_another_browser")
            return None
        try:
            self._documents.commit([Delete(found.path, found.version)])
        except Conflict:
            return None
        flow = self._documents.get([found.data["flow"]])[0]
        return flow if self._is_fresh(flow) else None

    def _is_fresh(self, found: Snapshot) -> bool:
        expires_at: datetime | None = found.data.get("expires_at")
        return expires_at is not None and expires_at > self._clock.now()
