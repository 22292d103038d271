"""Publishes notifications to Pub/Sub, over its REST interface."""

from __future__ import annotations

import base64
import logging

import requests

from .world import Publish

_TIMEOUT_SECONDS = 5
_log = logging.getLogger(__name__)


def publisher(emulator: str | None) -> Publish:
    """Return what publishes to an emulator; without one, notifications are only shown.

    A topic that cannot be reached loses the notification, as it does at Google.
    """
    if not emulator:
        return _show
    session = requests.Session()
    session.trust_env = False
    base = emulator if "://" in emulator else f"http://{emulator}"

    def publish(topic: str, data: bytes, attributes: dict[str, str]) -> None:
        message = {
            "data": base64.b64encode(data).decode("ascii"),
            "attributes": attributes,
        }
        try:
            session.post(
                f"{base}/v1/{topic}:publish",
                json={"messages": [message]},
                timeout=_TIMEOUT_SECONDS,
            ).raise_for_status()
        except requests.RequestException as problem:
            _log.warning("notification lost: %s", type(problem).__name__)

    return publish


def _show(topic: str, data: bytes, _attributes: dict[str, str]) -> None:
    _log.info("notification for %s: %s", topic, data.decode())
