"""Every call of the API, in the order of SPEC §4.

A new call: its models in `models.py`, a handler in one of the `…_calls.py`, its use
case in `shared/services`, a line here, and its tests. Access, checks, problems and the
OpenAPI document follow from the line.
"""

from __future__ import annotations

from flask import Response

from functions.http import bcc_calls as bcc
from functions.http import connection_calls as connections
from functions.http import directory_calls as directory
from functions.http import job_calls as jobs
from functions.http import message_calls as sending
from functions.http import models, openapi
from functions.http import quarantine_calls as quarantine
from functions.http import reading_calls as reading
from functions.http.routing import Call, Route
from shared.logs import log
from shared.services.operating.health import Overall

_SUBACCOUNT = "/v1/subaccounts/{subaccount}"
_USER = _SUBACCOUNT + "/users/{user}"
_CONTACT = _SUBACCOUNT + "/contacts/{contact}"
_MESSAGE = _SUBACCOUNT + "/messages/{message}"
_CONNECTION = "/v1/users/{user}/connection"
_LOGGING = "/v1/logging-mailbox/connection"


def _healthz(call: Call[None, None]) -> models.Health:
    """Say that the service answers, and what the last sweep found (E6).

    It answers also when the state cannot be reached: that is a trouble like the others.
    """
    try:
        overall = call.services.health.overall()
    except Exception as error:  # noqa: BLE001  (whatever keeps us from the state)
        log.error("health_unknown", exc_info=error)
        overall = Overall(None, {"state_unreachable": 1})
    return models.Health.model_validate(
        {
            "status": "ok" if overall.well else "degraded",
            "checked_at": overall.checked_at,
            "troubles": overall.troubles,
        }
    )


def _openapi(_call: Call[None, None]) -> Response:
    """This document."""
    return Response(openapi.as_json(ROUTES), content_type="application/json")


ROUTES: tuple[Route, ...] = (
    Route(
        "PUT",
        _SUBACCOUNT,
        directory.put_subaccount,
        "Create or replace a subaccount's settings",
        models.Subaccount,
        body=models.SubaccountIn,
    ),
    Route(
        "GET",
        _SUBACCOUNT,
        directory.get_subaccount,
        "Read a subaccount's settings",
        models.Subaccount,
    ),
    Route(
        "PUT",
        _USER,
        directory.put_user,
        "Create or replace a team member",
        models.User,
        body=models.UserIn,
    ),
    Route("GET", _USER, directory.get_user, "Read a team member", models.User),
    Route(
        "POST",
        _USER + "/bcc-address:rotate",
        bcc.rotate_bcc_address,
        "Give a user a new BCC address; the old one stops working",
        models.BccAddress,
        body=models.NoFields,
        problems=("bcc_not_configured",),
    ),
    Route("DELETE", _USER, directory.delete_user, "Remove a team member", None),
    Route(
        "PUT",
        _CONTACT,
        directory.put_contact,
        "Create or replace a contact",
        models.Contact,
        body=models.ContactIn,
    ),
    Route("GET", _CONTACT, directory.get_contact, "Read a contact", models.Contact),
    Route(
        "DELETE",
        _CONTACT,
        directory.delete_contact,
        "Erase a contact with its conversation, messages and attachments",
        None,
    ),
    Route(
        "POST",
        _SUBACCOUNT + "/contacts:import",
        directory.import_contacts,
        "Create or replace many contacts, one JSON object a line",
        models.Imported,
        lines=models.ContactRow,
    ),
    Route(
        "POST",
        _CONNECTION,
        connections.begin_connection,
        "Begin to connect, update or reauthorise a mailbox",
        models.Authorization,
        body=models.ConnectionIn,
        problems=("return_to_not_allowed",),
    ),
    Route(
        "GET",
        _CONNECTION,
        connections.get_connection,
        "Read a user's connection",
        models.Connection,
        problems=("not_connected",),
    ),
    Route(
        "DELETE",
        _CONNECTION,
        connections.delete_connection,
        "Disconnect a user's mailbox; what is recorded stays",
        None,
    ),
    Route(
        "POST",
        _LOGGING,
        bcc.begin_logging_connection,
        "Begin to connect the logging mailbox",
        models.Authorization,
        body=models.NoFields,
        problems=("forbidden",),
    ),
    Route(
        "GET",
        _LOGGING,
        bcc.get_logging_connection,
        "Read the logging mailbox's connection",
        models.LoggingConnection,
        problems=("forbidden", "not_connected"),
    ),
    Route(
        "DELETE",
        _LOGGING,
        bcc.delete_logging_connection,
        "Disconnect the logging mailbox",
        None,
        problems=("forbidden",),
    ),
    Route(
        "PATCH",
        _CONNECTION,
        sending.set_daily_cap,
        "Set the daily cap of a user's mailbox",
        models.Connection,
        body=models.CapIn,
        problems=("not_connected",),
    ),
    Route(
        "POST",
        _SUBACCOUNT + "/messages",
        sending.send_message,
        "Send mail: one, with attachments as form data, or bulk",
        models.SendAccepted,
        multipart=models.SendIn,
        headers=(sending.KEY_HEADER,),
        status=202,
        problems=(
            "idempotency_key_required",
            "idempotency_key_reused",
            "reauth_required",
            "no_sender",
            "unknown_contact",
            "too_many_contacts",
            "from_not_allowed",
            "daily_limit_reached",
        ),
    ),
    Route(
        "GET",
        _MESSAGE,
        reading.get_message,
        "Read one message",
        models.Message,
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/conversations",
        reading.list_conversations,
        "List conversations, newest first",
        models.Conversations,
        query=models.PageQuery,
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/conversations/{contact}/messages",
        reading.list_messages,
        "List the messages of a conversation, newest first",
        models.Messages,
        query=models.PageQuery,
    ),
    Route(
        "GET",
        _MESSAGE + "/attachments/{attachment}",
        reading.get_attachment,
        "Download an attachment",
        "application/octet-stream",
        problems=("attachment_not_stored",),
    ),
    Route(
        "GET",
        _SUBACCOUNT + "/decisions",
        reading.list_decisions,
        "Say why mail is recorded, or is not",
        models.Decisions,
        query=models.DecisionQuery,
    ),
    Route(
        "POST",
        _CONNECTION + ":audit",
        jobs.audit_connection,
        "Compare a mailbox with what was recorded, and repair on request",
        models.Started,
        body=models.AuditIn,
        problems=("not_connected", "reauth_required"),
        status=202,
    ),
    Route(
        "POST",
        _CONTACT + ":backfill",
        jobs.backfill_contact,
        "Bring in a contact's mail since the users' connections",
        models.Started,
        body=models.NoFields,
        status=202,
    ),
    Route(
        "GET",
        "/v1/jobs/{id}",
        jobs.get_job,
        "Say how far an audit or a backfill is",
        models.Job,
    ),
    Route(
        "GET",
        "/v1/quarantine",
        quarantine.list_quarantine,
        "List what could not be processed, newest first",
        models.Quarantine,
        query=models.PageQuery,
        problems=("forbidden",),
    ),
    Route(
        "POST",
        "/v1/quarantine/{id}:replay",
        quarantine.replay_quarantined,
        "Try one thing of the quarantine again",
        models.Replayed,
        body=models.NoFields,
        problems=("reauth_required",),
    ),
    Route("GET", "/healthz", _healthz, "Say that it runs", models.Health, public=True),
    Route(
        "GET",
        "/openapi.json",
        _openapi,
        "This document",
        "application/json",
        public=True,
    ),
)
