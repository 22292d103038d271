"""The admin API under `/_simulator/`: what tests and demos set and look at."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from .errors import ApiError
from .oauth_records import GMAIL_FULL, Client, client_file
from .web import Request, Response, json_response
from .world import GmailWorld

PREFIX = "/_simulator/"
Handler = Callable[[GmailWorld, Request], Any]


def handle(world: GmailWorld, request: Request) -> Response:
    """Answer an admin request."""
    handler = _HANDLERS.get(
        (request.method, request.path.removeprefix(PREFIX)), _no_such_call
    )
    try:
        with world.transaction():
            return json_response(handler(world, request))
    except ApiError as refusal:
        return json_response(refusal.body(), refusal.code)
    except (ValueError, TypeError, KeyError) as problem:
        bad = ApiError(400, f"{type(problem).__name__}: {problem}")
        return json_response(bad.body(), 400)


def _no_such_call(_world: GmailWorld, _request: Request) -> Any:
    raise ApiError(404, "No such admin call.")


def _add_account(world: GmailWorld, request: Request) -> Any:
    given = request.json()
    account = world.add_account(
        given["address"],
        given.get("name", ""),
        given.get("aliases", ()),
        domain=given.get("domain"),
        catch_all=bool(given.get("catch_all")),
    )
    if "daily_limit" in given:
        account.daily_limit = int(given["daily_limit"])
    return _account_json(world, account.address)


def _rename(world: GmailWorld, request: Request) -> Any:
    given = request.json()
    account = world.rename_account(given["address"], given["to"])
    return _account_json(world, account.address)


def _account_json(world: GmailWorld, address: str) -> dict[str, Any]:
    account = world.account(address)
    return {
        "address": account.address,
        "name": account.name,
        "aliases": [a for a in account.send_as if a != account.address],
        "domain": account.hosted_domain,
        "catch_all": account.catch_all,
        "messages": len(account.mailbox.messages),
        "history_id": str(account.mailbox.history_id),
        "refresh_tokens": world.oauth.live_refresh_tokens(account),
        "watches": [
            {"topic": watch.topic, "expires": watch.expires.isoformat()}
            for watch in account.watches.values()
        ],
    }


def _accounts(world: GmailWorld, _request: Request) -> Any:
    return {"items": [_account_json(world, a.address) for a in world.accounts]}


def _deliver(world: GmailWorld, request: Request) -> Any:
    delivered = world.deliver_from_outside(
        request.body,
        request.query.get("rcpt", []),
        request.one("auth", "pass"),
        spam=request.one("spam") in ("1", "true"),
        sender=request.one("from") or None,
    )
    return {
        "items": [
            {"account": d.account, "id": d.message_id, "threadId": d.thread_id}
            for d in delivered
        ]
    }


def _outside(world: GmailWorld, request: Request) -> Any:
    wanted = request.one("recipient").lower()
    return {
        "items": [
            {
                "from": mail.sender,
                "to": mail.recipient,
                "at": mail.at.isoformat(),
                "raw": base64.b64encode(mail.raw).decode(),
            }
            for mail in world.outside
            if wanted in ("", mail.recipient.lower())
        ]
    }


def _calls(world: GmailWorld, request: Request) -> Any:
    wanted = request.one("account")
    kept = [call for call in world.calls if wanted in ("", call.account)]
    return {
        "items": [call.to_json() for call in kept],
        "units": sum(call.units for call in kept),
    }


def _clear_calls(world: GmailWorld, _request: Request) -> Any:
    world.calls.clear()


def _get_faults(world: GmailWorld, _request: Request) -> Any:
    return {"items": world.faults.to_json()}


def _put_faults(world: GmailWorld, request: Request) -> Any:
    given = request.json()
    world.faults.replace(given["items"] if isinstance(given, dict) else given)
    return _get_faults(world, request)


def _add_fault(world: GmailWorld, request: Request) -> Any:
    world.faults.add(**request.json())
    return _get_faults(world, request)


def _clear_faults(world: GmailWorld, _request: Request) -> Any:
    world.faults.clear()


def _expire_history(world: GmailWorld, request: Request) -> Any:
    world.expire_history(request.one("account"), int(request.one("keep", "0")))
    return _account_json(world, request.one("account"))


def _register_client(world: GmailWorld, request: Request) -> Any:
    given = request.json()
    described = (
        given.get("web") or client_file(request.base_url, given["redirect_uris"])["web"]
    )
    client = Client(
        described["client_id"],
        described["client_secret"],
        tuple(described["redirect_uris"]),
    )
    world.oauth.register(client)
    return client_file(
        request.base_url, client.redirect_uris, client.client_id, client.secret
    )


def _grant(world: GmailWorld, request: Request) -> Any:
    given = request.json()
    tokens = world.grant(given["account"], given.get("scopes", (GMAIL_FULL,)))
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
    }


def _change_password(world: GmailWorld, request: Request) -> Any:
    world.change_password(request.one("account"))


def _block(world: GmailWorld, request: Request) -> Any:
    world.oauth.block(
        world.account(request.one("account")),
        request.one("description", "reauth related error (invalid_rapt)"),
        request.one("subtype", "invalid_rapt") or None,
    )


def _unblock(world: GmailWorld, request: Request) -> Any:
    world.oauth.unblock(world.account(request.one("account")))


def _get_settings(world: GmailWorld, _request: Request) -> Any:
    shown = dict(vars(world.settings))
    shown["topics"] = sorted(world.settings.topics or ()) or None
    return shown


def _patch_settings(world: GmailWorld, request: Request) -> Any:
    for name, value in request.json().items():
        if name not in vars(world.settings):
            raise ApiError(400, f"No such setting: {name}")
        setattr(world.settings, name, set(value) if name == "topics" else value)
    return _get_settings(world, request)


def _health(_world: GmailWorld, _request: Request) -> Any:
    return {"status": "ok"}


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "health"): _health,
    ("POST", "accounts"): _add_account,
    ("GET", "accounts"): _accounts,
    ("POST", "accounts/password"): _change_password,
    ("POST", "accounts/rename"): _rename,
    ("POST", "accounts/block"): _block,
    ("POST", "accounts/unblock"): _unblock,
    ("POST", "deliver"): _deliver,
    ("GET", "outside"): _outside,
    ("GET", "calls"): _calls,
    ("DELETE", "calls"): _clear_calls,
    ("GET", "faults"): _get_faults,
    ("PUT", "faults"): _put_faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "history/expire"): _expire_history,
    ("POST", "clients"): _register_client,
    ("POST", "grants"): _grant,
    ("GET", "settings"): _get_settings,
    ("PATCH", "settings"): _patch_settings,
}
