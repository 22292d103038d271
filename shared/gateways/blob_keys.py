"""What every blob store takes as a key."""

from __future__ import annotations

from shared.errors import Permanent

PIECE_BYTES = 1024 * 1024
# Cloud Storage "About objects" (read 2026-11).
MAX_KEY_BYTES = 1024


def check_key(key: str) -> None:
    """Refuse a key (or prefix) that Cloud Storage refuses.

    An empty prefix is refused too: nobody empties the whole store by accident.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Permanent("A blob key is not valid Unicode.") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise Permanent(f"A blob key has 1 to {MAX_KEY_BYTES} bytes.")
    if key in {".", ".."} or "\r" in key or "\n" in key:
        raise Permanent("A blob key has a form that Cloud Storage refuses.")
