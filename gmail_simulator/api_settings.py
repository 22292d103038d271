"""users.labels and the send-as addresses of users.settings."""

from __future__ import annotations

from typing import Any

from .accounts import SendAs
from .calls import Answer, Context, method
from .errors import ApiError, bad_request, not_found
from .messages import Label

_LABEL_SETTINGS = ("messageListVisibility", "labelListVisibility", "color")
_SEND_AS_SETTINGS = ("replyToAddress", "signature", "treatAsAlias")


def _label_json(label: Label) -> dict[str, Any]:
    return {"id": label.id, "name": label.name, "type": label.type} | label.settings


def _label(ctx: Context) -> Label:
    label = ctx.mailbox.labels.get(ctx.path["id"])
    if label is None:
        raise not_found()
    return label


def _own_label(ctx: Context) -> Label:
    label = _label(ctx)
    if label.type == "system":
        raise bad_request("Invalid update to a system label")
    return label


@method("gmail.users.labels.list")
def _list_labels(ctx: Context) -> Answer:
    return {"labels": [_label_json(label) for label in ctx.mailbox.labels.values()]}


@method("gmail.users.labels.get")
def _get_label(ctx: Context) -> Answer:
    label = _label(ctx)
    held = [m for m in ctx.mailbox.messages.values() if label.id in m.labels]
    unread = [m for m in held if "UNREAD" in m.labels]
    return _label_json(label) | {
        "messagesTotal": len(held),
        "messagesUnread": len(unread),
        "threadsTotal": len({m.thread_id for m in held}),
        "threadsUnread": len({m.thread_id for m in unread}),
    }


@method("gmail.users.labels.create")
def _create_label(ctx: Context) -> Answer:
    name = ctx.body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise bad_request("Invalid label name")
    settings = {k: ctx.body[k] for k in _LABEL_SETTINGS if k in ctx.body}
    return _label_json(ctx.mailbox.create_label(name, settings))


@method("gmail.users.labels.update")
@method("gmail.users.labels.patch")
def _change_label(ctx: Context) -> Answer:
    label = _own_label(ctx)
    label.name = str(ctx.body.get("name", label.name))
    label.settings.update({k: ctx.body[k] for k in _LABEL_SETTINGS if k in ctx.body})
    return _label_json(label)


@method("gmail.users.labels.delete")
def _delete_label(ctx: Context) -> Answer:
    label = _own_label(ctx)
    for message in ctx.mailbox.messages.values():
        ctx.mailbox.change_labels(message, remove=[label.id])
    del ctx.mailbox.labels[label.id]
    return None


# --- send-as ---------------------------------------------------------------------


def _send_as_json(alias: SendAs) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "sendAsEmail": alias.address,
        "displayName": alias.name,
        "replyToAddress": "",
        "signature": "",
    } | alias.settings
    if alias.primary:
        return shown | {"isPrimary": True, "isDefault": True}
    status = "accepted" if alias.verified else "pending"
    return {"treatAsAlias": True} | shown | {"verificationStatus": status}


def _alias(ctx: Context) -> SendAs:
    alias = ctx.account.send_as.get(ctx.path["sendAsEmail"].lower())
    if alias is None:
        raise not_found()
    return alias


@method("gmail.users.settings.sendAs.list")
def _list_send_as(ctx: Context) -> Answer:
    return {"sendAs": [_send_as_json(a) for a in ctx.account.send_as.values()]}


@method("gmail.users.settings.sendAs.get")
def _get_send_as(ctx: Context) -> Answer:
    return _send_as_json(_alias(ctx))


@method("gmail.users.settings.sendAs.create")
def _create_send_as(ctx: Context) -> Answer:
    address = str(ctx.body.get("sendAsEmail", "")).lower()
    if "@" not in address:
        raise bad_request("Invalid sendAsEmail")
    if address in ctx.account.send_as:
        raise ApiError(409, "sendAs already exists", "alreadyExists")
    # somebody has to follow the link in the verification mail first
    alias = SendAs(address, str(ctx.body.get("displayName", "")), verified=False)
    alias.settings.update({k: ctx.body[k] for k in _SEND_AS_SETTINGS if k in ctx.body})
    ctx.account.send_as[address] = alias
    return _send_as_json(alias)


@method("gmail.users.settings.sendAs.update")
@method("gmail.users.settings.sendAs.patch")
def _change_send_as(ctx: Context) -> Answer:
    alias = _alias(ctx)
    alias.name = str(ctx.body.get("displayName", alias.name))
    alias.settings.update({k: ctx.body[k] for k in _SEND_AS_SETTINGS if k in ctx.body})
    return _send_as_json(alias)


@method("gmail.users.settings.sendAs.delete")
def _delete_send_as(ctx: Context) -> Answer:
    alias = _alias(ctx)
    if alias.primary:
        raise bad_request("Cannot delete the primary send-as address")
    del ctx.account.send_as[alias.address]
    return None
