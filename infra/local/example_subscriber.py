"""How a CRM consumes `crm-events` (E1): at least once in, exactly once out.

    python -m infra.local.example_subscriber        # prints the local system's events

The three things to take over: the event's `id` is written in the same transaction as
what the event changes; an event seen before is acknowledged and does nothing; and the
acknowledgement comes last.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import requests

from gmail_sync.running import CommandError, find
from infra.local.state import ROOT
from infra.local.wiring import LOCAL_EVENTS_SUBSCRIPTION

_PULL = 50
_SECONDS = 20.0


class Inbox:
    """The CRM's side: a table of the ids that were handled, beside the CRM's data."""

    def __init__(self, file: str | Path = ":memory:") -> None:
        """Open the CRM's database; it outlives the process."""
        self._database = sqlite3.connect(file)
        with self._database:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY)"
            )
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS timeline (type TEXT, subject TEXT)"
            )

    def take(self, raw: bytes) -> bool:
        """Handle one event; false when it had been handled before.

        Both writes are one transaction: a crash leaves none of them or both.
        """
        event: dict[str, Any] = json.loads(raw)
        with self._database:
            new = self._database.execute(
                "INSERT OR IGNORE INTO handled VALUES (?)", (event["id"],)
            )
            if new.rowcount == 0:
                return False
            self._database.execute(
                "INSERT INTO timeline VALUES (?, ?)", (event["type"], event["subject"])
            )
        return True

    def timeline(self) -> list[tuple[str, str]]:
        """What the CRM made of the events."""
        return list(self._database.execute("SELECT type, subject FROM timeline"))


def pull(session: requests.Session, subscription: str) -> list[dict[str, Any]]:
    """Wait for events; none when none come for a while."""
    try:
        response = session.post(
            f"{subscription}:pull", json={"maxMessages": _PULL}, timeout=_SECONDS
        )
    except requests.Timeout:
        return []
    response.raise_for_status()
    received: list[dict[str, Any]] = response.json().get("receivedMessages", [])
    return received


def main() -> None:
    """Pull from the running system's subscription until Ctrl-C.

    In the cloud the same calls go to https://pubsub.googleapis.com, with a
    `google.auth.transport.requests.AuthorizedSession`.
    """
    try:
        running = find()
        folder = ROOT / ".local"
        folder.mkdir(exist_ok=True)
        inbox = Inbox(folder / "example-crm.sqlite")
        path = f"projects/{running.project}/subscriptions/{LOCAL_EVENTS_SUBSCRIPTION}"
        _print_events(inbox, f"{running.pubsub}/v1/{path}")
    except CommandError as error:
        sys.exit(str(error))
    except requests.RequestException:
        sys.exit("The system has ended.")
    except KeyboardInterrupt:
        sys.exit()


def _print_events(inbox: Inbox, subscription: str) -> None:
    with requests.Session() as session:
        while True:
            received = pull(session, subscription)
            for message in received:
                raw = base64.b64decode(message["message"]["data"])
                note = "new" if inbox.take(raw) else "seen before"
                event = json.loads(raw)
                print(f"{event['type']:24} {event['subject']} ({note})", flush=True)
            if received:
                done = [message["ackId"] for message in received]
                session.post(
                    f"{subscription}:acknowledge",
                    json={"ackIds": done},
                    timeout=_SECONDS,
                ).raise_for_status()


if __name__ == "__main__":
    main()
