"""Where a list goes on, as an opaque text.

It holds sort values and an id of the list itself, never a path: whoever makes one up
only moves within what they may read anyway. The check keeps one list's token from
another list, and typing mistakes from looking like an empty list.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from functions.http import problems
from shared.core.ids import digest

_CHECK_CHARS = 12


def encode(list_name: str, position: tuple[Any, ...] | None) -> str | None:
    """Make the token of a position; None at the end."""
    if position is None:
        return None
    text = json.dumps(list(position), separators=(",", ":"))
    raw = (digest("page", list_name, text)[:_CHECK_CHARS] + text).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(list_name: str, token: str | None) -> tuple[int, str] | None:
    """Read a token back: sort value and id; raises Problem `invalid_page_token`."""
    if token is None:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        check, text = raw[:_CHECK_CHARS], raw[_CHECK_CHARS:]
        if check == digest("page", list_name, text)[:_CHECK_CHARS]:
            value, name = json.loads(text)
            if type(value) is int and isinstance(name, str) and name:
                return value, name
    except (ValueError, TypeError, RecursionError, binascii.Error):
        pass
    raise problems.make("invalid_page_token")
