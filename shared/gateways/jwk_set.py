"""The public keys of whoever signs the tokens of pushes, as a JWK set over HTTP."""

from __future__ import annotations

import threading
import time
from typing import Any

import jwt
import requests

from shared.errors import Transient

_TIMEOUT_SECONDS = 5
_FRESH_SECONDS = 3600
# Tokens with a made-up key id cost nobody a request more often than this.
_REFETCH_SECONDS = 10
_MAX_BYTES = 256 * 1024


class JwkSet:
    """Fetched on first use, kept an hour, fetched again for a key it does not know."""

    def __init__(self, url: str) -> None:
        """Fetch nothing yet."""
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None

    def key(self, kid: str) -> jwt.PyJWK | None:
        """The key with this id, None when there is none; raises Transient."""
        with self._lock:
            age = (
                float("inf")
                if self._fetched_at is None
                else time.monotonic() - self._fetched_at
            )
            if age >= _FRESH_SECONDS or (
                kid not in self._keys and age >= _REFETCH_SECONDS
            ):
                self._refresh(kid)
            return self._keys.get(kid)

    def _refresh(self, kid: str) -> None:
        try:
            self._keys = self._fetch()
            self._fetched_at = time.monotonic()
        except (requests.RequestException, ValueError, jwt.PyJWTError):
            # A key that was good an hour ago is better than no mail at all.
            if kid not in self._keys:
                raise Transient("The keys of push tokens cannot be read.") from None

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        answer = requests.get(
            self._url, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
        if answer.status_code != requests.codes.ok or len(answer.content) > _MAX_BYTES:
            raise ValueError("not a JWK set")
        document: Any = answer.json()
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise jwt.PyJWKSetError("not a JWK set")
        keys: dict[str, jwt.PyJWK] = {}
        for one in listed:
            try:
                keys[str(one["kid"])] = jwt.PyJWK(one, algorithm="RS256")
            except (jwt.PyJWTError, KeyError, TypeError, ValueError):
                continue  # a kind of key that no push is signed with
        return keys
