"""Which function hears which topic, as data.

The local system and Terraform are both wired from such a table; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

ACK_DEADLINE_SECONDS = 180
MIN_BACKOFF_SECONDS = 10
MAX_BACKOFF_SECONDS = 600
# With 10 to 600 s of backoff, ten attempts bridge about an hour of a service's outage.
MAX_DELIVERY_ATTEMPTS = 10

# On one machine a person waits for it: backoff is shorter, so attempts are more.
LOCAL_MIN_BACKOFF_SECONDS = 1
LOCAL_MAX_BACKOFF_SECONDS = 10
LOCAL_MAX_DELIVERY_ATTEMPTS = 60

TOPICS = (
    "scheduled-jobs",
    "gmail-notifications",
    "bcc-notifications",
    "outbound-messages",
    "mailbox-work",
    "crm-events",
)
EVENTS_TOPIC = "crm-events"
LOCAL_EVENTS_SUBSCRIPTION = "crm-events-local"
"""Pull subscription through which a person (or the demo) reads the events."""

CERTS_PATH = "/certs"
"""Where the push shim serves the keys of its tokens."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that Pub/Sub pushes a topic to."""

    function: str
    topic: str

    @property
    def subscription(self) -> str:
        """Short name of the push subscription."""
        return f"{self.topic}-{self.function}"

    @property
    def dead_letter_topic(self) -> str:
        """Where a message goes that failed too often; its subscription has its name."""
        return f"{self.topic}-dead-letter"


CONSUMERS = (
    Consumer("inbound", "gmail-notifications"),
    Consumer("bcc", "bcc-notifications"),
    Consumer("schedule", "scheduled-jobs"),
    Consumer("work", "mailbox-work"),
    Consumer("outbound", "outbound-messages"),
)
"""Only functions that `main.py` has."""

DRAINS = tuple(
    Consumer("dead_letter", consumer.dead_letter_topic) for consumer in CONSUMERS
)
"""Dead letters have none of their own: they are pushed until they are kept."""

HTTP_FUNCTIONS = (
    ("connect", ("/settings", "/oauth/")),
    ("api", ("/",)),
)
"""Functions that browsers and the CRM call, by path; the first that fits answers."""


def http_function(path: str) -> str:
    """Name of the function that answers this path."""
    return next(
        name
        for name, prefixes in HTTP_FUNCTIONS
        if any(
            path == prefix
            or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
            for prefix in prefixes
        )
    )
