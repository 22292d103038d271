"""Work on mailboxes that is to be done by itself, through `mailbox-work`."""

from __future__ import annotations

from collections.abc import Sequence

from shared.core.syncing.work import Work
from shared.ports import Event, Topics

TOPIC = "mailbox-work"
_PER_PUBLISH = 500


class WorkQueue:
    """Publishes work; whoever does it may do it twice."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def add(self, items: Sequence[Work]) -> None:
        """Publish; returns when every item is durable, else raises Transient."""
        for start in range(0, len(items), _PER_PUBLISH):
            some = items[start : start + _PER_PUBLISH]
            self._topics.publish(
                TOPIC, [Event(work_item.to_bytes()) for work_item in some]
            )
