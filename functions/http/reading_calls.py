"""Calls that read what was recorded, and why."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Response

from functions.http import page_tokens
from functions.http.models import decisions, messages
from functions.http.models.base import PageQuery
from functions.http.routing import Call
from shared.core import mail, records
from shared.core.ids import GmailMessageId, Rfc822MessageId
from shared.core.matching.bcc import LOGGING
from shared.core.parsing.address import normalise
from shared.services.crm.conversation_queries import Page, Position
from shared.services.operations.decision_queries import Decision

_MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,80}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}"
)
# What a browser might run, should anything make it show the download.
_ACTIVE = re.compile(r"html|xml|svg|script|x-shockwave|x-mixed|pdf")
_ENDINGS = {"message/rfc822": ".eml", "text/calendar": ".ics"}
_ANY_BYTES = "application/octet-stream"
# Path separators, what Windows refuses, controls, and marks that turn the reading
# direction round (`gpj.exe` shown as `exe.jpg`).
_UNSAFE_IN_NAMES = re.compile(
    '[\\x00-\\x1f\\x7f-\\x9f/\\\\:*?"<>|%\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]'
)
_MAX_FILENAME_CHARS = 150


def list_conversations(call: Call[None, PageQuery]) -> messages.Conversations:
    """Conversations of a subaccount, newest first."""
    name = f"{call.subaccount}/conversations"
    page = call.services.reading.conversations(
        call.subaccount,
        limit=call.query.page_size,
        after=page_tokens.decode(
            call.services.authentication, name, call.query.page_token
        ),
    )
    return messages.Conversations(
        items=[
            messages.Conversation.model_validate(
                {
                    "contact": item.id,
                    "name": item.name,
                    "last_message_at": item.last_message_at,
                    "messages": item.messages,
                }
            )
            for item in page.items
        ],
        next_page_token=page_tokens.encode(
            call.services.authentication, name, page.end
        ),
    )


def list_messages(call: Call[None, PageQuery]) -> messages.Messages:
    """Messages of one conversation, newest first."""
    name = f"{call.subaccount}/conversations/{call.contact}"
    page = call.services.reading.conversation(
        call.subaccount,
        call.contact,
        limit=call.query.page_size,
        after=page_tokens.decode(
            call.services.authentication, name, call.query.page_token
        ),
    )
    return messages.Messages(
        items=[message_answer(message) for message in page.items],
        next_page_token=page_tokens.encode(
            call.services.authentication, name, page.end
        ),
    )


def get_message(call: Call[None, None]) -> messages.Message:
    """One message."""
    return message_answer(call.services.reading.message(call.subaccount, call.message))


def get_attachment(call: Call[None, None]) -> Response:
    """The bytes of an attachment, as a download that no browser shows or runs."""
    attachment, pieces = call.services.reading.attachment(
        call.subaccount, call.message, call.ids["attachment"]
    )
    return Response(
        pieces,
        headers={
            "Content-Disposition": content_disposition(
                attachment.filename, _made_up_name(attachment)
            ),
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
        content_type=_download_type(attachment.content_type),
        direct_passthrough=True,
    )


def list_decisions(call: Call[None, decisions.DecisionQuery]) -> decisions.Decisions:
    """Why mail is recorded, or is not (E2)."""
    query, explaining = call.query, call.services.explaining
    asked = query.address or query.gmail_message_id or query.rfc822_message_id
    name = f"{call.subaccount}/decisions/{asked}"
    after = page_tokens.decode(call.services.authentication, name, query.page_token)
    if query.address is not None:
        page = explaining.by_address(
            call.caller,
            call.subaccount,
            normalise(query.address) or query.address,
            limit=query.page_size,
            after=after,
        )
    elif query.gmail_message_id is not None:
        gmail = GmailMessageId(query.gmail_message_id)
        found = explaining.by_gmail_id(call.caller, call.subaccount, gmail)
        page = _part(found, query.page_size, after)
    else:
        rfc822 = Rfc822MessageId(
            f"<{(query.rfc822_message_id or '').strip().strip('<>')}>"
        )
        found = explaining.by_message_id(call.caller, call.subaccount, rfc822)
        page = _part(found, query.page_size, after)
    return decisions.Decisions(
        items=[_decision_answer(decision) for decision in page.items],
        next_page_token=page_tokens.encode(
            call.services.authentication, name, page.end
        ),
    )


def _part(
    found: tuple[Decision, ...], limit: int, after: Position | None
) -> Page[Decision]:
    """Cut a page out of a list that is sorted newest first."""
    left = [
        decision
        for decision in found
        if after is None or (-decision.decided_at, decision.id) > (-after[0], after[1])
    ]
    more = len(left) > limit
    last = left[limit - 1] if more else None
    return Page(tuple(left[:limit]), (last.decided_at, last.id) if last else None)


def _decision_answer(decision: Decision) -> decisions.Decision:
    return decisions.Decision.model_validate(
        {
            "gmail_message_id": decision.gmail_message_id,
            "rfc822_message_id": decision.rfc822_message_id,
            "mailbox": decision.mailbox,
            "outcome": decision.outcome,
            "rule": decision.rule,
            "subaccounts": [
                {
                    "subaccount": subaccount.subaccount,
                    "contact": subaccount.contact,
                    "message": subaccount.message,
                }
                for subaccount in decision.subaccounts
            ],
            "decided_at": decision.decided_at,
        }
    )


def message_answer(message: records.Message) -> messages.Message:
    """Show a message in the shape of the contract."""
    envelope = message.envelope or records.Envelope()
    return messages.Message.model_validate(
        {
            "id": message.id,
            "subaccount": message.subaccount,
            "contact": message.contact,
            "user": message.user,
            "thread_id": message.thread,
            "direction": message.direction,
            "kind": message.kind,
            "route": message.route,
            "status": message.status,
            "reason": message.reason,
            "from": _address(message.sender),
            "to": [_address(recipient) for recipient in envelope.to],
            "cc": [_address(recipient) for recipient in envelope.cc],
            "bcc": [_address(recipient) for recipient in envelope.bcc],
            "subject": message.subject,
            "text": envelope.text,
            "html": envelope.html,
            "snippet": message.snippet,
            "sent_at": message.sent_at,
            "rfc822_message_id": message.rfc822_message_id,
            "in_reply_to": message.in_reply_to,
            "mailboxes": [
                {
                    "user": copy.user,
                    "address": copy.address,
                    "gmail_message_id": copy.gmail_message_id,
                    "gmail_thread_id": copy.gmail_thread_id,
                }
                for copy in message.held_by
                # The logging mailbox is no user's mailbox (M9).
                if copy.user != LOGGING
            ],
            "attachments": [
                {
                    "id": attachment.id,
                    "filename": attachment.filename,
                    "content_type": attachment.content_type,
                    "size": attachment.size,
                    "stored": attachment.stored,
                    "content_id": attachment.content_id,
                    "inline": attachment.inline,
                }
                for attachment in envelope.attachments
            ],
            "truncated": envelope.truncated,
            "bounces": [
                {
                    "address": bounce.address,
                    "code": bounce.code,
                    "detail": bounce.detail,
                    "permanent": bounce.permanent,
                    "at": bounce.at,
                }
                for bounce in message.bounces
            ],
            "automated": message.automated,
            "authenticity": message.authenticity,
        }
    )


def _address(address: mail.Address) -> dict[str, str | None]:
    # A BCC address is kept without its secret (B6).
    return {"name": address.name, "address": address.shown or None}


def _made_up_name(attachment: records.Attachment) -> str:
    """Name what has no name, so that a computer knows what to open it with."""
    ending = _ENDINGS.get(attachment.content_type, "")
    return f"attachment-{attachment.id}{ending}"


def _download_type(declared: str) -> str:
    declared = declared.lower()
    if not _MEDIA_TYPE.fullmatch(declared) or _ACTIVE.search(declared):
        return _ANY_BYTES
    return declared


def content_disposition(filename: str | None, fallback: str) -> str:
    """Name a download (RFC 6266), whatever the sender called it.

    A plain ASCII name for old clients, and the real one in RFC 5987 form.
    """
    name = _UNSAFE_IN_NAMES.sub("_", filename or "").strip(" .")
    stem, dot, extension = name.rpartition(".")
    if dot and len(extension) <= 16:  # noqa: PLR2004  (longer is no file type)
        name = stem[: _MAX_FILENAME_CHARS - len(extension) - 1] + dot + extension
    name = name[:_MAX_FILENAME_CHARS] or fallback
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
