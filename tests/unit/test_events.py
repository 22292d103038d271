"""E1: what the CRM learns, with an id that no retry changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.core.events import (
    CrmEvent,
    bounced_event,
    connection_event,
    contact_event,
    message_event,
    message_event_id,
    replaced_event,
    send_event,
    to_cloudevent,
)
from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.matching.places import NewContact
from shared.core.records import Bounce
from tests.support.api import a_message

A, UMA = SubaccountId("a"), UserId("uma")
MESSAGE = {"subaccount": "a", "contact": "c1", "message": "m1"}


@pytest.mark.parametrize("user", [UMA, None])
def test_e1_a_recorded_message(user: UserId | None) -> None:
    event = message_event(a_message(user=user), 7)
    assert (event.type, event.at) == ("message.recorded", 7)
    assert event.subject == "/v1/subaccounts/a/messages/m1"
    assert event.data == (MESSAGE if user is None else {**MESSAGE, "user": "uma"})


def test_m9_a_replaced_message_is_told_once_more() -> None:
    record = a_message()
    event, later = replaced_event(record, 7), replaced_event(record, 8)
    assert len({event.id, later.id, message_event_id(record)}) == 3
    told = message_event(record, 7)
    assert (event.type, event.subject, event.data, event.at) == (
        told.type,
        told.subject,
        told.data,
        7,
    )
    assert replaced_event(record, 7) == event


def test_s12_a_bounce_is_told_once_a_recipient_and_kind() -> None:
    record = a_message(user=UMA)
    gone = Bounce("ada@client.example", "5.1.1", "gone", permanent=True, at=7)
    event = bounced_event(record, gone)
    assert (event.type, event.at) == ("message.bounced", 7)
    assert event.subject == "/v1/subaccounts/a/messages/m1"
    address = {"address": "ada@client.example"}
    assert event.data == {**MESSAGE, "user": "uma", **address}
    again = replace(gone, code="5.0.0", detail=None, at=9)
    assert bounced_event(record, again).id == event.id
    others = [replace(gone, permanent=False), replace(gone, address="bob@x.example")]
    assert len({event.id, *(bounced_event(record, b).id for b in others)}) == 3


@pytest.mark.parametrize("user", [UMA, None])
def test_e1_a_mail_of_the_crm(user: UserId | None) -> None:
    event = send_event("message.failed", a_message(user=user), 7)
    assert (event.type, event.at) == ("message.failed", 7)
    assert event.subject == "/v1/subaccounts/a/messages/m1"
    assert event.data == (MESSAGE if user is None else {**MESSAGE, "user": "uma"})


def test_e1_a_contact_that_bcc_made() -> None:
    made = NewContact("c9", "ada@client.example", "Ada", UMA)
    event = contact_event(A, made, 7)
    assert (event.type, event.at) == ("contact.created", 7)
    assert event.subject == "/v1/subaccounts/a/contacts/c9"
    assert event.data == {
        "subaccount": "a",
        "user": "uma",
        "contact": "c9",
        "address": "ada@client.example",
    }


@pytest.mark.parametrize(
    ("user", "subject", "data"),
    [
        (
            UMA,
            "/v1/users/uma/connection",
            {"user": "uma", "address": "uma@ours.example"},
        ),
        (LOGGING, "/v1/logging-mailbox/connection", {"address": "uma@ours.example"}),
    ],
)
def test_e1_a_connection(user: UserId, subject: str, data: dict[str, str]) -> None:
    event = connection_event("connection.updated", user, "uma@ours.example", 7)
    assert (event.type, event.at) == ("connection.updated", 7)
    assert (event.subject, event.data) == (subject, data)


def test_e1_the_id_of_a_message_is_the_same_on_every_retry() -> None:
    first = message_event(a_message(), 7)
    assert first.id == message_event(a_message(user=UMA), 8).id
    sent = send_event("message.sent", a_message(), 7)
    assert sent.id == send_event("message.sent", a_message(user=UMA), 8).id


def test_e1_mail_of_the_crm_is_announced_once_by_whichever_route() -> None:
    """Its Sent copy tells that it went, which the send itself may have told already."""
    copy = message_event(a_message(route="crm"), 7)
    assert copy.id == send_event("message.sent", a_message(), 9).id


def test_e1_different_events_have_different_ids() -> None:
    made = NewContact("c9", "ada@client.example", "Ada", UMA)
    events = [
        message_event(a_message(), 7),
        message_event(a_message("m2"), 7),
        message_event(a_message(s="b"), 7),
        send_event("message.sent", a_message(), 7),
        send_event("message.sent", a_message("m2"), 7),
        send_event("message.sent", a_message(s="b"), 7),
        send_event("message.failed", a_message(), 7),
        contact_event(A, made, 7),
        contact_event(A, made, 8),
        contact_event(SubaccountId("b"), made, 7),
        contact_event(A, NewContact("c8", "ada@client.example", "Ada", UMA), 7),
        connection_event("connection.connected", UMA, "uma@ours.example", 7),
        connection_event("connection.connected", UMA, "uma@ours.example", 8),
        connection_event("connection.connected", UMA, "ute@ours.example", 7),
        connection_event("connection.connected", UserId("ute"), "uma@ours.example", 7),
        connection_event("connection.updated", UMA, "uma@ours.example", 7),
    ]
    assert len({event.id for event in events}) == len(events)


def test_e1_written_as_structured_cloudevent() -> None:
    event = CrmEvent(
        "i", "message.sent", "/v1/x", {"user": "Müller"}, 1_793_600_000_007
    )
    written = to_cloudevent(event, "p")
    assert json.loads(written) == {
        "specversion": "1.0",
        "id": "i",
        "source": "/gmail-sync/p",
        "type": "message.sent",
        "subject": "/v1/x",
        "time": "2026-11-02T06:13:20.007Z",
        "datacontenttype": "application/json",
        "data": {"user": "Müller"},
    }
    assert "Müller".encode() in written
