"""Subaccounts and their users."""

from __future__ import annotations

from typing import Annotated, Literal
from unicodedata import category

from pydantic import AfterValidator, Field, model_validator

from functions.http.fields import Domain, Email, Id, ListEntry, Name
from functions.http.models.base import MAX_LIST_ENTRIES, In, Out
from shared.core.sending.provider_hosts import (
    MAX_HOST_CHARS,
    host_to_connect,
    is_this_machine,
    usable,
)

NeverLog = Annotated[list[ListEntry], Field(max_length=MAX_LIST_ENTRIES)]
Logging = Literal["established", "all_contacts", "threads"]


def _check_host(value: str) -> str:
    """A host that could be connected to; an address only if it ever may be.

    A private one or this machine's is refused where it is connected to: whether it may
    be used is a setting of the deployment.
    """
    host = host_to_connect(value)
    try:
        reachable = usable(host, allow_loopback=True, allow_private=True)
    except ValueError:
        return value  # a name: what it leads to is known when it is looked up
    if reachable is None:
        raise ValueError("must not be a reserved or link-local address")
    return value


def _check_credential(value: str) -> str:
    """What can be sent as UTF-8 (RFC 4616), and does not look like a slip."""
    if any(category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
        raise ValueError("must not have control characters or halves of a surrogate")
    if value != value.strip():
        raise ValueError("must not begin or end with a blank")
    return value


Host = Annotated[
    str, Field(min_length=1, max_length=MAX_HOST_CHARS + 1), AfterValidator(_check_host)
]
Username = Annotated[str, Field(max_length=320), AfterValidator(_check_credential)]
Password = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra={"writeOnly": True}),
    AfterValidator(_check_credential),
]


class SmtpIn(In):
    """An SMTP server. The password may be left out to keep the one given before."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: Username | None = None
    password: Password | None = None
    from_: Email = Field(alias="from")

    @model_validator(mode="after")
    def _keeps_the_password_secret(self) -> SmtpIn:
        if self.username and self.security == "none" and not is_this_machine(self.host):
            raise ValueError("a user needs security starttls or tls")
        return self


class ProviderIn(In):
    """The subaccount's own email provider."""

    smtp: SmtpIn


class SubaccountIn(In):
    """Settings of a subaccount.

    `never_log` entries are addresses (in every spelling of the mailbox) or domains,
    `internal_domains` the team's own; a domain stands for its sub-domains too.
    """

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
    """The subaccount's own email provider."""

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
    """A user of a subaccount."""

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
