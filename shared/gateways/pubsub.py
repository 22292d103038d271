"""Publishing on Pub/Sub.

One plain call for a list of events, not the client's background batches: a function
may be frozen the moment it has answered, and what a thread still held would be lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from google.api_core.retry import Retry, if_exception_type
from google.cloud.pubsub_v1 import (  # type: ignore[import-untyped]
    PublisherClient as BatchingClient,
)
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.types import PubsubMessage

from shared.errors import DocumentMissing, Misconfigured
from shared.gateways.google_faults import REPEATABLE, translated
from shared.gateways.topic_rules import check_events, event_size
from shared.ports import Event

_CALL_SECONDS = 8.0
_TOTAL_SECONDS = 18.0
# Pub/Sub "Quotas and limits": 1,000 messages and 10 MB a request (read 2026-11).
_EVENTS_PER_CALL = 500
_BYTES_PER_CALL = 5_000_000

# Published twice is allowed (at least once), lost is not.
_RETRY = Retry(
    if_exception_type(*REPEATABLE), initial=0.1, maximum=2.0, timeout=_TOTAL_SECONDS
)


class PubSubTopics:
    """Implements `ports.Topics`; thread safe.

    The client is made at the first use; `PUBSUB_EMULATOR_HOST` is honoured by Google's
    client itself.
    """

    def __init__(
        self,
        project: str,
        *,
        client_factory: Callable[[], PublisherClient] | None = None,
    ) -> None:
        """Publish to this project's topics."""
        self._project = project
        self._client_factory = client_factory or _make_client
        self._client: PublisherClient | None = None
        self._lock = threading.Lock()

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Publish; returns when the service has taken every event.

        When it fails midway, a part may have been published.
        """
        check_events(topic, events)
        name = f"projects/{self._project}/topics/{topic}"
        for part in _calls(events):
            messages = [
                PubsubMessage(data=event.data, attributes=dict(event.attributes))
                for event in part
            ]
            try:
                with translated("Pub/Sub"):
                    self._connected().publish(
                        topic=name,
                        messages=messages,
                        retry=_RETRY,
                        timeout=_CALL_SECONDS,
                    )
            except DocumentMissing as fault:
                raise Misconfigured(f"There is no topic {topic}.") from fault

    def _connected(self) -> PublisherClient:
        with self._lock:
            if self._client is None:
                self._client = self._client_factory()
            return self._client


def _make_client() -> PublisherClient:
    # Only the batching client knows of the emulator; its transport serves plain calls.
    return PublisherClient(transport=BatchingClient().transport)


def _calls(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Cut a list of events into what one request takes."""
    part: list[Event] = []
    size = 0
    for event in events:
        more = event_size(event)
        if part and (len(part) == _EVENTS_PER_CALL or size + more > _BYTES_PER_CALL):
            yield part
            part, size = [], 0
        part.append(event)
        size += more
    if part:
        yield part
