"""users.threads."""

from __future__ import annotations

from typing import Any

from .api_messages import brief, full, listed, relabel, sort_key
from .calls import Answer, Context, method, page_of
from .errors import bad_request
from .messages import Message


@method("gmail.users.threads.list")
def _list_threads(ctx: Context) -> Answer:
    newest: dict[str, Message] = {}
    for message in listed(ctx):
        newest.setdefault(message.thread_id, message)
    found = list(newest.values())
    page, token = page_of(found, sort_key, ctx.max_results(), ctx.text("pageToken"))
    answer: dict[str, Any] = {"resultSizeEstimate": len(found)}
    if page:
        answer["threads"] = [
            {
                "id": m.thread_id,
                "snippet": m.snippet,
                "historyId": _thread_history(ctx, m.thread_id),
            }
            for m in page
        ]
    if token:
        answer["nextPageToken"] = token
    return answer


@method("gmail.users.threads.get")
def _get_thread(ctx: Context) -> Answer:
    thread_id = ctx.path["id"]
    form = ctx.text("format", "full")
    if form == "raw":
        raise bad_request("Invalid value at 'format': \"raw\"")
    return {
        "id": thread_id,
        "historyId": _thread_history(ctx, thread_id),
        "messages": [full(ctx, m, form) for m in ctx.mailbox.thread(thread_id)],
    }


@method("gmail.users.threads.modify")
def _modify_thread(ctx: Context) -> Answer:
    messages = ctx.mailbox.thread(ctx.path["id"])
    relabel(ctx, messages)
    return _thread_brief(ctx, messages)


@method("gmail.users.threads.trash")
def _trash_thread(ctx: Context) -> Answer:
    messages = ctx.mailbox.thread(ctx.path["id"])
    for message in messages:
        ctx.mailbox.trash(message)
    return _thread_brief(ctx, messages)


@method("gmail.users.threads.untrash")
def _untrash_thread(ctx: Context) -> Answer:
    messages = ctx.mailbox.thread(ctx.path["id"])
    for message in messages:
        ctx.mailbox.change_labels(message, remove=["TRASH"])
    return _thread_brief(ctx, messages)


@method("gmail.users.threads.delete")
def _delete_thread(ctx: Context) -> Answer:
    for message in ctx.mailbox.thread(ctx.path["id"]):
        ctx.mailbox.delete(message)
    return None


def _thread_brief(ctx: Context, messages: list[Message]) -> Answer:
    return {"id": ctx.path["id"], "messages": [brief(m) for m in messages]}


def _thread_history(ctx: Context, thread_id: str) -> str:
    return str(max(m.history_id for m in ctx.mailbox.thread(thread_id)))
