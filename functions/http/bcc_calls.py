"""Calls on BCC addresses (B1), and on the mailbox that they lead to (B4)."""

from __future__ import annotations

from typing import Any

from functions.http.models import connections, subaccounts
from functions.http.models.base import NoFields
from functions.http.routing import Call
from shared.core.matching.bcc import LOGGING


def rotate_bcc_address(call: Call[NoFields, None]) -> subaccounts.BccAddress:
    """Give a user a new BCC address; the old one stops working."""
    address = call.services.bcc.rotate(call.subaccount, call.user)
    return subaccounts.BccAddress(bcc_address=address)


def shown_address(call: Call[Any, Any]) -> str | None:
    """The BCC address of the path's user, a secret between the user and the CRM."""
    return call.services.bcc.show(call.subaccount, call.user)


def addresses(call: Call[Any, Any]) -> dict[str, str]:
    """The user's BCC addresses in those subaccounts that the token covers."""
    own = call.services.directory.subaccounts_of(call.user)
    covered = [
        subaccount for subaccount in own if subaccount in call.caller.subaccounts
    ]
    return dict(call.services.bcc.show_all(call.user, covered))


def begin_logging_connection(
    call: Call[NoFields, None],
) -> connections.Authorization:
    """Begin to connect the deployment's logging mailbox."""
    url = call.services.connections.begin(LOGGING)
    return connections.Authorization(authorization_url=url)


def get_logging_connection(call: Call[None, None]) -> connections.LoggingConnection:
    """The logging mailbox as the operator sees it."""
    view = call.services.connections.view(LOGGING)
    fields = connections.LoggingConnection.model_fields
    shown = {name: value for name, value in view.items() if name in fields}
    # Nobody sends from it: that it is a consumer address harms no deliverability.
    shown["warnings"] = [
        warning
        for warning in shown["warnings"]
        if warning["code"] != "consumer_address"
    ]
    return connections.LoggingConnection.model_validate(shown)


def delete_logging_connection(call: Call[None, None]) -> None:
    """Disconnect the logging mailbox; mail to BCC addresses is read no more."""
    call.services.connections.disconnect(LOGGING)
