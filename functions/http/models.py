"""What the API takes and answers: the shapes of SPEC §4.

Unknown fields are refused and nothing is converted silently. Names of classes are
those of the OpenAPI document. Long because it is the whole contract, in its order.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from functions.http.fields import (
    NO_CONTROLS,
    Domain,
    Email,
    Id,
    ListEntry,
    Name,
    Time,
    TimeIn,
)
from shared.core.parsing.address import normalise

MAX_EMAILS = 20
MAX_LIST_ENTRIES = 1000
MAX_PAGE = 100
MAX_RECIPIENTS = 100
# RFC 5322 §2.1.1; a longer one is no subject.
MAX_SUBJECT_SENT = 998
MAX_BODY_SENT = 1_000_000
DEFAULT_PAGE = 25

Logging = Literal["established", "all_contacts", "threads"]
_HOST = r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$"
_PRINTABLE = r"^[\x20-\x7e]*$"
_URL_CHARACTERS = r"^[\x21-\x7e]*$"


class In(BaseModel):
    """What a caller sends."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Out(BaseModel):
    """What we answer; a mistake of ours fails here and not at the caller."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


# --- subaccounts -----------------------------------------------------------------


class SmtpIn(In):
    """An SMTP server. The password may be left out to keep the one given before."""

    host: Annotated[str, Field(max_length=253, pattern=_HOST)]
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: Annotated[str, Field(max_length=320, pattern=_PRINTABLE)] | None = None
    password: (
        Annotated[
            str,
            Field(min_length=1, max_length=1024, json_schema_extra={"writeOnly": True}),
        ]
        | None
    ) = None
    from_: Email = Field(alias="from")


class ProviderIn(In):
    """The subaccount's own sending service."""

    smtp: SmtpIn


class SubaccountIn(In):
    """Settings of a subaccount."""

    name: Name
    logging: Logging = "established"
    internal_domains: Annotated[list[Domain], Field(max_length=MAX_LIST_ENTRIES)] = []
    never_log: Annotated[list[ListEntry], Field(max_length=MAX_LIST_ENTRIES)] = []
    default_provider: ProviderIn | None = None


class Smtp(Out):
    """An SMTP server, without its password."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    username: str | None
    from_: str = Field(alias="from")


class Provider(Out):
    """The subaccount's own sending service."""

    smtp: Smtp


class Subaccount(Out):
    """A subaccount with its settings."""

    id: Id
    name: str
    logging: Logging
    internal_domains: list[str]
    never_log: list[str]
    default_provider: Provider | None


# --- users -----------------------------------------------------------------------


class UserIn(In):
    """A team member of a subaccount."""

    name: Name
    email: Email
    never_log: Annotated[list[ListEntry], Field(max_length=MAX_LIST_ENTRIES)] = []


class User(Out):
    """A team member. `bcc_address` is null while the deployment logs no BCC mail."""

    id: Id
    name: str
    email: str
    never_log: list[str]
    bcc_address: str | None


class BccAddress(Out):
    """A user's BCC address in one subaccount (B1)."""

    bcc_address: str


# --- contacts --------------------------------------------------------------------


def _each_once(emails: list[str]) -> list[str]:
    """Drop addresses that are the same after normalisation (M13)."""
    return list({normalise(email): email for email in reversed(emails)}.values())[::-1]


class ContactIn(In):
    """A contact. Its addresses count once each, whatever their case."""

    name: Name
    emails: Annotated[list[Email], Field(min_length=1, max_length=MAX_EMAILS)]
    assigned_to: Id | None = None
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
    """How an import went."""

    imported: int
    failed: list[FailedRow]


# --- connections -----------------------------------------------------------------


class ConnectionIn(In):
    """Begin to connect a mailbox; `return_to` is where the browser ends."""

    return_to: (
        Annotated[str, Field(max_length=2000, pattern=_URL_CHARACTERS)] | None
    ) = None


class Authorization(Out):
    """The URL to open in the user's browser."""

    authorization_url: str


class Warning(Out):  # noqa: A001  (the name of the public schema)
    """Something that the user should know about the connection."""

    code: str
    message: str


class Connection(Out):
    """A user's link to a mailbox (C8)."""

    user: Id
    address: str
    status: Literal["active", "reauth_required", "disconnected"]
    connected_at: Time
    watch_expires_at: Time | None
    last_synced_at: Time | None
    sends_left_today: int | None
    warnings: list[Warning]
    bcc_addresses: dict[str, str]


class NoFields(In):
    """An empty object, or no body at all."""


class LoggingConnection(Out):
    """The deployment's logging mailbox (B4)."""

    address: str
    status: Literal["active", "reauth_required", "disconnected"]
    connected_at: Time
    watch_expires_at: Time | None
    last_synced_at: Time | None
    warnings: list[Warning]


# --- conversations and messages --------------------------------------------------


class Address(Out):
    """A person on a message; the address is null for a user's BCC address (B6)."""

    name: str | None
    address: str | None


class Conversation(Out):
    """Everything said with one contact."""

    contact: Id
    name: str
    last_message_at: Time
    messages: int


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
    user: Id
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

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SendIn:
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


class CapIn(In):
    """A mailbox's own daily cap; null goes back to the deployment's."""

    daily_send_cap: Annotated[int, Field(ge=1, le=10_000)] | None


class Reason(Out):
    """Why a message failed."""

    code: str
    detail: str


class HeldBy(Out):
    """A user's mailbox that holds the message."""

    user: Id
    address: str
    gmail_message_id: str
    gmail_thread_id: str


class Attachment(Out):
    """An attachment; its bytes can be had when it is stored."""

    id: str
    filename: str | None
    content_type: str
    size: int
    stored: bool


class Message(Out):
    """One email as recorded in a conversation."""

    id: str
    subaccount: Id
    contact: Id
    user: Id | None
    thread_id: str
    direction: Literal["inbound", "outbound"]
    kind: Literal["individual", "bulk", "workflow"] | None
    route: Literal["crm", "gmail", "bcc"]
    status: Literal["received", "sent", "queued", "failed"]
    reason: Reason | None
    from_: Address = Field(alias="from")
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]
    subject: str
    text: str | None
    html: str | None
    snippet: str
    sent_at: Time
    rfc822_message_id: str | None
    in_reply_to: str | None
    mailboxes: list[HeldBy]
    attachments: list[Attachment]
    automated: bool
    authenticity: Literal["pass", "fail", "unknown"]


# --- decisions -------------------------------------------------------------------


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


# --- jobs ------------------------------------------------------------------------


class AuditIn(In):
    """The span to audit: from a moment, to before another one."""

    from_: TimeIn = Field(alias="from")
    to: TimeIn
    repair: bool = False


class Started(Out):
    """Work that goes on by itself."""

    id: str


class Progress(Out):
    """How many messages were looked at; `total` grows while they are listed."""

    done: int
    total: int


class Difference(Decision):
    """A record that is missing (`recorded`), or that no rule permits (`ignored`)."""

    repaired: bool


class JobResult(Out):
    """What came of a job; `differences` of an audit, `code` of one that failed."""

    gmail: int | None = None
    recorded: int | None = None
    differences: list[Difference] | None = None
    code: str | None = None


class Job(Out):
    """An audit or a backfill. `result` is null until it has ended."""

    id: str
    kind: Literal["audit", "backfill"]
    status: Literal["queued", "running", "done", "failed"]
    progress: Progress
    result: JobResult | None


# --- quarantine ------------------------------------------------------------------


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


# --- lists -----------------------------------------------------------------------


class Conversations(Out):
    """A page of conversations, newest first."""

    items: list[Conversation]
    next_page_token: str | None


class Messages(Out):
    """A page of messages, newest first. May be short; the token says if more follow."""

    items: list[Message]
    next_page_token: str | None


class Decisions(Out):
    """A page of decisions, newest first."""

    items: list[Decision]
    next_page_token: str | None


def _number(value: Any) -> Any:
    """Read a number of a query string; digits only."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:10])
    return value


class PageQuery(In):
    """Which part of a list."""

    page_size: Annotated[int, BeforeValidator(_number), Field(ge=1, le=MAX_PAGE)] = (
        DEFAULT_PAGE
    )
    page_token: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


class DecisionQuery(PageQuery):
    """Which message. Exactly one of the three is given."""

    rfc822_message_id: (
        Annotated[str, Field(min_length=1, max_length=998, pattern=_PRINTABLE)] | None
    ) = None
    gmail_message_id: (
        Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)] | None
    ) = None
    address: Email | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> DecisionQuery:
        given = (self.rfc822_message_id, self.gmail_message_id, self.address)
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "give exactly one of rfc822_message_id, gmail_message_id and address"
            )
        return self


class Health(Out):
    """The service answers; `degraded` when the last sweep found trouble.

    `troubles` counts what needs somebody, by the names of the alerts.
    """

    status: Literal["ok", "degraded"]
    checked_at: Time | None
    troubles: dict[str, int]


# --- problems --------------------------------------------------------------------


class BadField(Out):
    """One thing that is wrong: where in the body, or which parameter."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[BadField] = []
