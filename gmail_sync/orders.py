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

from infra.local.state import ROOT, addresses_file

TOPIC = "scheduled-jobs"
PAUSE, RESUME = "pause-sending", "resume-sending"
_SECONDS = 30
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


def publisher(project: str | None) -> Publish:
    """Publish in this project with the operator's own credentials, or here."""
    return _locally if project is None else _in_project(project)


def _in_project(project: str) -> Publish:
    from shared.gateways.pubsub import PubSubTopics
    from shared.ports import Event

    topics = PubSubTopics(project)
    return lambda data: topics.publish(TOPIC, [Event(data)])


def _locally(data: bytes) -> None:
    """Push to the function as Pub/Sub would: there may be no emulator."""
    try:
        addresses = json.loads(addresses_file(ROOT / ".local").read_text())
        answer = requests.post(
            f"{addresses['push']}/schedule",
            json={
                "message": {
                    "data": base64.b64encode(data).decode(),
                    "messageId": uuid.uuid4().hex,
                },
                "subscription": "operator",
            },
            timeout=_SECONDS,
        )
    except (OSError, KeyError):
        raise SystemExit(
            "No system runs here (`make up`); --project names a deployment's."
        ) from None
    if not answer.ok:
        raise SystemExit(f"The order was not taken ({answer.status_code}).")


def confirmed(api: str, name: str, subaccount: str | None) -> str:
    """Wait until `/healthz` shows that the order is carried out, and say so."""
    what = "Sending" if subaccount is None else f"Sending of {subaccount}"
    if name == RESUME:
        return f"{what} goes on; what waited is published anew."
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        try:
            shown = requests.get(f"{api}/healthz", timeout=_SECONDS).json()
        except (OSError, ValueError):
            break
        if shown["troubles"].get("sending_paused"):
            return f"{what} is paused: within five seconds nothing goes out any more."
        time.sleep(_LOOK_SECONDS)
    raise SystemExit(f"It was ordered, but {api}/healthz does not show it yet.")
