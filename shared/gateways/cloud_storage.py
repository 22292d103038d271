"""Blobs in Cloud Storage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout

from shared.errors import DocumentMissing, Transient
from shared.gateways.blob_keys import PIECE_BYTES, check_key
from shared.gateways.google_faults import REPEATABLE, translated

_TOTAL_SECONDS = 60.0

# Every call may be repeated: a key is always written whole with the same bytes.
_OPTIONS: dict[str, Any] = {
    "retry": Retry(
        if_exception_type(*REPEATABLE, NoConnection, Timeout),
        initial=0.2,
        maximum=4.0,
        timeout=_TOTAL_SECONDS,
    ),
    "timeout": (5.0, 20.0),
}


class CloudStorageBlobs:
    """Implements `ports.Blobs`; thread safe.

    With `endpoint` (a URL) an emulator without authentication is used instead of
    Google's service.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        client_factory: Callable[[], Client] | None = None,
    ) -> None:
        """Keep blobs in this bucket."""
        self._name = bucket
        self._client_factory = client_factory or (lambda: _make_client(endpoint))
        self._bucket: Bucket | None = None
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store, replacing what was there."""
        check_key(key)
        with translated("Cloud Storage"):
            self._connected().blob(key).upload_from_string(
                data, content_type=content_type, **_OPTIONS
            )

    def get(self, key: str) -> bytes:
        """Read; raises Missing."""
        check_key(key)
        with translated("Cloud Storage"):
            data: bytes = self._connected().blob(key).download_as_bytes(**_OPTIONS)
            return data

    def stream(self, key: str) -> Iterator[bytes]:
        """Read in pieces; raises Missing at once."""
        check_key(key)
        with translated("Cloud Storage"):
            blob = self._connected().get_blob(key, **_OPTIONS)
        if blob is None:
            raise DocumentMissing
        return _pieces(blob)

    def delete_prefix(self, prefix: str) -> None:
        """Remove every key that begins with this."""
        check_key(prefix)
        with translated("Cloud Storage"):
            for blob in self._connected().list_blobs(prefix=prefix, **_OPTIONS):
                try:
                    blob.delete(**_OPTIONS)
                except google.NotFound:
                    continue  # somebody else removed it

    def _connected(self) -> Bucket:
        with self._lock:
            if self._bucket is None:
                self._bucket = self._client_factory().bucket(self._name)
            return self._bucket


def _pieces(blob: Any) -> Iterator[bytes]:
    """Read one generation of a blob; a replacement midway is Transient, not a mix."""
    try:
        with translated("Cloud Storage"):
            for at in range(0, blob.size, PIECE_BYTES):
                yield blob.download_as_bytes(
                    start=at,
                    end=min(at + PIECE_BYTES, blob.size) - 1,
                    if_generation_match=blob.generation,
                    # A checksum is of the whole, and this is a part.
                    checksum=None,
                    **_OPTIONS,
                )
    except DocumentMissing:
        raise Transient("A blob was removed while it was read.") from None


def _make_client(endpoint: str | None) -> Client:
    if endpoint is None:
        return Client()
    return Client(
        project="local",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": endpoint},
    )
