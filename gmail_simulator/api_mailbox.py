"""users: profile, history, watch and drafts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .accounts import Watch
from .api_messages import brief, full, listed, reference, sort_key
from .calls import Answer, Context, method, page_of, raw_of
from .errors import ApiError, bad_request
from .messages import HistoryRecord

_HISTORY_TYPES = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}


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
    _require_topic(topic, ctx.settings.topics)
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


def _require_topic(topic: str, known: set[str] | None) -> None:
    """Refuse a topic name that is malformed or not there."""
    pieces = topic.split("/")
    if (
        len(pieces) != 4  # noqa: PLR2004  # projects/p/topics/t
        or pieces[::2] != ["projects", "topics"]
        or not all(pieces)
    ):
        raise bad_request(
            "Invalid topicName does not match projects/[project]/topics/*"
        )
    if known is not None and topic not in known:
        raise bad_request(
            f"Error sending test message to Cloud PubSub {topic} : Resource not found "
            f"(resource={pieces[3]})."
        )
