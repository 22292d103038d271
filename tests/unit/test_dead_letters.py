"""What Pub/Sub gave up on: where it was for, and which mailbox it is about."""

from __future__ import annotations

import json

import pytest

from shared.core.ids import mailbox_id
from shared.core.syncing.dead_letters import DeadLetter, Letter, read

SOURCE = "CloudPubSubDeadLetterSourceSubscription"
COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
DATA = b'{"mailbox": "b1"}'


def test_a_dead_letter_is_what_was_published_and_where_it_was_for() -> None:
    attributes = {
        SOURCE: "projects/p/subscriptions/mailbox-work-push",
        COUNT: "10",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-02T00:00:00Z",
        "googclient_schemaencoding": "JSON",
    }
    assert read(DATA, attributes, "") == DeadLetter(
        topic="mailbox-work",
        mailbox="b1",
        attempts=10,
        event=Letter(DATA, {"googclient_schemaencoding": "JSON"}),
    )


@pytest.mark.parametrize(
    "topic",
    [
        "scheduled-jobs",
        "gmail-notifications",
        "bcc-notifications",
        "outbound-messages",
        "mailbox-work",
    ],
)
def test_every_topic_is_known_by_its_subscription(topic: str) -> None:
    found = read(DATA, {}, pushed_by=f"projects/p/subscriptions/{topic}-dead")
    assert found is not None
    assert found.topic == topic


@pytest.mark.parametrize(
    ("source", "pushed_by", "topic"),
    [
        ("mailbox-work-push", "bcc-notifications-dead", "mailbox-work"),
        ("", "bcc-notifications-dead", "bcc-notifications"),
        ("mailbox-work", "", None),
        ("mailbox-workers", "", None),
        ("elsewhere", "", None),
        ("", "", None),
    ],
)
def test_what_says_not_where_it_comes_from_is_no_dead_letter(
    source: str, pushed_by: str, topic: str | None
) -> None:
    found = read(DATA, {SOURCE: source} if source else {}, pushed_by)
    assert (found.topic if found else None) == topic


@pytest.mark.parametrize(
    ("count", "attempts"),
    [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("²", 0), ("1" * 5000, 111_111)],
)
def test_the_attempts_are_read_with_care(count: str, attempts: int) -> None:
    found = read(DATA, {SOURCE: "mailbox-work-push", COUNT: count}, "")
    assert found is not None
    assert found.attempts == attempts


@pytest.mark.parametrize(
    ("data", "mailbox"),
    [
        (DATA, "b1"),
        (b'{"emailAddress": " Rep@Ours.example"}', mailbox_id("rep@ours.example")),
        (
            b'{"mailbox": "b/1", "emailAddress": "a@b.example"}',
            mailbox_id("a@b.example"),
        ),
        (b'{"mailbox": 1}', None),
        (b'{"mailbox": ""}', None),
        (b'{"emailAddress": "nobody"}', None),
        (b'{"emailAddress": 1}', None),
        (b'{"job": "sweep"}', None),
        (b'["mailbox"]', None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
    ids=lambda value: None if len(str(value)) > 100 else str(value),
)
def test_the_mailbox_is_found_where_there_is_one(
    data: bytes, mailbox: str | None
) -> None:
    found = read(data, {SOURCE: "mailbox-work-push"}, "")
    assert found is not None
    assert found.mailbox == mailbox


def test_no_count_is_no_attempt() -> None:
    found = read(json.dumps({}).encode(), {SOURCE: "outbound-messages-push"}, "")
    assert found is not None
    assert (found.attempts, found.topic) == (0, "outbound-messages")
