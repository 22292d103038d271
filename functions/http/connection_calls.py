"""Calls on a user's connection (C1, C8)."""

from __future__ import annotations

from typing import Any

from functions.http import bcc_calls, models, problems
from functions.http.routing import Call
from shared.core.access import may_name_user, shares_subaccount
from shared.services.crm.directory import not_found


def begin_connection(
    call: Call[models.ConnectionIn, None],
) -> models.Authorization:
    """Begin to connect, update or reauthorise a mailbox."""
    admit_to_connection(call)
    url = call.services.connections.begin(user=call.user, return_to=call.body.return_to)
    return models.Authorization(authorization_url=url)


def get_connection(call: Call[None, None]) -> models.Connection:
    """The connection as the user and the CRM see it."""
    admit_to_connection(call)
    view = call.services.connections.view(call.user)
    view["bcc_addresses"] = bcc_calls.addresses(call)
    return models.Connection.model_validate(view)


def delete_connection(call: Call[None, None]) -> None:
    """Disconnect (C6); one that never was, or has ended, is no error."""
    admit_to_connection(call)
    call.services.connections.disconnect(call.user)


def admit_to_connection(call: Call[Any, Any]) -> None:
    """Let the user through, and the backend for users of the token's subaccounts."""
    if not may_name_user(call.caller, call.user):
        raise problems.make("forbidden")
    memberships = call.services.directory.subaccounts_of(call.user)
    if not shares_subaccount(call.caller, memberships):
        raise not_found("user")
