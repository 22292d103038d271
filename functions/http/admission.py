"""Who may make a call, beyond its subaccount, which `routing` has checked."""

from __future__ import annotations

from typing import Any

from functions.http import problems
from functions.http.routing import Call
from shared.core.access import may_name_user, shares_subaccount
from shared.services.crm.directory import not_found


def only_the_backend(call: Call[Any, Any]) -> None:
    """Let the CRM's backend through, and no user."""
    if not call.caller.is_backend:
        raise problems.make("forbidden")


def only_for_oneself(call: Call[Any, Any]) -> None:
    """Let the path's user through, and the backend."""
    if not may_name_user(call.caller, call.user):
        raise problems.make("forbidden")


def to_connection(call: Call[Any, Any]) -> None:
    """Let the user through, and the backend for users of the token's subaccounts."""
    only_for_oneself(call)
    memberships = call.services.directory.subaccounts_of(call.user)
    if not shares_subaccount(call.caller, memberships):
        raise not_found("user")
