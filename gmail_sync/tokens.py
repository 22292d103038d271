"""A caller's token, as a CRM's backend mints it with its key."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jwt

ISSUER = "crm"
AUDIENCE = "gmail-sync"
SECONDS = 3300


def mint(
    key: str,
    *,
    sub: str,
    subaccounts: Sequence[str],
    deployment: bool = False,
    seconds: int = SECONDS,
) -> str:
    """A token that says who calls, and which subaccounts it covers.

    `deployment` is the right to what belongs to no subaccount: the logging mailbox, and
    dead letters without a mailbox.
    """
    return jwt.encode(
        {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "subaccounts": list(subaccounts),
            **({"deployment": True} if deployment else {}),
            "exp": int(time.time()) + seconds,
        },
        key,
        algorithm="HS256",
    )
