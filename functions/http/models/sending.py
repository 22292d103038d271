"""Mail to send."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from functions.http.fields import NO_CONTROLS, Email, Id, Name, User
from functions.http.models.base import In, Out
from shared.core.sending.unsubscribe import (
    MAX_URI_CHARS,
    MAX_URIS,
    is_unsubscribe_uri,
)

MAX_RECIPIENTS = 100
# RFC 5322 §2.1.1; a longer one is no subject.
MAX_SUBJECT_SENT = 998
MAX_BODY_SENT = 1_000_000


def _check_unsubscribe(value: str) -> str:
    if not is_unsubscribe_uri(value):
        raise ValueError("must be an https or mailto URI")
    return value


UnsubscribeUri = Annotated[
    str, Field(max_length=MAX_URI_CHARS), AfterValidator(_check_unsubscribe)
]
"""`{message}` and `{contact}` in it become the ids of each email."""


class RecipientIn(In):
    """Somebody to write to: a contact, or any address. Exactly one of the two."""

    contact: Id | None = None
    address: Email | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> RecipientIn:
        if (self.contact is None) == (self.address is None):
            raise ValueError("give exactly one of contact and address")
        return self


Recipients = Annotated[list[RecipientIn], Field(max_length=MAX_RECIPIENTS)]


class SendIn(In):
    """Mail to send. Bulk names `contacts`, one message each; all else names `to`."""

    kind: Literal["individual", "bulk", "workflow"]
    user: User
    to: Recipients = []
    cc: Recipients = []
    bcc: Recipients = []
    contacts: list[Id] = []
    subject: (
        Annotated[str, Field(max_length=MAX_SUBJECT_SENT, pattern=NO_CONTROLS)] | None
    ) = None
    text: Annotated[str, Field(max_length=MAX_BODY_SENT)] | None = None
    html: Annotated[str, Field(max_length=MAX_BODY_SENT)] | None = None
    reply_to_message: Id | None = None
    from_: Email | None = Field(default=None, alias="from")
    signature: bool = False
    list_unsubscribe: Annotated[list[UnsubscribeUri], Field(max_length=MAX_URIS)] = []

    @property
    def says_something(self) -> bool:
        """Whether there is a subject or a body (S10)."""
        given = (self.subject, self.text, self.html)
        return any(words and not words.isspace() for words in given)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SendIn:
        if self.signature and self.kind != "individual":
            raise ValueError("signature is for individual mail")
        if self.list_unsubscribe and self.kind == "individual":
            raise ValueError("list_unsubscribe is for bulk and workflow mail")
        if self.kind == "bulk":
            if self.to or self.cc or self.bcc or self.reply_to_message:
                raise ValueError(
                    "bulk mail takes contacts, and no to, cc, bcc or reply"
                )
            if not self.contacts:
                raise ValueError("bulk mail needs contacts")
        elif self.contacts:
            raise ValueError("contacts is for bulk mail; use to")
        elif not self.to:
            raise ValueError("to needs at least one recipient")
        return self


class SendAccepted(Out):
    """Mail that was accepted: `id` and `status` for one, `ids` for bulk."""

    id: str | None = None
    status: Literal["queued", "sent", "failed"] | None = None
    ids: list[str] | None = None
