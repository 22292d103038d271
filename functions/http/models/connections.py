"""Mailboxes: users' connections and the logging mailbox."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.http.fields import Id, Time
from functions.http.models.base import In, Out

_URL_CHARACTERS = r"^[\x21-\x7e]*$"


class ConnectionIn(In):
    """Begin to connect a mailbox; `return_to` is where the browser ends."""

    return_to: (
        Annotated[str, Field(max_length=2000, pattern=_URL_CHARACTERS)] | None
    ) = None


class CapIn(In):
    """A mailbox's own daily cap; null goes back to the deployment's."""

    daily_send_cap: Annotated[int, Field(ge=1, le=10_000)] | None


class Authorization(Out):
    """The URL to open in the user's browser."""

    authorization_url: str


class Warning(Out):  # noqa: A001  (the name of the public schema)
    """Something that the user should know about the connection."""

    code: str
    message: str


class SendAs(Out):
    """An address that the user may send from; `signature` is HTML, "" for none."""

    address: str
    name: str
    signature: str
    default: bool


class Connection(Out):
    """A user's link to a mailbox (C8)."""

    user: Id
    address: str
    status: Literal["active", "reauth_required", "disconnected"]
    connected_at: Time
    watch_expires_at: Time | None
    last_synced_at: Time | None
    sends_left_today: int | None
    warnings: list[Warning]
    send_as: list[SendAs]
    bcc_addresses: dict[str, str]
    sync: dict[str, bool]


class LoggingConnection(Out):
    """The deployment's logging mailbox (B4)."""

    address: str
    status: Literal["active", "reauth_required", "disconnected"]
    connected_at: Time
    watch_expires_at: Time | None
    last_synced_at: Time | None
    warnings: list[Warning]
