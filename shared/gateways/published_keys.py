"""Public keys of whoever signs tokens: Google's ID tokens, and Pub/Sub's pushes.

Published as a JWK set, or as a map of key id to PEM certificate; both forms are
Google's. Not PyJWT's own client, which reads the first form only, an answer of any
length, and asks again for each made-up key id while the publisher is down
(docs/decisions/2026-12-peers-are-bounded.md).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import requests
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from requests.adapters import BaseAdapter

from shared.errors import Misconfigured, RateLimited, SyncError, Transient
from shared.gateways.http_exchange import BoundedAdapter, exchange

_SECONDS = 10.0
_FRESH_SECONDS = 3600.0
# Tokens with a made-up key id cost nobody a request more often than this.
_REFETCH_SECONDS = 10.0
_MAX_BYTES = 256 * 1024
_LEAST_KEY_BITS = 2048
_TOO_MANY, _SERVER_FAULT = 429, 500

Keys = Mapping[str, RSAPublicKey]


class PublishedKeys:
    """Fetched on first use, kept an hour, fetched again for a key it does not know.

    Thread safe: all that miss a key at one time wait for one request.
    """

    def __init__(
        self,
        url: str,
        adapter: Callable[[], BaseAdapter] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetch nothing yet. `now` counts seconds."""
        self._url = url
        own = BoundedAdapter()
        self._adapter = adapter or (lambda: own)
        self._now = now
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at = float("-inf")
        self._in_vain_at = float("-inf")
        self._tries = 0
        self._fault: SyncError | None = None

    def warm(self) -> None:
        """Make sure that there are keys; raises Transient or Misconfigured.

        Keys that are too old are better than none while no new ones can be had.
        """
        if self._is_fresh():
            return
        try:
            self._fetch(self._is_fresh)
        except SyncError:
            if not self._keys:
                raise

    def key(self, kid: str | None) -> RSAPublicKey | None:
        """The key with this id, None when there is none; raises as `warm` does."""
        tries = self._tries
        self.warm()
        found = self._pick(kid)
        if found is not None:
            return found
        if self._tries == tries and self._may_ask_again():
            self._fetch(lambda: self._pick(kid) is not None)
            found = self._pick(kid)
        if found is None:
            self._in_vain_at = max(self._in_vain_at, self._fetched_at)
            if self._fault is not None:
                raise self._fault
        return found

    def _is_fresh(self) -> bool:
        return 0 <= self._now() - self._fetched_at < _FRESH_SECONDS

    def _may_ask_again(self) -> bool:
        return not 0 <= self._now() - self._in_vain_at < _REFETCH_SECONDS

    def _pick(self, kid: str | None) -> RSAPublicKey | None:
        keys = self._keys
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(kid or "")

    def _fetch(self, is_done: Callable[[], bool]) -> None:
        """Fetch, unless another thread does so just now; its end is ours then."""
        before = self._tries
        with self._lock:
            if self._tries != before:
                if self._fault is not None and not is_done():
                    raise self._fault
                return
            try:
                self._keys = fetch_keys(self._url, self._adapter())
                self._fetched_at = self._now()
                self._fault = None
            except SyncError as fault:
                self._fault = fault
                self._in_vain_at = self._now()
                raise
            finally:
                self._tries += 1


def fetch_keys(url: str, adapter: BaseAdapter) -> Keys:
    """Ask for the keys once; raises Transient or Misconfigured."""
    try:
        answer, body = exchange(
            adapter, "GET", url, most_bytes=_MAX_BYTES, seconds=_SECONDS
        )
    except (OSError, requests.RequestException) as fault:
        kind = type(fault).__name__
        raise Transient(f"The keys of tokens cannot be fetched ({kind}).") from None
    if answer.status == _TOO_MANY:
        raise RateLimited
    if answer.status >= _SERVER_FAULT:
        raise Transient("The keys of tokens cannot be fetched.")
    if answer.status != requests.codes.ok:
        raise Misconfigured("There are no keys of tokens at the address for them.")
    try:
        return read_keys(json.loads(body))
    except (ValueError, RecursionError):
        raise Transient("The keys of tokens cannot be read.") from None


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


def _from_jwk(item: dict[str, Any]) -> Any:
    if item.get("kty") != "RSA" or item.get("use", "sig") != "sig":
        return None
    if item.get("alg", "RS256") != "RS256":
        return None
    try:
        return jwt.PyJWK(item, algorithm="RS256").key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


def _from_pem(text: Any) -> Any:
    raw = text.encode() if isinstance(text, str) else b""
    try:
        if b"BEGIN CERTIFICATE" in raw:
            return x509.load_pem_x509_certificate(raw).public_key()
        return load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
