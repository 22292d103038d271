"""Topics and push subscriptions on the Pub/Sub emulator, made at start.

What exists already (an emulator that outlived us) is pointed at this run's shim.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from google.api_core.exceptions import AlreadyExists
from google.cloud import pubsub_v1
from google.pubsub_v1.types import (
    DeadLetterPolicy,
    ExpirationPolicy,
    PushConfig,
    RetryPolicy,
    Subscription,
)

from infra.local import wiring
from infra.local.wiring import Consumer

_SECONDS = 10.0


class Subscriptions:
    """Makes them with Google's own client, as PUBSUB_EMULATOR_HOST says."""

    def __init__(self, project: str) -> None:
        """Connect."""
        self._project = project
        self._publisher = pubsub_v1.PublisherClient()
        self._subscriber = pubsub_v1.SubscriberClient()

    def make(self, shim_url: str) -> None:
        """Make all topics, dead letters and subscriptions; pushes go to the shim."""
        for topic in wiring.TOPICS:
            self._topic(topic)
        for consumer in wiring.CONSUMERS:
            self._topic(consumer.dead_letter_topic)
            self._pull(consumer.dead_letter_topic, consumer.dead_letter_topic)
            self._push(consumer, f"{shim_url}/{consumer.function}")
        for drain in wiring.DRAINS:
            self._push(drain, f"{shim_url}/{drain.function}", final=True)
        self._pull(wiring.LOCAL_EVENTS_SUBSCRIPTION, wiring.EVENTS_TOPIC)

    def close(self) -> None:
        """Disconnect."""
        self._subscriber.close()
        self._publisher.stop()

    def _topic(self, topic: str) -> None:
        with contextlib.suppress(AlreadyExists):
            self._publisher.create_topic(name=self._topic_path(topic), timeout=_SECONDS)

    def _pull(self, subscription: str, topic: str) -> None:
        with contextlib.suppress(AlreadyExists):
            self._subscriber.create_subscription(
                name=self._subscription_path(subscription),
                topic=self._topic_path(topic),
                timeout=_SECONDS,
            )

    def _push(self, consumer: Consumer, endpoint: str, *, final: bool = False) -> None:
        name = self._subscription_path(consumer.subscription)
        push = PushConfig(push_endpoint=endpoint)
        wanted = Subscription(
            name=name,
            topic=self._topic_path(consumer.topic),
            push_config=push,
            ack_deadline_seconds=wiring.ACK_DEADLINE_SECONDS,
            expiration_policy=ExpirationPolicy(),
            retry_policy=RetryPolicy(
                minimum_backoff=timedelta(seconds=wiring.LOCAL_MIN_BACKOFF_SECONDS),
                maximum_backoff=timedelta(seconds=wiring.LOCAL_MAX_BACKOFF_SECONDS),
            ),
            dead_letter_policy=None
            if final
            else DeadLetterPolicy(
                dead_letter_topic=self._topic_path(consumer.dead_letter_topic),
                max_delivery_attempts=wiring.LOCAL_MAX_DELIVERY_ATTEMPTS,
            ),
        )
        try:
            self._subscriber.create_subscription(request=wanted, timeout=_SECONDS)
        except AlreadyExists:
            self._subscriber.modify_push_config(
                subscription=name, push_config=push, timeout=_SECONDS
            )

    def _topic_path(self, topic: str) -> str:
        return str(self._publisher.topic_path(self._project, topic))

    def _subscription_path(self, subscription: str) -> str:
        return str(self._subscriber.subscription_path(self._project, subscription))
