"""Contacts, and the import of many."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from functions.http.fields import Email, Id, Name, Time, TimeIn, User
from functions.http.models.base import In, Out
from shared.core.parsing.address import normalise

MAX_EMAILS = 20


def _each_once(emails: list[str]) -> list[str]:
    """Drop addresses that are the same after normalisation (M13)."""
    return list({normalise(email): email for email in reversed(emails)}.values())[::-1]


class ContactIn(In):
    """A contact. Its addresses count once each, whatever their case."""

    name: Name
    emails: Annotated[list[Email], Field(min_length=1, max_length=MAX_EMAILS)]
    assigned_to: User | None = None
    created_at: TimeIn | None = None

    @model_validator(mode="after")
    def _unique(self) -> ContactIn:
        self.emails = _each_once(self.emails)
        return self


class ContactRow(ContactIn):
    """One line of an import."""

    id: Id


class Contact(Out):
    """A contact."""

    id: Id
    name: str
    emails: list[str]
    assigned_to: Id | None
    created_at: Time


class FailedRow(Out):
    """A line of an import that was not taken."""

    line: int
    code: str
    detail: str


class Imported(Out):
    """How an import went. `failed` lists the first 1,000 lines that were not taken.

    `failed_count` counts all of them, and is there when they are more.
    """

    imported: int
    failed: list[FailedRow]
    failed_count: int | None = None
