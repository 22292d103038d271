"""Every call of the API: long, because it is one table.

A new call: its models in `models/`, a handler in one of the `…_calls.py`, its use case
in `shared/services`, a line here, and its tests. Access, checks, problems and the
OpenAPI document follow from the line.
"""

from __future__ import annotations

from flask import Response

from functions.http import (
    bcc_calls,
    connection_calls,
    directory_calls,
    job_calls,
    message_calls,
    openapi,
    quarantine_calls,
    reading_calls,
)
from functions.http.models import (
    connections,
    contacts,
    decisions,
    jobs,
    messages,
    quarantine,
    sending,
    service,
    subaccounts,
)
from functions.http.models.base import NoFields, PageQuery
from functions.http.routing import Call, Route
from shared.core.access import Authority
from shared.logs import log
from shared.services.operations.health import Overall

_SUBACCOUNT = "/v1/subaccounts/{subaccount}"
_USER = _SUBACCOUNT + "/users/{user}"
_CONTACT = _SUBACCOUNT + "/contacts/{contact}"
_MESSAGE = _SUBACCOUNT + "/messages/{message}"
_CONNECTION = "/v1/users/{user}/connection"
_LOGGING = "/v1/logging-mailbox/connection"


def _healthz(call: Call[None, None]) -> service.Health:
    """Say that the service answers, what the last sweep found, and pauses (E6).

    It answers also when the state cannot be reached: that is a trouble like the others.
    """
    try:
        overall = call.services.health.overall()
    except Exception as error:  # noqa: BLE001  (whatever keeps us from the state)
        log.error("health_unknown", exc_info=error)
        overall = Overall(None, {"state_unreachable": 1})
    return service.Health.model_validate(
        {
            "status": "ok" if overall.well else "degraded",
            "checked_at": overall.checked_at,
            "issues": overall.issues,
        }
    )


def _openapi(_call: Call[None, None]) -> Response:
    """This document."""
    return Response(openapi.as_json(ROUTES), content_type="application/json")


ROUTES: tuple[Route, ...] = (
    Route(
        "PUT",
        _SUBACCOUNT,
        directory_calls.put_subaccount,
        "Create or replace a subaccount's settings",
        subaccounts.Subaccount,
        body=subaccounts.SubaccountIn,
        problems=("limit_reached",),
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _SUBACCOUNT,
        directory_calls.get_subaccount,
        "Read a subaccount's settings",
        subaccounts.Subaccount,
        authority=Authority.BACKEND,
    ),
    Route(
        "PUT",
        _USER,
        directory_calls.put_user,
        "Create or replace a user",
        subaccounts.User,
        body=subaccounts.UserIn,
        problems=("limit_reached",),
        authority=Authority.BACKEND,
    ),
    Route(
        "PATCH",
        _USER,
        directory_calls.patch_user,
        "Change a user's never-log list, or whether the mailbox is recorded here",
        subaccounts.User,
        body=subaccounts.UserChange,
        authority=Authority.OWN_USER,
    ),
    Route(
        "GET",
        _USER,
        directory_calls.get_user,
        "Read a user",
        subaccounts.User,
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        _USER + "/bcc-address:rotate",
        bcc_calls.rotate_bcc_address,
        "Give a user a new BCC address; the old one stops working",
        subaccounts.BccAddress,
        body=NoFields,
        problems=("bcc_not_configured",),
        authority=Authority.OWN_USER,
    ),
    Route(
        "DELETE",
        _USER,
        directory_calls.delete_user,
        "Remove a user",
        None,
        authority=Authority.BACKEND,
    ),
    Route(
        "PUT",
        _CONTACT,
        directory_calls.put_contact,
        "Create or replace a contact",
        contacts.Contact,
        body=contacts.ContactIn,
        problems=("limit_reached",),
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _CONTACT,
        directory_calls.get_contact,
        "Read a contact",
        contacts.Contact,
        authority=Authority.BACKEND,
    ),
    Route(
        "DELETE",
        _CONTACT,
        directory_calls.delete_contact,
        "Erase a contact with its conversation, messages and attachments",
        None,
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        _SUBACCOUNT + "/contacts:import",
        directory_calls.import_contacts,
        "Create or replace many contacts, one JSON object a line",
        contacts.Imported,
        lines=contacts.ContactRow,
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        _CONNECTION,
        connection_calls.begin_connection,
        "Begin to connect, update or reauthorise a mailbox",
        connections.Authorization,
        body=connections.ConnectionIn,
        problems=("return_to_not_allowed",),
        authority=Authority.OWN_USER,
    ),
    Route(
        "GET",
        _CONNECTION,
        connection_calls.get_connection,
        "Read a user's connection",
        connections.Connection,
        problems=("not_connected",),
        authority=Authority.OWN_USER,
    ),
    Route(
        "DELETE",
        _CONNECTION,
        connection_calls.delete_connection,
        "Disconnect a user's mailbox; what is recorded stays",
        None,
        authority=Authority.OWN_USER,
    ),
    Route(
        "POST",
        _LOGGING,
        bcc_calls.begin_logging_connection,
        "Begin to connect the logging mailbox",
        connections.Authorization,
        body=NoFields,
        authority=Authority.DEPLOYMENT,
    ),
    Route(
        "GET",
        _LOGGING,
        bcc_calls.get_logging_connection,
        "Read the logging mailbox's connection",
        connections.LoggingConnection,
        problems=("not_connected",),
        authority=Authority.DEPLOYMENT,
    ),
    Route(
        "DELETE",
        _LOGGING,
        bcc_calls.delete_logging_connection,
        "Disconnect the logging mailbox",
        None,
        authority=Authority.DEPLOYMENT,
    ),
    Route(
        "PATCH",
        _CONNECTION,
        message_calls.set_daily_cap,
        "Set the daily cap of a user's mailbox",
        connections.Connection,
        body=connections.CapIn,
        problems=("not_connected",),
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        _SUBACCOUNT + "/messages",
        message_calls.send_message,
        "Send mail: one, with attachments as form data, or bulk",
        sending.SendAccepted,
        multipart=sending.SendIn,
        headers=(message_calls.KEY_HEADER,),
        status=202,
        problems=(
            "idempotency_key_required",
            "idempotency_key_reused",
            "reauth_required",
            "no_sender",
            "sending_paused",
            "unknown_contact",
            "too_many_contacts",
            "from_not_allowed",
            "daily_limit_reached",
        ),
        authority=Authority.OWN_SENDS,
    ),
    Route(
        "GET",
        _MESSAGE,
        reading_calls.get_message,
        "Read one message",
        messages.Message,
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/conversations",
        reading_calls.list_conversations,
        "List conversations, newest first",
        messages.Conversations,
        query=PageQuery,
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/conversations/{contact}/messages",
        reading_calls.list_messages,
        "List the messages of a conversation, newest first",
        messages.Messages,
        query=PageQuery,
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _MESSAGE + "/attachments/{attachment}",
        reading_calls.get_attachment,
        "Download an attachment",
        "application/octet-stream",
        problems=("attachment_not_stored",),
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/decisions",
        reading_calls.list_decisions,
        "Say why mail is recorded, or is not",
        decisions.Decisions,
        query=decisions.DecisionQuery,
        authority=Authority.OWN_MAILBOX,
    ),
    Route(
        "POST",
        _CONNECTION + ":audit",
        job_calls.audit_connection,
        "Compare a mailbox with what was recorded, and repair on request",
        jobs.Started,
        body=jobs.AuditIn,
        problems=("not_connected", "reauth_required"),
        status=202,
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        _CONTACT + ":backfill",
        job_calls.backfill_contact,
        "Bring in a contact's mail since the users' connections",
        jobs.Started,
        body=NoFields,
        status=202,
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        "/v1/jobs/{id}",
        job_calls.get_job,
        "Say how far an audit or a backfill is",
        jobs.Job,
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        "/v1/quarantine",
        quarantine_calls.list_quarantine,
        "List what could not be processed, newest first",
        quarantine.Quarantine,
        query=PageQuery,
        authority=Authority.BACKEND,
    ),
    Route(
        "POST",
        "/v1/quarantine/{id}:replay",
        quarantine_calls.replay_quarantined,
        "Try one thing of the quarantine again",
        quarantine.Replayed,
        body=NoFields,
        problems=("reauth_required",),
        authority=Authority.BACKEND,
    ),
    Route(
        "GET",
        "/health",
        _healthz,
        "Say that it runs",
        service.Health,
        authority=Authority.PUBLIC,
    ),
    Route(
        "GET",
        "/openapi.json",
        _openapi,
        "This document",
        "application/json",
        authority=Authority.PUBLIC,
    ),
)
