"""What every publisher promises: what was published is received."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import pubsub_v1

from shared.errors import Misconfigured, Permanent
from shared.gateways.memory import MemoryTopics
from shared.gateways.pubsub import PubSubTopics
from shared.ports import Event, Topics
from tests.support.emulators import emulator, unique_project

Received = Callable[[int], list[Event]]
"""Wait for so many events and give them."""


class Wired:
    """A publisher, and what a subscriber of its topic gets."""

    def __init__(self, topics: Topics, received: Received) -> None:
        self.topics = topics
        self.received = received


@pytest.fixture(params=["memory", pytest.param("pubsub", marks=pytest.mark.emulator)])
def wired(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Wired]:
    if request.param == "memory":
        topics = MemoryTopics()
        yield Wired(topics, lambda _count: topics.published("events"))
        return
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator("pubsub"))
    project = unique_project()
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.topic_path(project, "events")
    name = subscriber.subscription_path(project, "listener")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=name, topic=topic)

    def received(count: int) -> list[Event]:
        found: list[Event] = []
        while len(found) < count:
            answer: Any = subscriber.pull(
                subscription=name, max_messages=1000, timeout=10
            )
            for message in answer.received_messages:
                found.append(
                    Event(message.message.data, dict(message.message.attributes))
                )
                subscriber.acknowledge(subscription=name, ack_ids=[message.ack_id])
        return found

    yield Wired(PubSubTopics(project), received)
    subscriber.close()
    publisher.transport.close()


def test_what_is_published_is_received_with_its_attributes(wired: Wired) -> None:
    event = Event(b'{"job":"sweep"}', {"ce-id": "1", "ce-type": "message.recorded"})
    wired.topics.publish("events", [event])
    assert wired.received(1) == [event]


def test_every_event_of_a_list_is_received(wired: Wired) -> None:
    events = [Event(str(number).encode()) for number in range(20)]
    wired.topics.publish("events", events)
    assert sorted(event.data for event in wired.received(20)) == sorted(
        event.data for event in events
    )


def test_more_events_than_one_request_takes_are_all_received(wired: Wired) -> None:
    events = [Event(b"%d" % number) for number in range(1100)]
    wired.topics.publish("events", events)
    assert {event.data for event in wired.received(1100)} == {
        event.data for event in events
    }


def test_publishing_nothing_does_nothing(wired: Wired) -> None:
    wired.topics.publish("events", [])


def test_an_event_may_have_only_attributes(wired: Wired) -> None:
    wired.topics.publish("events", [Event(b"", {"k": "v"})])
    assert wired.received(1) == [Event(b"", {"k": "v"})]


@pytest.mark.parametrize("topic", ["", "ab", "1abc", "a/b", "goog-x", "x" * 256])
def test_a_bad_topic_name_is_refused(wired: Wired, topic: str) -> None:
    with pytest.raises(Permanent):
        wired.topics.publish(topic, [Event(b"x")])


@pytest.mark.parametrize(
    "event",
    [
        Event(b""),
        Event(b"x" * 10_000_001),
        Event(b"x", {"": "v"}),
        Event(b"x", {"k" * 257: "v"}),
        Event(b"x", {"k": "v" * 1025}),
        Event(b"x", {"googclient": "v"}),
        Event(b"x", {str(n): "v" for n in range(101)}),
    ],
    ids=lambda event: f"{len(event.data)}-{len(event.attributes)}",
)
def test_an_event_that_pubsub_refuses_stops_the_whole_list(
    wired: Wired, event: Event
) -> None:
    with pytest.raises(Permanent):
        wired.topics.publish("events", [Event(b"good"), event])
    wired.topics.publish("events", [Event(b"last")])
    assert wired.received(1) == [Event(b"last")]


@pytest.mark.emulator
def test_a_topic_that_is_not_there_is_a_fault_of_the_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator("pubsub"))
    with pytest.raises(Misconfigured):
        PubSubTopics(unique_project()).publish("events", [Event(b"x")])


def test_a_subscriber_hears_each_event_and_may_publish_in_turn() -> None:
    heard: list[tuple[str, bytes]] = []

    def hear(topic: str, event: Event) -> None:
        heard.append((topic, event.data))
        if topic == "first":
            topics.publish("second", [event])

    topics = MemoryTopics(hear)
    topics.publish("first", [Event(b"x")])
    assert heard == [("first", b"x"), ("second", b"x")]
    assert topics.take() == [("first", Event(b"x")), ("second", Event(b"x"))]
    assert topics.take() == []
