"""Calls that send mail (S1-S11), and the daily cap of a mailbox (S5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Request, Response

from functions.http import fields, problems, reading_bodies
from functions.http.connection_calls import get_connection
from functions.http.models import connections, sending
from functions.http.multipart import form_of
from functions.http.routing import Call
from shared.core.access import Caller, may_send
from shared.core.ids import ContactId, MessageId, UserId
from shared.core.parsing.address import normalise
from shared.services.sending.bulk import check_contacts
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.send_records import SendRequest, Upload

KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(fields.KEY_PATTERN)


def send_message(call: Call[None, None]) -> Response:
    """Accept one mail, or one to each of many contacts."""
    key = call.request.headers.get(KEY_HEADER, "")
    if not _KEY.fullmatch(key):
        raise problems.make("idempotency_key_required")
    # Before the body: a big one for nobody is not read.
    call.services.directory.require(call.subaccount)
    body, uploads = _read(call.request, call.caller)
    request = _asked(call, body)
    if body.kind == "bulk":
        check_contacts(body.contacts)
        many = call.services.bulk.submit(request, uploads, key)
        return _accepted({"ids": list(many.ids)})
    accepted = call.services.sending.submit(request, uploads, key)
    return _accepted({"id": accepted.ids[0], "status": accepted.status})


def set_daily_cap(call: Call[connections.CapIn, None]) -> connections.Connection:
    """Give the user's mailbox its own daily cap; the CRM's backend only."""
    mailbox = call.services.connections.mailbox_of(call.user)
    call.services.caps.set_cap(mailbox, call.body.daily_send_cap)
    return get_connection(call)  # type: ignore[arg-type]  # it reads no body


def _accepted(fields_given: dict[str, object]) -> Response:
    """202 with the fields of this kind only."""
    answer = sending.SendAccepted.model_validate(fields_given)
    return Response(
        answer.model_dump_json(exclude_unset=True),
        status=202,
        content_type="application/json",
    )


def _read(request: Request, caller: Caller) -> tuple[sending.SendIn, Sequence[Upload]]:
    """The message as JSON, or as form data with files.

    Whose email it is stands in the body: a user's authority is decided from `kind` and
    `user` before any other field is looked at.
    """
    uploads: Sequence[Upload] = ()
    if request.mimetype == "multipart/form-data":
        text, uploads = form_of(request)
        value = reading_bodies.json_object(text)
    else:
        value = reading_bodies.object_of(request)
    kind, user = value.get("kind", "individual"), value.get("user", caller.user)
    if not may_send(caller, kind, user):
        raise problems.make("backend_only")
    body = reading_bodies.checked(value, sending.SendIn)
    if not uploads and not body.says_something:
        raise problems.make(
            "invalid_request",
            errors=(
                {
                    "pointer": "",
                    "detail": "needs a subject, text, html or an attachment",
                },
            ),
        )
    return body, uploads


def _asked(call: Call[None, None], body: sending.SendIn) -> SendRequest:
    return SendRequest(
        subaccount=call.subaccount,
        kind=body.kind,
        user=UserId(body.user),
        to=_recipients("to", body.to),
        cc=_recipients("cc", body.cc),
        bcc=_recipients("bcc", body.bcc),
        contacts=tuple(map(ContactId, body.contacts)),
        subject=body.subject,
        text=body.text,
        html=body.html,
        answers=MessageId(body.reply_to_message) if body.reply_to_message else None,
        sender=normalise(body.from_) if body.from_ else None,
        signature=body.signature,
        list_unsubscribe=tuple(body.list_unsubscribe),
    )


def _recipients(
    name: str, entries: Sequence[sending.RecipientIn]
) -> tuple[RequestedRecipient, ...]:
    return tuple(
        RequestedRecipient(
            pointer=f"/{name}/{number}",
            contact=ContactId(entry.contact) if entry.contact else None,
            address=normalise(entry.address) if entry.address else None,
            name=(entry.name or "").strip() or None,
            written=entry.address,
        )
        for number, entry in enumerate(entries)
    )
