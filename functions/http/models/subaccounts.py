"""Subaccounts and their team members."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.http.fields import Domain, Email, Id, ListEntry, Name
from functions.http.models.base import MAX_LIST_ENTRIES, PRINTABLE, In, Out

NeverLog = Annotated[list[ListEntry], Field(max_length=MAX_LIST_ENTRIES)]
Logging = Literal["established", "all_contacts", "threads"]
_HOST = r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$"


class SmtpIn(In):
    """An SMTP server. The password may be left out to keep the one given before."""

    host: Annotated[str, Field(max_length=253, pattern=_HOST)]
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: Annotated[str, Field(max_length=320, pattern=PRINTABLE)] | None = None
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
    never_log: NeverLog = []
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


class UserIn(In):
    """A team member of a subaccount."""

    name: Name
    email: Email
    never_log: NeverLog = []
    sync: bool = True


class UserChange(In):
    """What a user may change about a membership; what is left out stays."""

    never_log: NeverLog = []
    sync: bool = True


class User(Out):
    """A user. `sync` says whether the mailbox is recorded in this subaccount (C11).

    `bcc_address` is null while email to it would not be logged.
    """

    id: Id
    name: str
    email: str
    never_log: list[str]
    sync: bool
    bcc_address: str | None


class BccAddress(Out):
    """A user's BCC address in one subaccount (B1)."""

    bcc_address: str | None
