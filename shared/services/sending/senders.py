"""In whose name a mail goes out, and which way (S1, S2, S3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shared.core.ids import MailboxId, SubaccountId, UserId
from shared.core.mail import Address
from shared.core.parsing.address import normalise
from shared.core.records import Kind, Member, Subaccount
from shared.errors import NeedsReauth, Problem
from shared.ports import Documents, SendAs
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.services.connecting.accounts import Accounts
from shared.services.crm.directory import Directory


@dataclass(frozen=True, slots=True)
class Sender:
    """The way of a mail, and its From. `mailbox` is None for the provider."""

    route: Literal["gmail", "provider"]
    address: Address
    mailbox: MailboxId | None = None
    reply_to: Address | None = None


class Senders:
    """Chooses a sender; raises Problem where there is none."""

    def __init__(
        self, documents: Documents, directory: Directory, accounts: Accounts
    ) -> None:
        self._mailboxes = Mailboxes(documents)
        self._directory = directory
        self._accounts = accounts

    def member(self, subaccount: SubaccountId, user: UserId) -> Member:
        """The user who sends."""
        found = self._directory.member(subaccount, user)
        if found is None:
            raise bad_field("/user", "is not a member of this subaccount")
        return found

    def choose(
        self, subaccount: Subaccount, member: Member, kind: Kind, asked: str | None
    ) -> Sender:
        """The way for mail of this kind; `asked` is a normalised From, if any.

        Bulk and workflow mail never looks at the user's connection (S2).
        """
        mailbox = self._mailbox(member.id) if kind == "individual" else None
        if mailbox is None:
            return provider_sender(subaccount, member, asked)
        address = mailbox.address
        if asked is not None and asked != mailbox.address:
            self._check_alias(mailbox, asked)
            address = asked
        return Sender("gmail", Address(member.name or None, address), mailbox.id)

    def _mailbox(self, user: UserId) -> Mailbox | None:
        """The user's connected mailbox; None for no connection or an ended one."""
        connection = self._mailboxes.connection(user)
        if connection is None or connection.status == "disconnected":
            return None
        mailbox = self._mailboxes.read(connection.mailbox)
        if mailbox is None or user not in mailbox.users:
            return None
        if "reauth_required" in {connection.status, mailbox.status}:
            raise reauth_required()
        return mailbox

    def signature(self, sender: Sender) -> str:
        """The Gmail signature of the sending address; a provider has none."""
        if sender.mailbox is None:
            return ""
        own = sender.address.address
        found = self._send_as(sender.mailbox)
        return next((a.signature for a in found if normalise(a.address) == own), "")

    def _send_as(self, mailbox: MailboxId) -> tuple[SendAs, ...]:
        try:
            return self._accounts.gmail(mailbox).send_as()
        except NeedsReauth:
            self._accounts.needs_reauth(mailbox)
            raise reauth_required() from None

    def _check_alias(self, mailbox: Mailbox, asked: str) -> None:
        """Ask Gmail: it replaces a From that is no verified alias without a word."""
        known = self._send_as(mailbox.id)
        if asked not in {normalise(alias.address) for alias in known}:
            raise from_not_allowed()


def provider_sender(
    subaccount: Subaccount, member: Member, asked: str | None
) -> Sender:
    """The subaccount's default provider, in the user's name.

    Answers go to the user's profile address, where it is another one: a person wrote,
    and a person waits. When the mail is sent, the connected one takes its place (S14).
    """
    provider: Any = subaccount.default_provider
    if not provider:
        raise Problem(
            409,
            "no_sender",
            "The user has no connected mailbox for this mail, and the subaccount has "
            "no default provider.",
        )
    given = str(provider["smtp"]["from"])
    address = normalise(given) or ""
    if asked is not None and asked != address:
        raise from_not_allowed()
    own = normalise(member.email)
    name = member.name or None
    other = own is not None and own != address
    reply_to = Address(name, own, member.email) if own and other else None
    return Sender("provider", Address(name, address, given), reply_to=reply_to)


def reauth_required() -> Problem:
    """The refusal while the mailbox's owner must connect again (C7)."""
    return Problem(
        409,
        "reauth_required",
        "Google no longer accepts our permission: the user must connect again.",
    )


def from_not_allowed() -> Problem:
    """The refusal for a From that is not the user's (S3)."""
    return Problem(
        422,
        "from_not_allowed",
        "From must be the connected address or one of its verified aliases; for the "
        "default provider its own address.",
        errors=({"pointer": "/from", "detail": "may not be sent from"},),
    )


def bad_field(pointer: str, detail: str) -> Problem:
    """The refusal for one field of the request."""
    return Problem(
        422,
        "invalid_request",
        "The request is not valid; `errors` says where.",
        errors=({"pointer": pointer, "detail": detail},),
    )
