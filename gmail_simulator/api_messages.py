"""users.messages and their attachments."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from typing import Any

from . import delivery, headers, parts
from .calls import Answer, Context, method, page_of, raw_of
from .errors import ApiError, bad_request, not_found
from .messages import Message
from .search import compile_query, visible

MAX_BATCH_IDS = 1_000
_FORMATS = frozenset({"full", "metadata", "minimal", "raw"})
_METADATA_SCOPE = "https://www.googleapis.com/auth/gmail.metadata"
_ID_PREFIX = "ANGjdJ"


def brief(message: Message) -> dict[str, Any]:
    """Return a message as answers to changes show it."""
    return {
        "id": message.id,
        "threadId": message.thread_id,
        "labelIds": message.label_ids(),
    }


def reference(message: Message) -> dict[str, Any]:
    """Return a message as lists show it."""
    return {"id": message.id, "threadId": message.thread_id}


def full(ctx: Context, message: Message, form: str) -> dict[str, Any]:
    """Return a message in one of the API's formats."""
    form = form.lower()
    if form not in _FORMATS:
        raise bad_request(f"Invalid value at 'format': \"{form}\"")
    if form in ("full", "raw") and _metadata_only(ctx):
        raise ApiError(
            403, f"Metadata scope doesn't allow format {form.upper()}", "forbidden"
        )
    shown: dict[str, Any] = brief(message) | {
        "snippet": message.snippet,
        "historyId": str(message.history_id),
        "internalDate": str(message.internal_date),
        "sizeEstimate": len(message.raw),
    }
    if form == "raw":
        shown["raw"] = parts.encode(message.raw)
    elif form == "metadata":
        wanted = {name.lower() for name in ctx.many("metadataHeaders")}
        fields = [f for f in message.fields if not wanted or f.name.lower() in wanted]
        shown["payload"] = {
            "mimeType": message.root.mime_type,
            "headers": parts.header_list(fields, decode=ctx.settings.headers_decoded),
        }
    elif form == "full":
        shown["payload"] = parts.to_json(
            message.root,
            decode_headers=ctx.settings.headers_decoded,
            text_as_utf8=ctx.settings.text_as_utf8,
            attachment_id=_attachment_id,
        )
    return shown


def listed(ctx: Context) -> list[Message]:
    """Return what a list call asks for, the newest first."""
    query = ctx.text("q")
    if query and _metadata_only(ctx):
        raise ApiError(403, "Metadata scope does not support 'q' parameter")
    test, anywhere = compile_query(query, ctx.mailbox.labels, ctx.now)
    labels = set(ctx.many("labelIds"))
    anywhere |= ctx.flag("includeSpamTrash") or bool(labels & {"SPAM", "TRASH"})
    return [
        message
        for message in ctx.mailbox.newest_first()
        if labels <= message.labels and (anywhere or visible(message)) and test(message)
    ]


def sort_key(message: Message) -> str:
    """Return the key that lists are ordered and paged by."""
    return f"{message.internal_date:020}:{message.id}"


@method("gmail.users.messages.list")
def _list(ctx: Context) -> Answer:
    found = listed(ctx)
    page, token = page_of(found, sort_key, ctx.max_results(), ctx.text("pageToken"))
    answer: dict[str, Any] = {"resultSizeEstimate": len(found)}
    if page:
        answer["messages"] = [reference(m) for m in page]
    if token:
        answer["nextPageToken"] = token
    return answer


@method("gmail.users.messages.get")
def _get(ctx: Context) -> Answer:
    message = ctx.mailbox.get(ctx.path["id"])
    return full(ctx, message, ctx.text("format", "full"))


@method("gmail.users.messages.attachments.get")
def _get_attachment(ctx: Context) -> Answer:
    message = ctx.mailbox.get(ctx.path["messageId"])
    part = parts.find(message.root, _part_id(ctx.path["id"]))
    if part is None:
        raise bad_request("Invalid attachment token")
    data = part.data
    return {"size": len(data), "data": parts.encode(data)}


@method("gmail.users.messages.send")
def _send(ctx: Context) -> Answer:
    raw = raw_of(ctx.media, ctx.body)
    return brief(ctx.world.send(ctx.account, raw, ctx.body.get("threadId")))


@method("gmail.users.messages.insert")
def _insert(ctx: Context) -> Answer:
    return _put(ctx, "receivedTime", ctx.names("labelIds"))


@method("gmail.users.messages.import")
def _import(ctx: Context) -> Answer:
    raw = raw_of(ctx.media, ctx.body)
    labels = ctx.names("labelIds")
    if not ctx.flag("neverMarkSpam") and ctx.world.is_spam(ctx.account, raw):
        labels = [name for name in labels if name != "INBOX"] + ["SPAM"]
    return _put(ctx, "dateHeader", labels)


def _put(ctx: Context, default_source: str, labels: list[str]) -> Answer:
    raw = raw_of(ctx.media, ctx.body)
    for label in labels:
        if label not in ctx.mailbox.labels:
            raise bad_request(f"Invalid label: {label}")
    fields = headers.split(raw)[0]
    source = ctx.text("internalDateSource", default_source)
    date = delivery.date_of(fields) if source == "dateHeader" else None
    if not headers.get(fields, "Message-ID"):
        made = delivery.new_message_id(ctx.world.rng)
        raw = headers.field("Message-ID", made).raw + raw
    address = ctx.account.address
    return brief(ctx.world.import_message(address, raw, labels, date))


@method("gmail.users.messages.modify")
def _modify(ctx: Context) -> Answer:
    message = ctx.mailbox.get(ctx.path["id"])
    relabel(ctx, [message])
    return brief(message)


@method("gmail.users.messages.batchModify")
def _batch_modify(ctx: Context) -> Answer:
    relabel(ctx, _named(ctx))
    return None


@method("gmail.users.messages.trash")
def _trash(ctx: Context) -> Answer:
    message = ctx.mailbox.get(ctx.path["id"])
    ctx.mailbox.trash(message)
    return brief(message)


@method("gmail.users.messages.untrash")
def _untrash(ctx: Context) -> Answer:
    message = ctx.mailbox.get(ctx.path["id"])
    ctx.mailbox.change_labels(message, remove=["TRASH"])
    return brief(message)


@method("gmail.users.messages.delete")
def _delete(ctx: Context) -> Answer:
    ctx.mailbox.delete(ctx.mailbox.get(ctx.path["id"]))
    return None


@method("gmail.users.messages.batchDelete")
def _batch_delete(ctx: Context) -> Answer:
    for message in _named(ctx):
        ctx.mailbox.delete(message)
    return None


def relabel(ctx: Context, messages: Iterable[Message]) -> None:
    """Change labels as the body of a modify call says."""
    add, remove = ctx.names("addLabelIds"), ctx.names("removeLabelIds")
    ctx.mailbox.check_labels(add + remove)
    # spam and trash leave the inbox, as in Gmail's own pages
    if "SPAM" in add or "TRASH" in add:
        remove = [*remove, "INBOX"]
    for message in messages:
        ctx.mailbox.change_labels(message, add, remove)


def _named(ctx: Context) -> list[Message]:
    """Return the messages that a batch call names; those that are gone are skipped."""
    ids = ctx.names("ids")
    if not ids:
        raise bad_request("No message ids specified.")
    if len(ids) > MAX_BATCH_IDS:
        raise bad_request(f"Too many message ids: at most {MAX_BATCH_IDS}")
    known = ctx.mailbox.messages
    return [
        known[message_id] for message_id in dict.fromkeys(ids) if message_id in known
    ]


def _metadata_only(ctx: Context) -> bool:
    """Whether the token may read headers and nothing else."""
    readers = {"gmail.readonly", "gmail.modify", "mail.google.com"}
    kinds = {scope.rstrip("/").rpartition("/")[2] for scope in ctx.scopes}
    return _METADATA_SCOPE in ctx.scopes and not (kinds & readers)


def _attachment_id(part_id: str) -> str:
    """Make an id that is new each time, as the real ones are; all of them work."""
    # not from the seeded generator: reading must not change what happens next
    noise = secrets.token_bytes(24)
    token = base64.urlsafe_b64encode(noise + part_id.encode()).decode().rstrip("=")
    return _ID_PREFIX + token


def _part_id(attachment_id: str) -> str:
    if not attachment_id.startswith(_ID_PREFIX):
        raise bad_request("Invalid attachment token")
    token = attachment_id[len(_ID_PREFIX) :]
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return data[24:].decode("ascii")
    except ValueError:
        raise not_found() from None
