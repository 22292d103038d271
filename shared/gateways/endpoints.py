"""Addresses of outside servers that settings may change."""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.errors import Misconfigured

LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


def checked(url: str, name: str) -> str:
    """Give the URL back; raises Misconfigured, naming the setting.

    Tokens travel there: plain http is for servers on loopback.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise Misconfigured(f"{name} is not a URL.") from None
    if not host or parts.username is not None or parts.scheme not in {"http", "https"}:
        raise Misconfigured(f"{name} is not a URL of the form https://host.")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise Misconfigured(f"{name} must be https: plain http is for this machine.")
    return url


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
