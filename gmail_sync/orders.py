"""The operator's orders to a whole deployment: stop sending, and go on.

They go through the topic `scheduled-jobs`, to which only the clock and who administers
the project may publish. A caller's token gives no orders: whoever has stolen it, or the
CRM's backend, cannot resume what was paused.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests

from gmail_sync.api import SECONDS, Ask
from gmail_sync.running import CommandError

TOPIC = "scheduled-jobs"
PAUSE, RESUME = "pause-sending", "resume-sending"
_LOOK_SECONDS = 0.5

Publish = Callable[[bytes], None]


def order(
    publish: Publish,
    name: str,
    subaccount: str | None,
    *,
    drop: bool,
    at: int | None = None,
) -> None:
    """Publish an order, with the moment (ms) at which it was given."""
    moment = int(time.time() * 1000) if at is None else at
    job: dict[str, Any] = {"job": name, "at": moment}
    if subaccount is not None:
        job["subaccount"] = subaccount
    if drop:
        job["drop"] = True
    publish(json.dumps(job).encode())


def in_project(project: str) -> Publish:
    """Publish in this project, with the operator's own credentials."""
    from shared.errors import SyncError
    from shared.gateways.pubsub import PubSubTopics
    from shared.ports import Event

    def publish(data: bytes) -> None:
        try:
            PubSubTopics(project).publish(TOPIC, [Event(data)])
        except SyncError as error:
            raise CommandError(f"The order was not taken: {error}") from None

    return publish


def to_function(push: str) -> Publish:
    """Push to the local function as Pub/Sub would: there may be no emulator."""

    def publish(data: bytes) -> None:
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": uuid.uuid4().hex,
        }
        try:
            response = requests.post(
                f"{push}/schedule",
                json={"message": message, "subscription": "operator"},
                timeout=SECONDS,
            )
        except requests.RequestException as error:
            raise CommandError(f"{push}: {type(error).__name__}") from None
        if not response.ok:
            raise CommandError(f"The order was not taken ({response.status_code}).")

    return publish


def paused(ask: Ask) -> int:
    """How many pauses are in force: of the deployment, and of single subaccounts."""
    return int(ask("GET", "/health")["issues"].get("sending_paused", 0))


def confirmed(ask: Ask, name: str, subaccount: str | None, before: int) -> str:
    """Wait until `/health` shows that the order is carried out, and say so.

    `before` is what `paused` was when it was given. Raises CommandError when it does
    not show in time.
    """
    what = "Sending" if subaccount is None else f"Sending of {subaccount}"
    until = time.monotonic() + SECONDS
    while True:
        now = paused(ask)
        if name == PAUSE and now:
            return f"{what} is paused: within five seconds nothing goes out any more."
        if name == RESUME and (now < before or not now):
            return f"{what} goes on; what waited is published anew.{_left(now)}"
        if time.monotonic() >= until:
            raise CommandError(
                f"It was ordered, but /health does not show it yet.{_left(now)}"
            )
        time.sleep(_LOOK_SECONDS)


def _left(pauses: int) -> str:
    """Say what is paused still, if anything."""
    match pauses:
        case 0:
            return ""
        case 1:
            return " One other pause is in force."
        case _:
            return f" {pauses} other pauses are in force."
