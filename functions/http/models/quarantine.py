"""What could not be processed."""

from __future__ import annotations

from typing import Literal

from functions.http.fields import Time
from functions.http.models.base import Out


class QuarantinedItem(Out):
    """Something that could not be processed (E3): ids and the reason, no mail.

    `mailbox` and `gmail_message_id` are null for work that concerns no one message.
    """

    id: str
    mailbox: str | None
    gmail_message_id: str | None
    code: str
    detail: str
    attempts: int
    first_at: Time
    last_at: Time


class Quarantine(Out):
    """A page of the quarantine, newest first."""

    items: list[QuarantinedItem]
    next_page_token: str | None


class Replayed(Out):
    """What came of a replay. `quarantined`: it failed again and stays."""

    id: str
    outcome: Literal["recorded", "ignored", "quarantined", "published"]
