"""Verify who calls the API: the CRM's signed token.

HS256 only; every enabled version of the key counts, so that it can be rotated. Nothing
of the token or the reason reaches the caller; the reason is logged as a code.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import jwt

from shared.core.access import BACKEND, Caller
from shared.core.ids import SubaccountId, is_id
from shared.errors import Misconfigured, Problem
from shared.logs import log
from shared.ports import Clock, Secrets

SIGNING_KEY_SECRET = "api-signing-key"  # noqa: S105  (the secret's name)
DEVELOPMENT_PREFIX = b"development-only"
"""How every development default begins; refused by a deployment."""

ISSUER = "crm"
AUDIENCE = "gmail-sync"
MAX_LIFETIME_SECONDS = 3600
AHEAD_LEEWAY_SECONDS = 5
"""A CRM's clock may run a little ahead of ours; an expired token gets no such grace."""

# A destroyed key stops working within this; reading secrets costs a call.
_KEYS_FRESH_SECONDS = 60
# Tokens that match nothing make us look for a new key at most this often.
_REFETCH_SECONDS = 5
# RFC 7518 §3.2: a key at least as long as the hash.
_MIN_KEY_BYTES = 32
_MAX_TOKEN_CHARS = 8192
_MAX_SUBACCOUNTS = 1000


class _BadToken(Exception):
    """The token is not valid; `args[0]` is the reason's code."""


class SigningKeys:
    """The enabled versions of the signing key, kept for a short time."""

    def __init__(self, secrets: Secrets, clock: Clock, *, development: bool) -> None:
        """Read nothing yet."""
        self._secrets = secrets
        self._now: Callable[[], datetime] = clock.now
        self._development = development
        self._lock = threading.Lock()
        self._keys: tuple[bytes, ...] = ()
        self._read_at: datetime | None = None

    def current(self, *, unmatched: bool = False) -> tuple[bytes, ...]:
        """Newest first. `unmatched` asks to look again, which happens now and then."""
        limit = _REFETCH_SECONDS if unmatched else _KEYS_FRESH_SECONDS
        with self._lock:
            now = self._now()
            read_at = self._read_at
            if read_at is None or (now - read_at).total_seconds() >= limit:
                self._keys = self._read()
                self._read_at = now
            return self._keys

    def _read(self) -> tuple[bytes, ...]:
        # A key added with `echo` ends in a line break nobody meant.
        found = (
            key.rstrip(b"\r\n") for key in self._secrets.read_all(SIGNING_KEY_SECRET)
        )
        keys = tuple(key for key in found if key and self._acceptable(key))
        if not keys:
            raise Misconfigured(
                f"The secret {SIGNING_KEY_SECRET} holds no usable key: at least "
                f"{_MIN_KEY_BYTES} bytes, and not the development default."
            )
        return keys

    def _acceptable(self, key: bytes) -> bool:
        return self._development or (
            len(key) >= _MIN_KEY_BYTES and not key.startswith(DEVELOPMENT_PREFIX)
        )


class Authentication:
    """Tells who calls. Touches nothing but the signing key."""

    def __init__(self, secrets: Secrets, clock: Clock, *, development: bool) -> None:
        """Build with what the composition root holds."""
        self._keys = SigningKeys(secrets, clock, development=development)
        self._clock = clock

    def caller(self, authorization: str | None) -> Caller:
        """Read an `Authorization` header; raises Problem 401."""
        try:
            return self._verify(authorization)
        except _BadToken as bad:
            log.info("token_refused", reason=str(bad.args[0]))
            _refuse(given=bool(authorization))

    def signing_keys(self) -> tuple[bytes, ...]:
        """The enabled keys, newest first: other signatures are derived from them."""
        return self._keys.current()

    def _verify(self, authorization: str | None) -> Caller:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_CHARS:
            raise _BadToken("no_bearer_token")
        claims = self._decode(token, self._keys.current())
        if claims is None:
            claims = self._decode(token, self._keys.current(unmatched=True))
        if claims is None:
            raise _BadToken("bad_signature")
        self._check_times(claims)
        return _caller(claims)

    def _decode(self, token: str, keys: tuple[bytes, ...]) -> dict[str, Any] | None:
        """Claims under the first key that signed it; None when no key did."""
        for key in keys:
            try:
                # Times are checked below, by our own clock; `iat` does not matter.
                decoded: dict[str, Any] = _JWT.decode(
                    token, key, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
                raise _BadToken(type(error).__name__) from None
            return decoded
        return None

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expires, begins = _time(claims.get("exp")), _time(claims.get("nbf", 0))
        if expires <= now:
            raise _BadToken("expired")
        if expires > now + MAX_LIFETIME_SECONDS + AHEAD_LEEWAY_SECONDS:
            raise _BadToken("expires_too_late")
        if begins > now + AHEAD_LEEWAY_SECONDS:
            raise _BadToken("not_yet_valid")


_JWT = jwt.PyJWT(
    options={
        "require": ["exp", "iss", "aud", "sub"],
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
    }
)


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _BadToken("bad_times")
    # Python's JSON knows Infinity, and compares big integers to floats exactly.
    if isinstance(value, float) and not math.isfinite(value):
        raise _BadToken("bad_times")
    return value


def _caller(claims: dict[str, Any]) -> Caller:
    sub, subaccounts = claims.get("sub"), claims.get("subaccounts")
    if not isinstance(sub, str) or not is_id(sub):
        raise _BadToken("bad_sub")
    if not isinstance(subaccounts, list) or len(subaccounts) > _MAX_SUBACCOUNTS:
        raise _BadToken("bad_subaccounts")
    for subaccount in subaccounts:
        if not isinstance(subaccount, str) or not is_id(subaccount):
            raise _BadToken("bad_subaccounts")
    deployment = claims.get("deployment", False)
    if not isinstance(deployment, bool):
        raise _BadToken("bad_deployment")
    return Caller(
        sub,
        frozenset(map(SubaccountId, subaccounts)),
        deployment=deployment and sub == BACKEND,
    )


def _refuse(*, given: bool) -> NoReturn:
    challenge = 'Bearer realm="gmail-sync"'
    if given:
        challenge += ', error="invalid_token"'
    raise Problem(
        401,
        "unauthenticated",
        "The request carries no valid bearer token.",
        headers={"WWW-Authenticate": challenge},
    )
