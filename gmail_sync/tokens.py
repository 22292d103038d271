"""A caller's token, as a CRM's backend mints it with its key."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jwt

ISSUER = "crm"
AUDIENCE = "gmail-sync"
SECONDS = 3300


def mint(
    key: str, *, sub: str, subaccounts: Sequence[str], seconds: int = SECONDS
) -> str:
    """A token that says who calls and which subaccounts it may touch."""
    return jwt.encode(
        {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "subaccounts": list(subaccounts),
            "exp": int(time.time()) + seconds,
        },
        key,
        algorithm="HS256",
    )
