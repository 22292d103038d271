"""Where a list continues, as an opaque text that only we can make.

It holds a sort value and an id of the list itself, never a path, and is signed with a
key of the deployment: a token of another list, or a forged one, is refused.
"""

from __future__ import annotations

import hashlib

from itsdangerous import BadData, URLSafeSerializer

from functions.http import problems
from shared.services.auth.authentication import Authentication

Position = tuple[int, str]
"""Sort value and id of the last item of a page."""


def encode(
    authentication: Authentication, list_name: str, position: Position | None
) -> str | None:
    """Make the token of a position; None at the end of the list."""
    if position is None:
        return None
    token = _serializer(authentication, list_name).dumps(position)
    return token if isinstance(token, str) else token.decode("ascii")


def decode(
    authentication: Authentication, list_name: str, token: str | None
) -> Position | None:
    """Read a token back; raises Problem `invalid_page_token`."""
    if token is None:
        return None
    try:
        value, name = _serializer(authentication, list_name).loads(token)
    except (BadData, UnicodeError):
        raise problems.make("invalid_page_token") from None
    return value, name


def _serializer(authentication: Authentication, list_name: str) -> URLSafeSerializer:
    """A signer for one list; the key is derived, so that no token passes for another.

    A page token outlives a rotation as long as its key is enabled.
    """
    oldest_first = authentication.signing_keys()[::-1]
    return URLSafeSerializer(
        list(oldest_first),
        salt=f"page-token/{list_name}".encode(),
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )
