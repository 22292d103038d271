"""Short sessions of the settings page: a caller's token traded for a cookie.

The token comes in the page's address, which browsers keep and show; so it is traded at
once, and only once. The cookie's value is random and new with each token, so nobody can
be made to use a session that somebody else knows, and only its digest is stored.
"""

from __future__ import annotations

import hmac
import secrets as random_tokens
from dataclasses import dataclass
from datetime import timedelta

from shared.core.ids import SubaccountId, UserId, digest
from shared.errors import AlreadyExists, Problem
from shared.ports import Clock, Create, Delete, Documents
from shared.repositories import paths
from shared.services.auth.authentication import (
    AHEAD_LEEWAY_SECONDS,
    MAX_LIFETIME_SECONDS,
    Authentication,
)

SESSION_MINUTES = 30
_MAX_CHARS = 128
# A token that is older than this is refused for its age.
_TOKEN_LIFETIME = timedelta(seconds=MAX_LIFETIME_SECONDS + AHEAD_LEEWAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Session:
    """Who looks at the page. `form_token` is what the page's forms must bring back.

    `link` is the digest of the link that the session was opened with.
    """

    user: UserId
    subaccounts: frozenset[SubaccountId]
    form_token: str
    link: str

    def admits(self, form_token: str) -> bool:
        """Whether a form comes from this session's own page (CSRF)."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


class Sessions:
    """Opens and finds sessions."""

    def __init__(
        self, documents: Documents, authentication: Authentication, clock: Clock
    ) -> None:
        self._documents = documents
        self._authentication = authentication
        self._clock = clock

    def open(self, token: str) -> str:
        """Trade a user's token for a session; returns the cookie's value.

        Raises Problem for a bad token, for one that was traded before, and for the
        backend's: the page is a user's own.
        """
        caller = self._authentication.caller(f"Bearer {token}")
        if caller.user is None:
            raise Problem(403, "forbidden", "This page is for users.")
        secret = random_tokens.token_urlsafe(32)
        document = {
            "user": caller.user,
            "subaccounts": sorted(caller.subaccounts),
            "form_token": random_tokens.token_urlsafe(32),
            "link": _link(token),
            "expires_at": self._clock.now() + timedelta(minutes=SESSION_MINUTES),
        }
        spent = {"expires_at": self._clock.now() + _TOKEN_LIFETIME}
        try:
            self._documents.commit(
                [
                    Create(paths.spent_link(_link(token)), spent),
                    Create(paths.session(secret), document),
                ]
            )
        except AlreadyExists:
            raise Problem(401, "link_used", "This link has been used.") from None
        return secret

    def opened_by(self, token: str, secret: str | None) -> bool:
        """Whether this token opened this cookie's session: the page is reloaded."""
        session = self.find(secret)
        return session is not None and session.link == _link(token)

    def find(self, secret: str | None) -> Session | None:
        """The session of a cookie; None when there is none, or it is over."""
        if not secret or len(secret) > _MAX_CHARS:
            return None
        data = self._documents.get([paths.session(secret)])[0].data
        if not data or data["expires_at"] <= self._clock.now():
            return None
        return Session(
            UserId(data["user"]),
            frozenset(map(SubaccountId, data["subaccounts"])),
            data["form_token"],
            data.get("link", ""),
        )

    def end(self, secret: str | None) -> None:
        """Forget a session."""
        if secret and len(secret) <= _MAX_CHARS:
            self._documents.commit([Delete(paths.session(secret))])


def _link(token: str) -> str:
    """What is one token, however its signature is spelt: base64 has spare bits."""
    return digest("settings-link", token.rpartition(".")[0])
