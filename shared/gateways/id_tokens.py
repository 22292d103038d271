"""Verifying Google's ID tokens (OpenID Connect Core §3.1.3.7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import jwt

from shared.errors import Malformed
from shared.gateways.published_keys import PublishedKeys

# Clocks of two machines differ a little.
_LEEWAY_SECONDS = 60.0


def verify(
    token: str,
    *,
    keys: PublishedKeys,
    client_id: str,
    issuers: Collection[str],
    now: datetime,
) -> Mapping[str, Any]:
    """The token's claims; raises Malformed when anything about it is not right."""
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != "RS256":
            raise Malformed("The ID token has another algorithm than RS256.")
        kid = header.get("kid")
        key = keys.key(kid if isinstance(kid, str) else None)
        if key is None:
            raise Malformed("The ID token is signed with an unknown key.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=client_id,
            options={
                "require": ["exp", "iat", "iss", "aud", "sub"],
                "strict_aud": True,
                # Times are checked below, by our own clock.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as fault:
        raise Malformed(
            f"The ID token is not valid ({type(fault).__name__})."
        ) from None
    _check_claims(claims, client_id, issuers, now.timestamp())
    return claims


def _check_claims(
    claims: Mapping[str, Any], client_id: str, issuers: Collection[str], now: float
) -> None:
    if claims["iss"] not in issuers:
        raise Malformed("The ID token is from another issuer.")
    if claims.get("azp", client_id) != client_id:
        raise Malformed("The ID token is for another client.")
    for name in ("exp", "iat"):
        if isinstance(claims[name], bool) or not isinstance(claims[name], int | float):
            raise Malformed("The ID token has a time that is no number.")
    if claims["exp"] <= now - _LEEWAY_SECONDS:
        raise Malformed("The ID token has expired.")
    if claims["iat"] > now + _LEEWAY_SECONDS:
        raise Malformed("The ID token is from the future.")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise Malformed("The ID token names nobody.")
    if claims.get("email_verified") not in {True, "true"}:
        raise Malformed("The ID token's address is not verified.")
    if not isinstance(claims.get("email"), str) or not claims["email"]:
        raise Malformed("The ID token has no address.")
