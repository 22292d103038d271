"""How a CRM consumes `crm-events` (E1): at least once in, exactly once out.

    python -m infra.local.example_subscriber        # prints the local system's events

The three things to take over: the event's `id` is written in the same transaction as
what the event changes; an event seen before is acknowledged and does nothing; and the
acknowledgement comes last.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

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


def main() -> None:
    """Pull from the local subscription until Ctrl-C."""
    from infra.local import wiring
    from infra.local.state import ROOT, addresses_file

    local = json.loads(addresses_file(ROOT / ".local").read_text())
    os.environ.setdefault("PUBSUB_EMULATOR_HOST", local.get("pubsub_emulator_host", ""))
    inbox = Inbox(ROOT / ".local" / "example-crm.sqlite")
    with pubsub_v1.SubscriberClient() as subscriber:
        name = subscriber.subscription_path(
            local["project"], wiring.LOCAL_EVENTS_SUBSCRIPTION
        )
        while True:
            try:
                answer = subscriber.pull(
                    subscription=name, max_messages=_PULL, timeout=_SECONDS
                )
            except DeadlineExceeded:
                continue
            for one in answer.received_messages:
                note = "new" if inbox.take(one.message.data) else "seen before"
                event = json.loads(one.message.data)
                print(f"{event['type']:24} {event['subject']} ({note})")
            done = [one.ack_id for one in answer.received_messages]
            if done:
                subscriber.acknowledge(subscription=name, ack_ids=done)


if __name__ == "__main__":
    main()
