"""Why a message is recorded, or is not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from functions.http.fields import Email, Id, Time
from functions.http.models.base import PRINTABLE, Out, PageQuery


class RecordedIn(Out):
    """Where a message is recorded."""

    subaccount: Id
    contact: Id
    message: str


class Decision(Out):
    """Why a message is recorded, or is not (E2).

    `gmail_message_id` and `mailbox` are null for mail that went through no mailbox.
    """

    gmail_message_id: str | None
    rfc822_message_id: str | None
    mailbox: str | None
    outcome: Literal["recorded", "ignored", "quarantined"]
    rule: str
    subaccounts: list[RecordedIn]
    decided_at: Time


class Decisions(Out):
    """A page of decisions, newest first."""

    items: list[Decision]
    next_page_token: str | None


class DecisionQuery(PageQuery):
    """Which message. Exactly one of the three is given."""

    rfc822_message_id: (
        Annotated[str, Field(min_length=1, max_length=998, pattern=PRINTABLE)] | None
    ) = None
    gmail_message_id: (
        Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)] | None
    ) = None
    address: Email | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> DecisionQuery:
        given = (self.rfc822_message_id, self.gmail_message_id, self.address)
        if sum(value is not None for value in given) != 1:
            raise ValueError(
                "give exactly one of rfc822_message_id, gmail_message_id and address"
            )
        return self
