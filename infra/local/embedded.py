"""Pub/Sub where its emulator is not installed: pushes from this process's memory.

Promises what the emulator does: at least once, backoff after a refusal, dead letters
after the last try. Nothing outlives the process.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import threading
import time
from dataclasses import dataclass, field

import requests

from infra.local import wiring
from infra.local.pull import PullSubscription
from infra.local.wiring import Consumer
from shared.gateways.memory import MemoryTopics
from shared.ports import Event

_PUSHES_IN_FLIGHT = 2
_TAKEN = frozenset({200, 201, 204})


@dataclass(order=True)
class _Delivery:
    """One message on its way to one consumer; ordered by when it is due."""

    due: float
    number: int
    consumer: Consumer = field(compare=False)
    event: Event = field(compare=False)
    attempt: int = field(default=1, compare=False)


class EmbeddedPubSub:
    """Implements `ports.Topics`' memory twin with pushes to the shim."""

    def __init__(self, project: str, shim_url: str) -> None:
        """Start the pushing threads; they end with the process."""
        self._project = project
        self._shim_url = shim_url
        self._numbers = itertools.count(1)
        self._waiting: list[_Delivery] = []
        self._changed = threading.Condition()
        self.events = PullSubscription(
            f"projects/{project}/subscriptions/{wiring.LOCAL_EVENTS_SUBSCRIPTION}"
        )
        self.topics = MemoryTopics(self._enqueue)
        for _ in range(_PUSHES_IN_FLIGHT):
            threading.Thread(target=self._push_for_ever, daemon=True).start()

    def _enqueue(self, topic: str, event: Event) -> None:
        if topic == wiring.EVENTS_TOPIC:
            self.events.add(event)
        for consumer in (*wiring.CONSUMERS, *wiring.DRAINS):
            if consumer.topic == topic:
                number = next(self._numbers)
                self._put(_Delivery(time.monotonic(), number, consumer, event))

    def _put(self, delivery: _Delivery) -> None:
        with self._changed:
            heapq.heappush(self._waiting, delivery)
            self._changed.notify()

    def _next(self) -> _Delivery:
        """Wait for a message that is due."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._waiting and self._waiting[0].due <= now:
                    return heapq.heappop(self._waiting)
                self._changed.wait(
                    self._waiting[0].due - now if self._waiting else None
                )

    def _push_for_ever(self) -> None:
        while True:
            delivery = self._next()
            if not self._push(delivery):
                self._again(delivery)

    def _push(self, delivery: _Delivery) -> bool:
        push = {
            "message": {
                "data": base64.b64encode(delivery.event.data).decode(),
                "attributes": dict(delivery.event.attributes),
                "messageId": str(delivery.number),
            },
            "subscription": f"projects/{self._project}/subscriptions/"
            f"{delivery.consumer.subscription}",
        }
        try:
            answer = requests.post(
                f"{self._shim_url}/{delivery.consumer.function}",
                json=push,
                timeout=wiring.ACK_DEADLINE_SECONDS,
            )
        except requests.RequestException:
            return False
        return answer.status_code in _TAKEN

    def _again(self, delivery: _Delivery) -> None:
        consumer = delivery.consumer
        last = delivery.attempt >= wiring.LOCAL_MAX_DELIVERY_ATTEMPTS
        if last and consumer not in wiring.DRAINS:
            # As Pub/Sub marks what it forwards.
            marks = {
                "CloudPubSubDeadLetterSourceSubscription": consumer.subscription,
                "CloudPubSubDeadLetterSourceDeliveryCount": str(delivery.attempt),
            }
            letter = Event(delivery.event.data, {**delivery.event.attributes, **marks})
            self.topics.publish(consumer.dead_letter_topic, [letter])
            return
        backoff = wiring.LOCAL_MIN_BACKOFF_SECONDS * 2 ** (delivery.attempt - 1)
        delivery.due = time.monotonic() + min(backoff, wiring.LOCAL_MAX_BACKOFF_SECONDS)
        delivery.attempt += 1
        self._put(delivery)
