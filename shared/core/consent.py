"""Rules of connecting a mailbox: what must be granted, where the browser may go."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

CONSUMER_DOMAINS = frozenset({"gmail.com", "googlemail.com"})


def is_consumer(address: str) -> bool:
    """Say whether an address is a free consumer one (C3)."""
    return address.rpartition("@")[2] in CONSUMER_DOMAINS


def missing_scopes(wanted: Iterable[str], granted: frozenset[str]) -> tuple[str, ...]:
    """The permissions that were asked for and not granted, in the order asked.

    Google answers `email` and `profile` under their long names.
    """
    names = granted | {
        short
        for short in ("email", "profile")
        if f"https://www.googleapis.com/auth/userinfo.{short}" in granted
    }
    return tuple(scope for scope in wanted if scope not in names)


def may_return_to(url: str, allowed: Iterable[str]) -> bool:
    """Say whether the browser may be sent to this URL: only an allow-listed origin.

    The URL must be plain: no control character, no back slash, no user info, which
    browsers and parsers read differently.
    """
    if any(ord(char) <= 0x20 or ord(char) == 0x7F or char == "\\" for char in url):  # noqa: PLR2004
        return False
    try:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        port_is_sane = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return "@" not in parts.netloc and port_is_sane and origin in set(allowed)
