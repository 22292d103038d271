"""Calls on what was set aside (E3): for the backend only."""

from __future__ import annotations

from functions.http import page_tokens
from functions.http.models import quarantine
from functions.http.models.base import NoFields, PageQuery
from functions.http.routing import Call

_LIST = "quarantine"


def list_quarantine(call: Call[None, PageQuery]) -> quarantine.Quarantine:
    """Messages and work that could not be processed, the newest first."""
    after = page_tokens.decode(
        call.services.authentication, _LIST, call.query.page_token
    )
    left = [
        item
        for item in call.services.quarantine.items(call.caller)
        if after is None or (-item.last_at, item.id) > (-after[0], after[1])
    ]
    page = left[: call.query.page_size]
    more = len(left) > len(page)
    return quarantine.Quarantine(
        items=[
            quarantine.QuarantinedItem.model_validate(
                {
                    "id": item.id,
                    "mailbox": item.mailbox,
                    "gmail_message_id": item.gmail_message_id,
                    "code": item.code,
                    "detail": item.detail,
                    "attempts": item.attempts,
                    "first_at": item.first_at,
                    "last_at": item.last_at,
                }
            )
            for item in page
        ],
        next_page_token=page_tokens.encode(
            call.services.authentication,
            _LIST,
            (page[-1].last_at, page[-1].id) if more else None,
        ),
    )


def replay_quarantined(call: Call[NoFields, None]) -> quarantine.Replayed:
    """Try one item again; it leaves the quarantine when that succeeds."""
    outcome = call.services.quarantine.replay(call.caller, call.ids["id"])
    return quarantine.Replayed(id=call.ids["id"], outcome=outcome)
