"""What a method of the API gets to work with, and the table of methods."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from .accounts import Account
from .errors import bad_request
from .faults import Fault
from .mailbox import Mailbox
from .settings import Settings
from .world import GmailWorld

Answer = dict[str, Any] | None
Handler = Callable[["Context"], Answer]
HANDLERS: dict[str, Handler] = {}
T = TypeVar("T")


@dataclass
class Context:
    """One call of one method, authenticated and taken apart."""

    world: GmailWorld
    account: Account
    client_id: str
    scopes: frozenset[str]
    path: dict[str, str]
    query: dict[str, list[str]]
    body: dict[str, Any] = field(default_factory=dict)
    media: bytes | None = None
    lag: Fault | None = None

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the account."""
        return self.account.mailbox

    @property
    def settings(self) -> Settings:
        """The switches of the world."""
        return self.world.settings

    @property
    def now(self) -> datetime:
        """The time of the world."""
        return self.world.clock()

    def text(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def many(self, name: str) -> list[str]:
        """Return a repeated query parameter."""
        return self.query.get(name, [])

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false."""
        return self.text(name).lower() == "true"

    def max_results(self, default: int = 100, limit: int = 500) -> int:
        """Return the size of a page."""
        given = self.text("maxResults", str(default))
        if not given.isdigit():
            raise bad_request("Invalid value for maxResults")
        return min(int(given) or default, limit)

    def names(self, key: str) -> list[str]:
        """Return a list of strings from the body."""
        values = self.body.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise bad_request(f"Invalid value at '{key}'")
        return values


def method(method_id: str) -> Callable[[Handler], Handler]:
    """Enter a function into the table of methods."""

    def enter(handler: Handler) -> Handler:
        HANDLERS[method_id] = handler
        return handler

    return enter


def raw_of(media: bytes | None, resource: dict[str, Any]) -> bytes:
    """Return the mail that a call brings: as media, or in the resource's `raw`."""
    if media is not None:
        return media
    text = resource.get("raw")
    if not isinstance(text, str):
        raise bad_request(
            "'raw' RFC822 payload message string or uploading message via"
            " /upload/* URL required"
        )
    try:
        standard = text.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("Invalid value at 'message.raw' (TYPE_BYTES)") from None


def page_of(
    items: Sequence[T], key: Callable[[T], str], size: int, token: str
) -> tuple[list[T], str | None]:
    """Cut a page out of a list; the token names the last item that was given.

    A list that changes between two pages loses and repeats nothing that stayed.
    """
    start = 0
    if token:
        try:
            last = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
        except (ValueError, UnicodeError):
            raise bad_request("Invalid pageToken") from None
        place = next((i for i, item in enumerate(items) if key(item) <= last), None)
        if place is None:
            return [], None
        start = place + (key(items[place]) == last)
    page = list(items[start : start + size])
    if start + size >= len(items):
        return page, None
    return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode()
