"""The people whose mail this is: addresses, aliases, watches, limits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .headers import addresses
from .mailbox import Mailbox
from .settings import (
    CONSUMER_DAILY_LIMIT,
    CONSUMER_DOMAINS,
    WORKSPACE_DAILY_LIMIT,
)

_DAY = timedelta(days=1)


@dataclass
class SendAs:
    """An address that an account may put into From."""

    address: str
    name: str = ""
    primary: bool = False
    verified: bool = True
    settings: dict[str, object] = field(default_factory=dict)


@dataclass
class Watch:
    """Where changes of a mailbox are told, which ones, and until when."""

    topic: str
    label_ids: frozenset[str]
    exclude: bool
    expires: datetime

    def wants(self, labels: frozenset[str]) -> bool:
        """Whether a change of a message with these labels is told."""
        if not self.label_ids:
            return True
        return bool(labels & self.label_ids) is not self.exclude


@dataclass(eq=False)
class Account:
    """A Google account with a mailbox."""

    address: str
    name: str
    subject: str
    mailbox: Mailbox
    hosted_domain: str | None
    # every address of its domain that is nobody else's comes here
    catch_all: bool = False
    send_as: dict[str, SendAs] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    daily_limit: int = WORKSPACE_DAILY_LIMIT
    # an administrator may switch Gmail off; every call is refused then
    mail_enabled: bool = True
    sent_at: deque[datetime] = field(default_factory=deque)
    last_notified: datetime | None = None

    @property
    def domain(self) -> str:
        """The part after the at sign."""
        return domain_of(self.address)

    def next_send(self, now: datetime) -> datetime | None:
        """Return when the daily limit frees a send; None where one is free now."""
        while self.sent_at and self.sent_at[0] <= now - _DAY:
            self.sent_at.popleft()
        if len(self.sent_at) < self.daily_limit:
            return None
        return self.sent_at[0] + _DAY if self.sent_at else now + _DAY

    def rename(self, new: str) -> None:
        """Take another primary address; the one before becomes an alias."""
        former = self.send_as.pop(self.address)
        others = {key: alias for key, alias in self.send_as.items() if key != new}
        self.send_as = {
            new: replace(former, address=new),
            **others,
            former.address: replace(former, primary=False),
        }
        self.address = new

    def may_send_as(self, address: str) -> bool:
        """Whether From may hold this address."""
        known = self.send_as.get(address.lower())
        return known is not None and known.verified


def new_account(
    address: str,
    name: str,
    subject: str,
    mailbox: Mailbox,
    *,
    domain: str | None = None,
    catch_all: bool = False,
) -> Account:
    """Make an account; a consumer address has no hosted domain and a smaller limit."""
    address = address.strip().lower()
    consumer = domain_of(address) in CONSUMER_DOMAINS
    account = Account(
        address,
        name,
        subject,
        mailbox,
        None if consumer else domain or domain_of(address),
        catch_all=catch_all,
        daily_limit=CONSUMER_DAILY_LIMIT if consumer else WORKSPACE_DAILY_LIMIT,
    )
    account.send_as[address] = SendAs(address, name, primary=True)
    return account


def domain_of(address: str) -> str:
    """Return the domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


def canonical(address: str) -> str:
    """Return the mailbox an address means: no plus part, no dots at gmail.com."""
    found = addresses([address])
    local, _, domain = (found[0][1] if found else address).lower().rpartition("@")
    local = local.partition("+")[0]
    if domain in CONSUMER_DOMAINS:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"
