"""Pushes on `outbound-messages`, through the real framework."""

from __future__ import annotations

import base64
import json

import pytest
from werkzeug.test import Client

from shared import bootstrap
from tests.support import api as support
from tests.support.sending import SendingSystem


class Anybody:
    def admit(self, _header):
        return None


@pytest.fixture(scope="module")
def wsgi_outbound():
    return support.app("outbound")


@pytest.fixture
def system(monkeypatch):
    system = SendingSystem()
    system.services.push_authentication = Anybody()
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    return system


def push(wsgi, data, message_id="1"):
    body = {
        "message": {"data": base64.b64encode(data).decode(), "messageId": message_id}
    }
    return Client(wsgi).post("/", json=body).status_code


def test_a_push_sends_the_mail(system, wsgi_outbound):
    (message,) = system.post().ids
    (waiting,) = system.outgoing
    assert push(wsgi_outbound, waiting.event.data) == 204
    assert system.record(message).status == "sent"
    assert push(wsgi_outbound, waiting.event.data) == 204
    assert len(system.world.outside) == 1


def test_s11_an_outage_asks_for_another_delivery(system, wsgi_outbound):
    system.world.faults.add(
        "status", method="gmail.users.drafts.create", status=503, count=1
    )
    (message,) = system.post().ids
    (waiting,) = system.outgoing
    assert push(wsgi_outbound, waiting.event.data) == 503
    assert push(wsgi_outbound, waiting.event.data) == 204
    assert system.record(message).status == "sent"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"subaccount": "s"}',
        b'{"subaccount": "s", "message": 5}',
        b'{"subaccount": "s", "message": "m", "batch": "b"}',
        b'{"subaccount": "s", "batch": "b", "start": -1}',
        b'{"subaccount": "s", "batch": "b", "start": true}',
        json.dumps({"subaccount": "s", "message": "unknown"}).encode(),
        json.dumps({"subaccount": "s", "batch": "unknown"}).encode(),
    ],
)
def test_what_nobody_asked_for_is_acknowledged(system, wsgi_outbound, data):
    assert push(wsgi_outbound, data) == 204
    assert system.world.outside == []
