"""users: profile, history, watch, drafts, labels and send-as settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .accounts import SendAs, Watch
from .api_messages import brief, full, listed, reference, sort_key
from .calls import Answer, Context, method, page_of, raw_of
from .errors import ApiError, bad_request, not_found
from .mailbox import HistoryRecord, Label
from .world import require_watch_topic

_HISTORY_TYPES = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}
_LABEL_SETTINGS = ("messageListVisibility", "labelListVisibility", "color")
_SEND_AS_SETTINGS = ("replyToAddress", "signature", "treatAsAlias")


@method("gmail.users.getProfile")
def _profile(ctx: Context) -> Answer:
    return {
        "emailAddress": ctx.account.address,
        "messagesTotal": len(ctx.mailbox.messages),
        "threadsTotal": len(ctx.mailbox.threads),
        "historyId": str(ctx.mailbox.history_id),
    }


# --- history and watch -----------------------------------------------------------


@method("gmail.users.history.list")
def _history(ctx: Context) -> Answer:
    start = ctx.text("startHistoryId")
    if not start.isdigit():
        raise bad_request("Invalid value for startHistoryId")
    token = ctx.text("pageToken")
    if token and not token.isdigit():
        raise bad_request("Invalid pageToken")
    records = ctx.mailbox.history_after(int(start))
    newest = ctx.mailbox.history_id
    if ctx.lag is not None:
        horizon = ctx.now - timedelta(seconds=ctx.lag.seconds)
        records = [r for r in records if r.at <= horizon]
        if ctx.lag.reports == "visible":
            newest = records[-1].id if records else int(start)
    if token:
        records = [r for r in records if r.id > int(token)]

    size = ctx.max_results()
    if not ctx.settings.sparse_history_pages:
        records = [r for r in records if _asked_for(ctx, r)]
    page = records[:size]
    answer: dict[str, Any] = {"historyId": str(newest)}
    if shown := [_history_entry(r) for r in page if _asked_for(ctx, r)]:
        answer["history"] = shown
    if len(records) > size:
        answer["nextPageToken"] = str(page[-1].id)
    return answer


def _asked_for(ctx: Context, record: HistoryRecord) -> bool:
    kinds = ctx.many("historyTypes")
    if any(kind not in _HISTORY_TYPES for kind in kinds):
        raise bad_request("Invalid value at 'history_types'")
    if kinds and record.kind not in {_HISTORY_TYPES[kind] for kind in kinds}:
        return False
    label = ctx.text("labelId")
    return not label or label in record.labels or label in record.changed


def _history_entry(record: HistoryRecord) -> dict[str, Any]:
    named: dict[str, Any] = {"id": record.message_id, "threadId": record.thread_id}
    change: dict[str, Any] = {"message": named | {"labelIds": list(record.labels)}}
    if record.changed:
        change["labelIds"] = list(record.changed)
    return {"id": str(record.id), "messages": [named], record.kind: [change]}


@method("gmail.users.watch")
def _watch(ctx: Context) -> Answer:
    topic = str(ctx.body.get("topicName", ""))
    require_watch_topic(topic, ctx.settings.topics)
    project = ctx.client_id.partition("-")[0]
    for client_id, other in ctx.account.watches.items():
        same_developer = client_id.partition("-")[0] == project
        if same_developer and other.topic != topic and other.expires > ctx.now:
            raise ApiError(
                400,
                "Only one user push notification client allowed per developer "
                "(call /stop then try again)",
                "failedPrecondition",
            )
    behavior = ctx.body.get("labelFilterBehavior") or ctx.body.get("labelFilterAction")
    if behavior not in (None, "include", "exclude", "INCLUDE", "EXCLUDE"):
        raise bad_request("Invalid value at 'label_filter_behavior'")
    expires = ctx.now + timedelta(days=ctx.settings.watch_days)
    ctx.account.watches[ctx.client_id] = Watch(
        topic,
        frozenset(ctx.names("labelIds")),
        str(behavior).lower() == "exclude",
        expires,
    )
    if ctx.settings.notify_on_watch:
        ctx.world.announce(ctx.account, ctx.client_id)
    return {
        "historyId": str(ctx.mailbox.history_id),
        "expiration": str(int(expires.timestamp() * 1000)),
    }


@method("gmail.users.stop")
def _stop(ctx: Context) -> Answer:
    ctx.account.watches.pop(ctx.client_id, None)
    return None


# --- drafts ----------------------------------------------------------------------


@method("gmail.users.drafts.create")
def _create_draft(ctx: Context) -> Answer:
    return _stored_draft(ctx, None)


@method("gmail.users.drafts.update")
def _update_draft(ctx: Context) -> Answer:
    return _stored_draft(ctx, ctx.path["id"])


def _stored_draft(ctx: Context, draft_id: str | None) -> Answer:
    raw, thread_id = _draft_mail(ctx)
    draft_id = ctx.world.store_draft(ctx.account, raw, thread_id, draft_id)
    message = ctx.world.draft_message(ctx.account, draft_id)
    return {"id": draft_id, "message": brief(message)}


def _draft_mail(ctx: Context) -> tuple[bytes, str | None]:
    message = ctx.body.get("message") or {}
    return raw_of(ctx.media, message), message.get("threadId")


@method("gmail.users.drafts.get")
def _get_draft(ctx: Context) -> Answer:
    message = ctx.world.draft_message(ctx.account, ctx.path["id"])
    form = ctx.text("format", "full")
    return {"id": ctx.path["id"], "message": full(ctx, message, form)}


@method("gmail.users.drafts.list")
def _list_drafts(ctx: Context) -> Answer:
    by_message = {message: draft for draft, message in ctx.mailbox.drafts.items()}
    found = [m for m in listed(ctx) if m.id in by_message]
    page, token = page_of(found, sort_key, ctx.max_results(), ctx.text("pageToken"))
    answer: dict[str, Any] = {"resultSizeEstimate": len(found)}
    if page:
        answer["drafts"] = [
            {"id": by_message[m.id], "message": reference(m)} for m in page
        ]
    if token:
        answer["nextPageToken"] = token
    return answer


@method("gmail.users.drafts.delete")
def _delete_draft(ctx: Context) -> Answer:
    ctx.mailbox.delete(ctx.world.draft_message(ctx.account, ctx.path["id"]))
    return None


@method("gmail.users.drafts.send")
def _send_draft(ctx: Context) -> Answer:
    draft_id = ctx.body.get("id")
    if draft_id is None:
        # a draft that was never stored: sent as it comes
        raw, thread_id = _draft_mail(ctx)
        return brief(ctx.world.send(ctx.account, raw, thread_id))
    if ctx.media is not None or "raw" in (ctx.body.get("message") or {}):
        raw, thread_id = _draft_mail(ctx)
        ctx.world.store_draft(ctx.account, raw, thread_id, str(draft_id))
    return brief(ctx.world.send_draft(ctx.account, str(draft_id)))


# --- labels ----------------------------------------------------------------------


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
