"""The same questions put to the Gmail simulator, to see that the asking works."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import requests

from gmail_simulator import GmailWorld, Settings, WsgiAdapter, create_app
from tools.live_check.mailbox import Mailbox

ADDRESS = "live-check@agency.example"
ENDPOINT = "http://localhost:9"
TOPIC = "projects/rehearsal/topics/gmail-notifications"


class Rehearsal:
    """Implements `questions.Project` with a simulated Gmail."""

    def __init__(self, **settings: bool) -> None:
        """Begin with one watched mailbox; `settings` are the simulator's."""
        self._notified: list[tuple[str, int]] = []
        self._heard = threading.Condition()
        chosen = Settings(notification_rate_limited=False, **settings)  # type: ignore[arg-type]
        self.world = GmailWorld(lambda: datetime.now(UTC), 0, self._published, chosen)
        self.world.add_account(ADDRESS)
        self._token = self.world.grant(ADDRESS).access_token
        self._app = create_app(self.world)
        self.mailbox = Mailbox(ADDRESS, ENDPOINT, lambda: self._token, self._session)
        self.mailbox.must("POST", "watch", {"topicName": TOPIC})

    def next_notification(self, address: str, after: int, seconds: float) -> int | None:
        """Wait for a notification."""
        until = time.monotonic() + seconds
        with self._heard:
            while time.monotonic() < until:
                self.world.tick()
                for whose, history_id in self._notified:
                    if whose == address and history_id > after:
                        return history_id
                self._heard.wait(0.05)
        return None

    def push_ingress(self) -> str:
        """As Terraform sets it."""
        return "ALLOW_INTERNAL_ONLY"

    def probe_push(self, seconds: float) -> bool:  # noqa: ARG002  (as the real one)
        """There is no ingress here: it is taken."""
        return True

    def _published(self, _topic: str, data: bytes, _attributes: dict[str, str]) -> None:
        hint = json.loads(data)
        with self._heard:
            self._notified.append((hint["emailAddress"], int(hint["historyId"])))
            self._heard.notify_all()

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.mount(ENDPOINT, WsgiAdapter(self._app))
        return session
