"""A mail through the subaccount's SMTP server, at most once (S2).

SMTP has no draft and no search: when the connection breaks after the whole mail was
handed over, nobody can tell whether it was taken. Then the mail fails as `fate_unknown`
and is never sent again: a customer who misses a newsletter is better off than one who
gets it twice, and the CRM can decide otherwise, knowing it.
"""

from __future__ import annotations

from typing import Any, Protocol

from shared.core.mail import Address
from shared.core.moments import to_epoch_ms
from shared.core.parsing.address import normalise
from shared.core.records import Message
from shared.core.sending.mime_headers import to_send
from shared.core.sending.replying import ReplyHeaders
from shared.core.sending.states import Send
from shared.errors import DocumentMissing, FateUnknown, Permanent, Transient
from shared.ports import Clock, Documents, Relay, RelayServer, Secrets
from shared.repositories.mailboxes import Mailboxes
from shared.repositories.sends import Sends
from shared.services.crm.directory import Directory, smtp_secret
from shared.services.sending.completion import Sent
from shared.services.sending.send_steps import (
    MimeLoader,
    SendDeferred,
    SendRejected,
    advance,
    told,
)

_DIED = "The work on this mail ended while the provider may have been taking it."


class HasRelay(Protocol):
    """Where the relay is built on first use: most mail needs none."""

    @property
    def relay(self) -> Relay:
        """The subaccounts' SMTP servers."""


class ProviderRoute:
    """Sends through the default provider."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        directory: Directory,
        loader: MimeLoader,
        gateways: HasRelay,
        clock: Clock,
    ) -> None:
        self._sends = Sends(documents)
        self._mailboxes = Mailboxes(documents)
        self._secrets = secrets
        self._directory = directory
        self._loader = loader
        self._gateways = gateways
        self._clock = clock

    def send(self, send: Send, record: Message) -> Sent:
        """Hand the mail over; raises Refused or Postponed."""
        if send.state == "sending":
            raise SendRejected("fate_unknown", _DIED)
        refers = self._loader.reply_headers(send, record)
        try:
            self._hand_over(send, record, refers)
        except FateUnknown as error:
            raise SendRejected("fate_unknown", told(error, record)) from None
        except Permanent as error:
            raise SendRejected("rejected", told(error, record)) from None
        except Transient as error:
            advance(self._sends, send, state="queued")
            raise SendDeferred(error) from None
        return Sent(
            at=to_epoch_ms(self._clock.now()),
            rfc822_message_id=record.rfc822_message_id,
            in_reply_to=refers.in_reply_to,
        )

    def _hand_over(self, send: Send, record: Message, refers: ReplyHeaders) -> None:
        server = self._server(send)
        envelope = record.envelope
        people = (*envelope.to, *envelope.cc, *envelope.bcc) if envelope else ()
        self._gateways.relay.send(
            server,
            to_send(record.sender),
            [to_send(person) for person in people],
            self._loader.pieces(
                record, refers, reply_to=self._reply_to(send, record), with_bcc=False
            ),
            begin=lambda: self._mark(send),
        )

    def _mark(self, send: Send) -> None:
        now = to_epoch_ms(self._clock.now())
        advance(self._sends, send, state="sending", sending_since=now)

    def _server(self, send: Send) -> RelayServer:
        subaccount = self._directory.subaccount(send.subaccount)
        provider: Any = subaccount.default_provider if subaccount else None
        if not provider:
            raise SendRejected("no_sender", "The subaccount has no default provider.")
        smtp = provider["smtp"]
        password: str | None = None
        if smtp.get("has_password"):
            try:
                password = self._secrets.read(smtp_secret(send.subaccount)).decode()
            except DocumentMissing:
                raise SendRejected(
                    "no_sender", "The provider has no password."
                ) from None
        return RelayServer(
            host=smtp["host"],
            port=smtp["port"],
            security=smtp["security"],
            username=smtp.get("username") or None,
            password=password,
        )

    def _reply_to(self, send: Send, record: Message) -> Address | None:
        """Answers go to the user's connected address (S14), else to the profile's."""
        member = self._directory.member(send.subaccount, send.user)
        if member is None:
            return None
        connection = self._mailboxes.connection(member.id)
        connected = connection is not None and connection.status != "disconnected"
        given = connection.address if connection and connected else member.email
        own = normalise(given)
        if own is None or own == record.sender.address:
            return None
        return Address(member.name or None, own, given)
