"""Moments as they are stored: milliseconds since the epoch, in UTC."""

from __future__ import annotations

from datetime import datetime


def to_epoch_ms(at: datetime) -> int:
    """Turn a moment into the number that documents and events keep."""
    return int(at.timestamp() * 1000)
