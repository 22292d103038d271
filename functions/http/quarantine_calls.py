"""Calls on what was set aside (E3): for the backend only."""

from __future__ import annotations

from typing import Any

from functions.http import models, page_tokens, problems
from functions.http.routing import Call

_LIST = "quarantine"


def list_quarantine(call: Call[None, models.PageQuery]) -> models.Quarantine:
    """Messages and work that could not be processed, the newest first."""
    _only_the_backend(call)
    after = page_tokens.decode(_LIST, call.query.page_token)
    left = [
        one
        for one in call.services.quarantine.items(call.caller)
        if after is None or (-one.last_at, one.id) > (-after[0], after[1])
    ]
    page = left[: call.query.page_size]
    more = len(left) > len(page)
    return models.Quarantine(
        items=[
            models.QuarantinedItem.model_validate(
                {
                    "id": one.id,
                    "mailbox": one.mailbox,
                    "gmail_message_id": one.gmail_message_id,
                    "code": one.code,
                    "detail": one.detail,
                    "attempts": one.attempts,
                    "first_at": one.first_at,
                    "last_at": one.last_at,
                }
            )
            for one in page
        ],
        next_page_token=page_tokens.encode(
            _LIST, (page[-1].last_at, page[-1].id) if more else None
        ),
    )


def replay_quarantined(call: Call[models.NoFields, None]) -> models.Replayed:
    """Try one item again; it leaves the quarantine when that succeeds."""
    _only_the_backend(call)
    outcome = call.services.quarantine.replay(call.caller, call.ids["id"])
    return models.Replayed(id=call.ids["id"], outcome=outcome)


def _only_the_backend(call: Call[Any, Any]) -> None:
    if not call.caller.is_backend:
        raise problems.make("forbidden")
