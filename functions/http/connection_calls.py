"""Calls on a user's connection (C1, C8)."""

from __future__ import annotations

from functions.http import bcc_calls
from functions.http.models import connections
from functions.http.routing import Call


def begin_connection(
    call: Call[connections.ConnectionIn, None],
) -> connections.Authorization:
    """Begin to connect, update or reauthorise a mailbox."""
    url = call.services.connections.begin(user=call.user, return_to=call.body.return_to)
    return connections.Authorization(authorization_url=url)


def get_connection(call: Call[None, None]) -> connections.Connection:
    """The connection as the user and the CRM see it."""
    view = call.services.connections.view(call.user)
    view["bcc_addresses"] = bcc_calls.addresses(call)
    view["sync"] = call.services.directory.syncs(call.user, call.caller.subaccounts)
    return connections.Connection.model_validate(view)


def delete_connection(call: Call[None, None]) -> None:
    """Disconnect (C6); one that never was, or has ended, is no error."""
    call.services.connections.disconnect(call.user)
