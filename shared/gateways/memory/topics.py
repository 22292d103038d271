"""Topics in memory: what was published, and optionally who hears it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from shared.gateways.topic_rules import check_events
from shared.ports import Event

Subscriber = Callable[[str, Event], None]


class MemoryTopics:
    """Implements `ports.Topics`; thread safe.

    `subscriber` is called with each event after it was recorded, in the publisher's
    thread and outside the lock, so that it may publish in turn.
    """

    def __init__(self, subscriber: Subscriber | None = None) -> None:
        self._lock = threading.Lock()
        self._published: list[tuple[str, Event]] = []
        self._subscriber = subscriber

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Record, then deliver."""
        check_events(topic, events)
        with self._lock:
            self._published.extend((topic, event) for event in events)
        if self._subscriber is not None:
            for event in events:
                self._subscriber(topic, event)

    def published(self, topic: str | None = None) -> list[Event]:
        """What was published so far, to one topic or to all, oldest first."""
        with self._lock:
            return [event for name, event in self._published if topic in {None, name}]

    def take(self) -> list[tuple[str, Event]]:
        """Hand over what was published since the last `take`, with its topic."""
        with self._lock:
            taken, self._published = self._published, []
        return taken
