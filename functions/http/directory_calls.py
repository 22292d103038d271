"""Calls by which the CRM tells us its subaccounts, users and contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response

from functions.http import bcc_calls, problems, reading_bodies
from functions.http.fields import to_milliseconds
from functions.http.models import contacts, subaccounts
from functions.http.routing import Call
from shared.config import Settings
from shared.core import records
from shared.core.ids import ContactId, UserId
from shared.core.parsing.address import normalise
from shared.core.sending.provider_hosts import host_to_connect, usable
from shared.errors import Conflict, Problem
from shared.repositories.directory import ContactToWrite, MemberToWrite
from shared.services.crm.contact_import import ContactImport, Row
from shared.services.crm.directory import KEEP_PASSWORD, not_found


def _check_reachable(host: str, settings: Settings) -> None:
    """Refuse an address that mail will not be sent to, here and now (S2).

    A name is looked up when mail is sent, for what it leads to can change.
    """
    try:
        found = usable(
            host_to_connect(host),
            allow_loopback=settings.development,
            allow_private=settings.smtp_private_networks,
        )
    except ValueError:
        return
    if found is None:
        raise problems.make(
            "invalid_request",
            errors=(
                {
                    "pointer": "/default_provider/smtp/host",
                    "detail": "must be a public address in this deployment",
                },
            ),
        )


def put_subaccount(
    call: Call[subaccounts.SubaccountIn, None],
) -> subaccounts.Subaccount:
    """Create or replace a subaccount's settings."""
    body = call.body
    smtp = body.default_provider.smtp if body.default_provider else None
    password: str | object | None = None
    if smtp is not None:
        _check_reachable(smtp.host, call.services.settings)
        given = "password" in smtp.model_fields_set
        password = smtp.password if given else KEEP_PASSWORD
    saved = call.services.directory.put_subaccount(
        records.Subaccount(
            id=call.subaccount,
            name=body.name,
            logging=body.logging,
            internal_domains=tuple(dict.fromkeys(body.internal_domains)),
            never_log=tuple(dict.fromkeys(body.never_log)),
            default_provider={
                "smtp": smtp.model_dump(by_alias=True, exclude={"password"})
            }
            if smtp
            else None,
        ),
        password,
    )
    return _subaccount(saved)


def get_subaccount(call: Call[None, None]) -> subaccounts.Subaccount:
    """Read a subaccount's settings."""
    return _subaccount(call.services.directory.require(call.subaccount))


def put_user(call: Call[subaccounts.UserIn, None]) -> subaccounts.User:
    """Create or replace a user; what is left out of `never_log`, `sync` stays."""
    body = call.body
    member = MemberToWrite(
        id=call.user,
        name=body.name,
        email=body.email,
        address=_normalised(body.email),
        never_log=_if_given(body, body.never_log),
        sync=body.sync if "sync" in body.model_fields_set else None,
    )
    saved = call.services.directory.put_member(call.subaccount, member)
    return _user(saved, bcc_calls.shown_address(call))


def patch_user(call: Call[subaccounts.UserChange, None]) -> subaccounts.User:
    """Change what the user decides: the never-log list (M12), and `sync` (C11)."""
    body = call.body
    saved = call.services.directory.change_member(
        call.subaccount,
        call.user,
        never_log=_if_given(body, body.never_log),
        sync=body.sync if "sync" in body.model_fields_set else None,
    )
    return _user(saved, bcc_calls.shown_address(call))


def _if_given(
    body: subaccounts.UserIn | subaccounts.UserChange, never_log: Sequence[str]
) -> tuple[str, ...] | None:
    """The never-log list, each entry once; None when the caller left it out."""
    if "never_log" not in body.model_fields_set:
        return None
    return tuple(dict.fromkeys(never_log))


def get_user(call: Call[None, None]) -> subaccounts.User:
    """Read a user."""
    member = call.services.directory.member(call.subaccount, call.user)
    if member is None:
        raise not_found("user")
    return _user(member, bcc_calls.shown_address(call))


def delete_user(call: Call[None, None]) -> None:
    """Remove a user; one who is not there is no error.

    A user who is in no subaccount any more has no connection either.
    """
    connections = call.services.connections
    connections.disconnect_outside(call.user, leaving=call.subaccount)
    call.services.directory.delete_member(call.subaccount, call.user)
    connections.disconnect_outside(call.user)


def put_contact(call: Call[contacts.ContactIn, None]) -> contacts.Contact:
    """Create or replace a contact; its conversation stays."""
    wanted = _to_write(call.contact, call.body)
    call.services.bcc.refuse_among(wanted.emails)
    return _contact(call.services.directory.put_contact(call.subaccount, wanted))


def get_contact(call: Call[None, None]) -> contacts.Contact:
    """Read a contact."""
    found = call.services.directory.contact_as_given(call.subaccount, call.contact)
    return _contact(found)


def delete_contact(call: Call[None, None]) -> None:
    """Erase a contact with its conversation, messages and attachments."""
    call.services.directory.delete_contact(call.subaccount, call.contact)


def import_contacts(call: Call[None, None]) -> Response:
    """Create or replace many contacts; a bad row stops no other."""
    call.services.directory.require(call.subaccount)
    job = ContactImport(call.services.directory, call.subaccount)
    for number, line in reading_bodies.lines_of(call.request):
        if isinstance(line, Problem):
            job.refuse(number, line)
            continue
        try:
            value = reading_bodies.json_object(line)
            row = reading_bodies.checked(value, contacts.ContactRow)
            wanted = _to_write(ContactId(row.id), row)
            call.services.bcc.refuse_among(wanted.emails)
        except Problem as problem:
            job.refuse(number, problem)
        else:
            job.add(Row(number, wanted))
    done = job.finish()
    more = done.failed_count > len(done.failed)
    imported = contacts.Imported(
        imported=done.imported,
        failed=[
            contacts.FailedRow(line=row.line, code=row.code, detail=row.detail)
            for row in done.failed
        ],
        failed_count=done.failed_count if more else None,
    )
    return Response(
        imported.model_dump_json(exclude_none=True), content_type="application/json"
    )


def _subaccount(subaccount: records.Subaccount) -> subaccounts.Subaccount:
    provider: Any = subaccount.default_provider
    return subaccounts.Subaccount(
        id=subaccount.id,
        name=subaccount.name,
        logging=subaccount.logging,
        internal_domains=list(subaccount.internal_domains),
        never_log=list(subaccount.never_log),
        default_provider=subaccounts.Provider(
            smtp=subaccounts.Smtp.model_validate(
                {
                    name: value
                    for name, value in provider["smtp"].items()
                    if name != "has_password"
                }
            )
        )
        if provider
        else None,
    )


def _user(member: records.Member, bcc_address: str | None) -> subaccounts.User:
    return subaccounts.User(
        id=member.id,
        name=member.name,
        email=member.email,
        never_log=list(member.never_log),
        sync=member.sync,
        bcc_address=bcc_address,
    )


def _contact(contact: ContactToWrite) -> contacts.Contact:
    return contacts.Contact(
        id=contact.id,
        name=contact.name,
        emails=list(contact.given_emails),
        assigned_to=contact.assigned_to,
        created_at=contact.created_at,  # type: ignore[arg-type]  # becomes text
    )


def _to_write(contact: ContactId, body: contacts.ContactIn) -> ContactToWrite:
    return ContactToWrite(
        id=contact,
        name=body.name,
        emails=tuple(_normalised(email) for email in body.emails),
        given_emails=tuple(body.emails),
        assigned_to=UserId(body.assigned_to) if body.assigned_to else None,
        created_at=to_milliseconds(body.created_at) if body.created_at else None,
    )


def _normalised(email: str) -> str:
    """Normalise an address that the model has checked."""
    address = normalise(email)
    if address is None:  # pragma: no cover - the model refuses it
        raise Conflict
    return address
