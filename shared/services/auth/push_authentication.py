"""Verify that a push comes from our own subscription: Pub/Sub's OIDC token.

RS256 by a key of the issuer, its issuer, audience, account and expiry; all of it, in
every environment. One machine signs real tokens too.
"""

from __future__ import annotations

from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import Misconfigured, Unauthenticated
from shared.logs import log
from shared.ports import Clock

ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
_SKEW_SECONDS = 10
_MAX_TOKEN_CHARS = 8192


class Keys(Protocol):
    """Public keys by id."""

    def key(self, kid: str) -> RSAPublicKey | None:
        """The key with this id; raises Transient."""


class PushAuthentication:
    """Admits pushes of one subscription's account and audience."""

    def __init__(
        self, keys: Keys, clock: Clock, *, audience: str | None, account: str | None
    ) -> None:
        """Raises Misconfigured without an audience and an account to compare with."""
        if not audience or not account:
            raise Misconfigured(
                "PUSH_AUDIENCE and PUSH_SERVICE_ACCOUNT: both are needed where pushes "
                "are received."
            )
        self._keys = keys
        self._clock = clock
        self._audience = audience
        self._account = account

    def admit(self, authorization: str | None) -> None:
        """Let a push in; raises Suspicious, or Transient when no key can be had."""
        reason = self._objection(authorization or "")
        if reason is not None:
            log.warning("push_refused", reason=reason)
            raise Unauthenticated

    def _objection(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_CHARS:
            return "no_token"
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.key(kid) if isinstance(kid, str) else None
            if key is None:
                return "unknown_key"
            claims: dict[str, Any] = _JWT.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=ISSUERS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            return type(error).__name__
        return self._objection_to(claims)

    def _objection_to(self, claims: dict[str, Any]) -> str | None:
        expires = claims["exp"]
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            return "bad_exp"
        if not expires > self._clock.now().timestamp() - _SKEW_SECONDS:
            return "expired"
        if claims["aud"] != self._audience:  # a list of several is not ours alone
            return "wrong_audience"
        if claims.get("email") != self._account:
            return "wrong_account"
        if claims.get("email_verified") is not True:
            return "account_not_verified"
        return None


_JWT = jwt.PyJWT(
    options={
        "require": ["exp", "iss", "aud"],
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
    }
)
