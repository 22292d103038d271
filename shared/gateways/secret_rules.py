"""What Secret Manager takes as a name and a value."""

from __future__ import annotations

import re

from shared.errors import Permanent

# Secret Manager "Quotas and limits" (read 2026-11).
MAX_VALUE_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check_name(name: str) -> None:
    """Refuse a name that Secret Manager refuses."""
    if not _NAME.fullmatch(name):
        raise Permanent("A secret's name is 1-255 of A-Z, a-z, 0-9, _ and -.")


def check_value(value: bytes) -> None:
    """Refuse a value that Secret Manager refuses."""
    if len(value) > MAX_VALUE_BYTES:
        raise Permanent(f"A secret holds at most {MAX_VALUE_BYTES} bytes.")
