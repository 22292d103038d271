"""Calls on a user's connection (C1, C8)."""

from __future__ import annotations

from functions.http import bcc_calls
from functions.http.models import connections
from functions.http.routing import Call
from shared.core.parsing.sanitise import safe_html


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
    view["send_as"] = _send_as(call) if view["status"] == "active" else []
    view["sync"] = call.services.directory.syncs(call.user, call.caller.subaccounts)
    return connections.Connection.model_validate(view)


def _send_as(call: Call[None, None]) -> list[connections.SendAs]:
    services = call.services
    found = services.accounts.send_as(services.connections.mailbox_of(call.user))
    return [
        connections.SendAs(
            address=alias.address,
            name=alias.name,
            signature=safe_html(alias.signature),
            default=alias.default,
        )
        for alias in found
    ]


def delete_connection(call: Call[None, None]) -> None:
    """Disconnect (C6); one that never was, or has ended, is no error."""
    call.services.connections.disconnect(call.user)
