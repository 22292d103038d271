"""Pub/Sub's pull in this process: what the embedded system's subscribers use."""

from __future__ import annotations

import base64

import pytest
from werkzeug.test import Client

from infra.local.pull import DEADLINE_SECONDS, PullSubscription
from shared.ports import Event

NAME = "projects/p/subscriptions/s"


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def subscription(now):
    return PullSubscription(NAME, lambda: now[0])


def pulled(subscription, most=10):
    body = {"maxMessages": most, "returnImmediately": True}
    response = Client(subscription).post(f"/v1/{NAME}:pull", json=body)
    assert response.status_code == 200
    return response.json.get("receivedMessages", [])


def test_messages_come_until_they_are_acknowledged(subscription, now):
    subscription.add(Event(b"one", {"ce-type": "a"}))
    subscription.add(Event(b"two"))
    first = pulled(subscription, most=1)
    assert base64.b64decode(first[0]["message"]["data"]) == b"one"
    assert first[0]["message"]["attributes"] == {"ce-type": "a"}
    second = pulled(subscription)
    assert [base64.b64decode(m["message"]["data"]) for m in second] == [b"two"]
    assert pulled(subscription) == []
    acknowledged = {"ackIds": [first[0]["ackId"]]}
    Client(subscription).post(f"/v1/{NAME}:acknowledge", json=acknowledged)
    now[0] += DEADLINE_SECONDS
    assert [m["ackId"] for m in pulled(subscription)] == [second[0]["ackId"]]


def test_who_waits_gets_what_comes(subscription):
    import threading

    threading.Timer(0.05, subscription.add, [Event(b"late")]).start()
    assert len(subscription.pull(1, 10)) == 1


def test_another_subscription_is_not_found(subscription):
    response = Client(subscription).post("/v1/projects/p/subscriptions/t:pull")
    assert response.status_code == 404
