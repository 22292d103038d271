"""Verifying Google's ID tokens (OpenID Connect Core §3.1.3.7).

The keys come from the client file's `auth_provider_x509_cert_url`: a JWK set or a map
of PEM certificates. They are cached, and fetched again for a key id not seen before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
import requests
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.errors import Malformed, Misconfigured, RateLimited, Transient

_TIMEOUT = (5.0, 20.0)
_KEEP = timedelta(hours=1)
# Clocks of two machines differ a little.
_LEEWAY_SECONDS = 60.0
_LEAST_KEY_BITS = 2048
_OK, _TOO_MANY, _SERVER_FAULT = 200, 429, 500

Keys = Mapping[str, RSAPublicKey]


class SigningKeys:
    """The keys that ID tokens are signed with; thread safe."""

    def __init__(
        self, url: str, session: requests.Session, now: Callable[[], datetime]
    ) -> None:
        """Fetch nothing yet."""
        self._url = url
        self._session = session
        self._now = now
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at: datetime | None = None

    def warm(self) -> None:
        """Make sure that there are keys; raises Transient or Misconfigured."""
        with self._lock:
            at = self._fetched_at
            if at is None or not at <= self._now() < at + _KEEP:
                self._fetch()

    def find(self, kid: str | None) -> RSAPublicKey:
        """The key with this id; raises Malformed when there is none."""
        self.warm()
        with self._lock:
            found = self._pick(kid)
            if found is None:
                # Keys rotate: a new one is used before our copy is old.
                self._fetch()
                found = self._pick(kid)
        if found is None:
            raise Malformed("The ID token is signed with an unknown key.")
        return found

    def _pick(self, kid: str | None) -> RSAPublicKey | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid or "")

    def _fetch(self) -> None:
        try:
            answer = self._session.get(
                self._url, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as fault:
            kind = type(fault).__name__
            raise Transient(f"Google's keys cannot be fetched ({kind}).") from None
        if answer.status_code == _TOO_MANY:
            raise RateLimited
        if answer.status_code >= _SERVER_FAULT:
            raise Transient("Google's keys cannot be fetched.")
        if answer.status_code != _OK:
            raise Misconfigured("There are no keys at auth_provider_x509_cert_url.")
        try:
            self._keys = read_keys(answer.json())
        except ValueError:
            raise Transient("Google's keys cannot be read.") from None
        self._fetched_at = self._now()


def read_keys(document: Any) -> Keys:
    """Read a JWK set, or a map of key id to PEM certificate (or PEM public key).

    A key that is not for RS256 signatures is left out; raises ValueError for what is
    neither form.
    """
    if not isinstance(document, dict):
        raise ValueError("neither a JWK set nor a map of certificates")  # noqa: TRY004
    listed = document.get("keys")
    if isinstance(listed, list):
        read = {
            str(item.get("kid", "")): _from_jwk(item)
            for item in listed
            if isinstance(item, dict)
        }
    else:
        read = {kid: _from_pem(text) for kid, text in document.items()}
    keys = {
        kid: key
        for kid, key in read.items()
        if isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_KEY_BITS
    }
    if not keys:
        raise ValueError("no usable key")
    return keys


def verify(
    token: str,
    *,
    keys: SigningKeys,
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
        key = keys.find(kid if isinstance(kid, str) else None)
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
    except (jwt.PyJWTError, ValueError) as fault:
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


def _from_jwk(item: dict[str, Any]) -> Any:
    if item.get("kty") != "RSA" or item.get("use", "sig") != "sig":
        return None
    if item.get("alg", "RS256") != "RS256":
        return None
    try:
        return jwt.PyJWK(item, algorithm="RS256").key
    except jwt.PyJWTError:
        return None


def _from_pem(text: Any) -> Any:
    raw = text.encode() if isinstance(text, str) else b""
    try:
        if b"BEGIN CERTIFICATE" in raw:
            return x509.load_pem_x509_certificate(raw).public_key()
        return load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
