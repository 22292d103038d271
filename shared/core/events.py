"""CloudEvents for the CRM (E1), with ids that stay the same on every retry."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from shared.core.ids import MessageId, SubaccountId, UserId, digest
from shared.core.matching.bcc import LOGGING
from shared.core.matching.places import NewContact
from shared.core.records import Bounce, Message

EventType = Literal[
    "message.recorded",
    "message.sent",
    "message.failed",
    "message.bounced",
    "contact.created",
    "connection.connected",
    "connection.updated",
    "connection.disconnected",
    "connection.reauth_required",
]


@dataclass(frozen=True, slots=True)
class CrmEvent:
    """Something that the CRM learns. Holds no body and no subject.

    `subject` is the path of the resource, `data` names ids only (and the address of a
    connection), `at` is when it happened in milliseconds.
    """

    id: str
    type: EventType
    subject: str
    data: dict[str, str]
    at: int


def message_event(message: Message, at: int) -> CrmEvent:
    """`message.recorded` of a message that came through Gmail."""
    data = {
        "subaccount": str(message.subaccount),
        "contact": str(message.contact),
        "message": str(message.id),
    }
    if message.user is not None:
        data["user"] = message.user
    return CrmEvent(
        id=message_event_id(message),
        type="message.recorded",
        subject=f"/v1/subaccounts/{message.subaccount}/messages/{message.id}",
        data=data,
        at=at,
    )


def replaced_event(message: Message, at: int) -> CrmEvent:
    """`message.recorded` once more: what the record says has been replaced (M9).

    One for each time that it is, so `at` is part of its id.
    """
    again = message_event(message, at)
    return replace(again, id=digest("event", "replaced", again.id, str(at)))


def message_event_id(message: Message) -> str:
    """Id of the event that announces this record: for mail of the CRM, that it went."""
    if message.route == "crm":
        return send_event_id("message.sent", message.subaccount, message.id)
    return digest("event", "message.recorded", message.subaccount, message.id)


def bounced_event(message: Message, bounce: Bounce) -> CrmEvent:
    """`message.bounced` of one recipient; the same whichever mailbox tells of it."""
    id_ = bounced_event_id(message.subaccount, message.id, bounce)
    again = message_event(message, bounce.at)
    data = {**again.data, "address": bounce.address}
    return replace(again, id=id_, type="message.bounced", data=data)


def bounced_event_id(
    subaccount: SubaccountId, message: MessageId, bounce: Bounce
) -> str:
    """Id of the event that tells of this bounce."""
    key = bounce_key(bounce)
    return digest("event", "message.bounced", subaccount, message, key)


def bounce_key(bounce: Bounce) -> str:
    """What makes two bounces of a message one: the recipient, and whether it is late.

    So servers that warn every hour, and mailboxes that tell the same, add nothing.
    """
    kind = "failed" if bounce.permanent else "delayed"
    return digest("bounce", bounce.address, kind)


def contact_event(subaccount: SubaccountId, contact: NewContact, at: int) -> CrmEvent:
    """`contact.created` of a contact that a BCC address made (B2).

    Named after the moment too: a contact that was erased can be made again.
    """
    return CrmEvent(
        id=digest("event", "contact.created", subaccount, contact.id, str(at)),
        type="contact.created",
        subject=f"/v1/subaccounts/{subaccount}/contacts/{contact.id}",
        data={
            "subaccount": subaccount,
            "user": contact.assigned_to,
            "contact": contact.id,
            "address": contact.address,
        },
        at=at,
    )


def send_event(
    kind: Literal["message.sent", "message.failed"], message: Message, at: int
) -> CrmEvent:
    """How a mail that the CRM sent ended; the id is the same on every retry."""
    return CrmEvent(
        id=send_event_id(kind, message.subaccount, message.id),
        type=kind,
        subject=f"/v1/subaccounts/{message.subaccount}/messages/{message.id}",
        data={
            "subaccount": str(message.subaccount),
            "contact": str(message.contact),
            "message": str(message.id),
            **({"user": str(message.user)} if message.user is not None else {}),
        },
        at=at,
    )


def send_event_id(kind: str, subaccount: SubaccountId, message: MessageId) -> str:
    """Id of the event that says how a mail ended."""
    return digest("event", kind, subaccount, message)


def connection_event(kind: EventType, user: UserId, address: str, at: int) -> CrmEvent:
    """An event of a user's connection; one for each moment it happens.

    The logging mailbox is no user's: its events name the mailbox alone.
    """
    logging = user == LOGGING
    path = "/v1/logging-mailbox" if logging else f"/v1/users/{user}"
    return CrmEvent(
        id=digest("event", kind, user, address, str(at)),
        type=kind,
        subject=f"{path}/connection",
        data={"address": address} if logging else {"user": user, "address": address},
        at=at,
    )


def to_cloudevent(event: CrmEvent, project: str) -> bytes:
    """CloudEvents 1.0, structured JSON."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/gmail-sync/{project}",
        "type": event.type,
        "subject": event.subject,
        "time": datetime.fromtimestamp(event.at / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.data,
    }
    return json.dumps(document, ensure_ascii=False).encode()
