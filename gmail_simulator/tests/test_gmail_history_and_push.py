"""users.history, users.watch, and the notifications that come of them."""

from __future__ import annotations

from typing import Any

import pytest
from googleapiclient.errors import HttpError

from gmail_simulator import GmailWorld

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"
TOPIC = "projects/p/topics/gmail"


def refusal(request: Any) -> Any:
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value


@pytest.fixture
def start(users: Any) -> Any:
    return users.getProfile(userId="me").execute()["historyId"]


def watch(users: Any, **body: Any) -> Any:
    return users.watch(userId="me", body={"topicName": TOPIC} | body).execute()


def history(users: Any, start: Any, **kwargs: Any) -> Any:
    answer = users.history().list(userId="me", startHistoryId=start, **kwargs).execute()
    return answer.get("history", [])


def test_history_tells_every_change_in_order(
    users: Any, world: GmailWorld, mail: Any, start: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    world.account(ANN).mailbox.change_labels(
        world.account(ANN).mailbox.get(message), ["STARRED"], ["UNREAD"]
    )
    users.messages().delete(userId="me", id=message).execute()
    added, starred, read, deleted = history(users, start)
    named = {"id": message, "threadId": message}
    assert added["messages"] == [named]
    assert added["messagesAdded"][0]["message"]["labelIds"] == [
        "CATEGORY_PERSONAL",
        "INBOX",
        "UNREAD",
    ]
    assert starred["labelsAdded"][0]["labelIds"] == ["STARRED"]
    assert read["labelsRemoved"][0]["labelIds"] == ["UNREAD"]
    assert "UNREAD" not in read["labelsRemoved"][0]["message"]["labelIds"]
    assert deleted["messagesDeleted"][0]["message"]["id"] == message
    ids = [int(entry["id"]) for entry in (added, starred, read, deleted)]
    assert ids == sorted(set(ids))
    assert ids[0] > int(start)


def test_history_from_the_newest_id_has_no_history_key(users: Any, start: Any) -> None:
    answer = users.history().list(userId="me", startHistoryId=start).execute()
    assert answer == {"historyId": start}


def test_a_page_may_be_empty_and_have_a_next_one(
    users: Any, world: GmailWorld, mail: Any, start: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    for label in ("STARRED", "IMPORTANT"):
        body = {"addLabelIds": [label]}
        users.messages().modify(userId="me", id=message, body=body).execute()
    world.deliver_from_outside(mail(subject="two"), [ANN])
    request = users.history().list(
        userId="me", startHistoryId=start, historyTypes=["messageAdded"], maxResults=1
    )
    pages = []
    while request is not None:
        pages.append(request.execute())
        request = users.history().list_next(request, pages[-1])
    assert ["history" in page for page in pages] == [True, False, False, True]


def test_history_filters_by_label(
    users: Any, world: GmailWorld, mail: Any, start: Any
) -> None:
    world.deliver_from_outside(mail(), [ANN])
    world.deliver_from_outside(mail(subject="win"), [ANN], spam=True)
    assert len(history(users, start, labelId="SPAM")) == 1
    assert len(history(users, start)) == 2


def test_an_expired_history_is_404(
    users: Any, world: GmailWorld, mail: Any, start: Any
) -> None:
    world.deliver_from_outside(mail(), [ANN])
    world.expire_history(ANN)
    error = refusal(users.history().list(userId="me", startHistoryId=start))
    assert error.status_code == 404
    fresh = users.getProfile(userId="me").execute()["historyId"]
    assert history(users, fresh) == []


def test_history_needs_a_number(users: Any) -> None:
    bad = users.history().list(userId="me", startHistoryId="soon")
    assert refusal(bad).status_code == 400


def test_a_watch_lasts_seven_days_and_returns_the_history_id(
    users: Any, clock: Any, start: Any
) -> None:
    answer = watch(users)
    assert answer["historyId"] == start
    seconds = int(answer["expiration"]) / 1000 - clock.now.timestamp()
    assert seconds == 7 * 24 * 3600


def test_a_change_publishes_address_and_history_id(
    users: Any, world: GmailWorld, mail: Any, published: Any
) -> None:
    watch(users)
    assert published == []
    world.deliver_from_outside(mail(), [ANN])
    newest = world.account(ANN).mailbox.history_id
    assert published == [(TOPIC, {"emailAddress": ANN, "historyId": newest})]


def test_history_id_in_a_notification_may_be_a_string(
    users: Any, world: GmailWorld, mail: Any, published: Any
) -> None:
    world.settings.history_id_as_number = False
    watch(users)
    world.deliver_from_outside(mail(), [ANN])
    assert isinstance(published[0][1]["historyId"], str)


def test_more_than_one_notification_a_second_is_dropped(
    users: Any, world: GmailWorld, mail: Any, published: Any, clock: Any
) -> None:
    watch(users)
    for _ in range(3):
        world.deliver_from_outside(mail(), [ANN])
    assert len(published) == 1
    clock.pass_time(1)
    world.deliver_from_outside(mail(), [ANN])
    assert len(published) == 2
    world.settings.notification_rate_limited = False
    world.deliver_from_outside(mail(), [ANN])
    assert len(published) == 3


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"labelIds": ["INBOX"]}, ["inbox"]),
        ({"labelIds": ["INBOX"], "labelFilterBehavior": "exclude"}, ["spam", "sent"]),
        ({"labelIds": ["SENT"], "labelFilterAction": "include"}, ["sent"]),
        ({}, ["inbox", "spam", "sent"]),
    ],
)
def test_a_watch_tells_only_changes_with_its_labels(
    users: Any,
    world: GmailWorld,
    mail: Any,
    published: Any,
    clock: Any,
    filters: Any,
    told: Any,
) -> None:
    watch(users, **filters)
    seen = []
    changes = {
        "inbox": lambda: world.deliver_from_outside(mail(), [ANN]),
        "spam": lambda: world.deliver_from_outside(mail(), [ANN], spam=True),
        "sent": lambda: world.send_from_gmail(ANN, mail(ANN, CARLA)),
    }
    for name, change in changes.items():
        clock.pass_time(2)
        published.clear()
        change()
        if published:
            seen.append(name)
    assert seen == told


def test_nothing_is_told_after_stop_or_expiry(
    service: Any, world: GmailWorld, mail: Any, published: Any, clock: Any
) -> None:
    watch(service().users())
    clock.pass_time(days=7)
    world.deliver_from_outside(mail(), [ANN])
    assert published == []
    users = service().users()
    watch(users)
    users.stop(userId="me").execute()
    world.deliver_from_outside(mail(), [ANN])
    assert published == []


def test_another_topic_of_the_same_developer_needs_a_stop_first(users: Any) -> None:
    watch(users)
    watch(users)
    error = refusal(users.watch(userId="me", body={"topicName": TOPIC + "2"}))
    assert error.status_code == 400
    assert "Only one user push notification client" in error.reason
    users.stop(userId="me").execute()
    watch(users, topicName=TOPIC + "2")


@pytest.mark.parametrize("topic", ["", "gmail", "projects/p/topics/", "projects/p/x/t"])
def test_a_malformed_topic_is_refused(users: Any, topic: Any) -> None:
    error = refusal(users.watch(userId="me", body={"topicName": topic}))
    assert error.status_code == 400


def test_a_topic_that_does_not_exist_is_refused(users: Any, world: GmailWorld) -> None:
    world.settings.topics = {TOPIC}
    watch(users)
    users.stop(userId="me").execute()
    error = refusal(users.watch(userId="me", body={"topicName": TOPIC + "2"}))
    assert "Resource not found" in error.reason


def test_a_new_watch_may_publish_at_once(
    users: Any, world: GmailWorld, published: Any
) -> None:
    world.settings.notify_on_watch = True
    watch(users)
    assert len(published) == 1


def test_a_publisher_may_call_back_into_the_world(
    world: GmailWorld, users: Any, mail: Any, clock: Any
) -> None:
    seen = []
    world._publish = lambda *_: seen.append(
        world.deliver_from_outside(mail(), [BOB])[0].account
    )
    watch(users)
    world.deliver_from_outside(mail(), [ANN])
    assert seen == [BOB]
