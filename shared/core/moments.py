"""Moments as they are stored: milliseconds since the epoch, in UTC."""

from __future__ import annotations

from datetime import datetime

MAX_MOMENT = 253_402_300_799_999
"""The last of the year 9999: later ones cannot be written (RFC 3339)."""


def to_epoch_ms(at: datetime) -> int:
    """Turn a moment into the number that documents and events keep."""
    return int(at.timestamp() * 1000)
