"""Events that were committed with their cause and wait to be published.

An event is deleted only after Pub/Sub has taken it, so a crash between publishes it
twice, with the same id, and never loses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.core.events import CrmEvent, to_cloudevent
from shared.ports import Create, Delete, Documents, Event, Query, Snapshot, Topics
from shared.repositories import paths

TOPIC = "crm-events"
EVENTS_PER_PUBLISH = 400


class Outbox:
    """Publishes what the outbox holds."""

    def __init__(self, documents: Documents, topics: Topics, project: str) -> None:
        """Publish to the project's `crm-events`."""
        self._documents = documents
        self._topics = topics
        self._project = project

    def publish(self, events: Sequence[CrmEvent]) -> None:
        """Publish events that have just been committed, and forget them."""
        for start in range(0, len(events), EVENTS_PER_PUBLISH):
            some = events[start : start + EVENTS_PER_PUBLISH]
            self._topics.publish(TOPIC, [self._wire(event) for event in some])
            self._documents.commit([Delete(paths.outbox(event.id)) for event in some])

    def publish_if_left(self, event_ids: Iterable[str]) -> None:
        """Publish those of these events that an earlier crash left behind."""
        found = self._documents.get([paths.outbox(event_id) for event_id in event_ids])
        self.publish([_event(snapshot) for snapshot in found if snapshot.exists])

    def publish_left_before(self, at: int) -> int:
        """Publish events older than `at` (ms) that nobody published; says how many."""
        query = Query(
            "outbox",
            where=(("at", "<", at),),
            order_by=(("at", "asc"),),
            limit=EVENTS_PER_PUBLISH,
        )
        published = 0
        while left := self._documents.query(query):
            self.publish([_event(snapshot) for snapshot in left])
            published += len(left)
        return published

    def _wire(self, event: CrmEvent) -> Event:
        return Event(
            to_cloudevent(event, self._project),
            {
                "ce-id": event.id,
                "ce-type": event.type,
                "content-type": "application/cloudevents+json",
            },
        )


def committing(event: CrmEvent) -> Create:
    """The write that goes into the commit of the event's cause."""
    return Create(
        paths.outbox(event.id),
        {
            "type": event.type,
            "subject": event.subject,
            "data": event.data,
            "at": event.at,
        },
    )


def _event(snapshot: Snapshot) -> CrmEvent:
    data = snapshot.data
    return CrmEvent(
        snapshot.id, data["type"], data["subject"], dict(data["data"]), data["at"]
    )
