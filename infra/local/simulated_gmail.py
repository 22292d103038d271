"""The Gmail simulator as part of the local system."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import Any

from gmail_simulator import Client, GmailWorld, Settings, client_file
from gmail_simulator.app import create_app
from shared.errors import SyncError
from shared.ports import Event, Topics

FIRST_ACCOUNT = ("you@agency.example", "You")
"""Exists from the start, so that a person can connect a mailbox at once."""
LOGGING_ACCOUNT = ("log@crm-log.example", "The CRM's log")
"""Mail to a BCC address arrives here, as plus-addresses do (LOCAL_BCC_FORMAT)."""

_TICK_SECONDS = 0.5


def simulated_gmail(topics: Topics, redirect_uri: str) -> Any:
    """A WSGI app: Gmail, consent pages and web mailbox, publishing to our topics."""

    def publish(topic: str, data: bytes, attributes: dict[str, str]) -> None:
        # A topic that cannot be reached loses the notification, as at Google.
        with contextlib.suppress(SyncError):
            topics.publish(topic.rsplit("/", 1)[-1], [Event(data, attributes)])

    # Gmail drops notifications that come faster than one a second, and the sweep finds
    # what they announced; a person who tries the system does not want to wait for it.
    settings = Settings(notification_rate_limited=False, unknown_addresses_bounce=True)
    world = GmailWorld(lambda: datetime.now(UTC), time.time_ns(), publish, settings)
    web = client_file("http://unused", [redirect_uri])["web"]
    world.oauth.register(
        Client(web["client_id"], web["client_secret"], (redirect_uri,))
    )
    world.add_account(*FIRST_ACCOUNT)
    world.add_account(*LOGGING_ACCOUNT)
    threading.Thread(target=_tick, args=(world,), daemon=True).start()
    return create_app(world)


def _tick(world: GmailWorld) -> None:
    """Let delayed notifications go when their time has come."""
    pause = threading.Event()
    while not pause.wait(_TICK_SECONDS):
        world.tick()
