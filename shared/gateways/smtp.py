"""Handing mail over to a subaccount's SMTP server.

A message goes to all its recipients or to none, and is handed over once. What SMTP
cannot tell, whether a server took a mail before the connection broke, is FateUnknown:
the choice is at most once (docs/decisions/2026-11-draft-based-sending.md).

The host's name comes from the CRM's engineers. It is resolved here, once, and never to
an address where only this machine, the cloud's metadata server or (unless a deployment
wants it) a private network answers.
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Permanent
from shared.gateways.smtp_conversation import (
    CheckedSmtp,
    address_mail,
    hand_over,
    translated,
)
from shared.ports import RelayServer

# Servers end idle connections after minutes (RFC 5321 §4.5.3.2.7); ours end first.
_IDLE_SECONDS = 20.0
_MAILS_PER_CONNECTION = 100
_IDLE_CONNECTIONS = 8
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_OK = 250


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class SmtpRelay:
    """Implements `ports.Relay`; thread safe, keeps connections for a while."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        allow_private: bool = False,
        ca_file: Path | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `ca_file` its certificates are trusted besides the usual ones.

        `allow_private` is for a provider inside the deployment's own network.
        """
        self._allow_loopback = allow_loopback
        self._allow_private = allow_private
        self._ca_file = ca_file
        self._now = now
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def send(
        self,
        server: RelayServer,
        sender: str,
        recipients: Sequence[str],
        mail: Iterable[bytes],
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand a mail over; see `ports.Relay`."""
        connection = self._connection(server)
        try:
            with translated():
                address_mail(connection.smtp, sender, recipients)
        except Permanent:
            # The server is fine, it only does not like this mail.
            self._after_refusal(connection)
            raise
        except BaseException:
            connection.close()
            raise
        try:
            begin()
            hand_over(connection.smtp, mail)
        except Permanent:
            self._after_refusal(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    def close(self) -> None:
        """End the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, []
        for one in kept:
            one.close()

    # --- connections -------------------------------------------------------------

    def _connection(self, server: RelayServer) -> _Connection:
        while (kept := self._take(server)) is not None:
            with suppress(smtplib.SMTPException, OSError):
                if kept.smtp.noop()[0] == _OK:
                    return kept
            kept.close()
        with translated():
            return _Connection(server, self._connect(server), self._now())

    def _take(self, server: RelayServer) -> _Connection | None:
        with self._lock:
            for one in self._idle:
                if one.server == server:
                    self._idle.remove(one)
                    break
            else:
                return None
        if self._now() - one.used_at > _IDLE_SECONDS:
            one.close()
            return self._take(server)
        return one

    def _keep(self, connection: _Connection) -> None:
        connection.mails += 1
        connection.used_at = self._now()
        with self._lock:
            if (
                connection.mails < _MAILS_PER_CONNECTION
                and len(self._idle) < _IDLE_CONNECTIONS
            ):
                self._idle.append(connection)
                return
        connection.close()

    def _after_refusal(self, connection: _Connection) -> None:
        try:
            connection.smtp.rset()
        except (smtplib.SMTPException, OSError):
            connection.close()
        else:
            self._keep(connection)

    def _connect(self, server: RelayServer) -> smtplib.SMTP:
        address, loopback = self._resolve(server)
        if server.username and server.security == "none" and not loopback:
            raise Permanent(
                "The provider's password is not sent over an open connection."
            )
        # The name is the caller's, the address is ours: TLS checks the name.
        smtp = CheckedSmtp(server.host, address, self._context(server))
        try:
            smtp.open(server)
            if server.username is not None:
                smtp.login(server.username, server.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _context(self, server: RelayServer) -> ssl.SSLContext | None:
        if server.security == "none":
            return None
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context

    def _resolve(self, server: RelayServer) -> tuple[str, bool]:
        """An address of the host that may be used, and whether it is this machine.

        Resolved once and connected to as it is: a name may change in between.
        """
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        for *_, place in found:
            address = _plain(ipaddress.ip_address(str(place[0]).partition("%")[0]))
            if self._may_use(address):
                return str(address), address.is_loopback
        raise Permanent("The provider's host is at no address that may be used.")

    def _may_use(self, address: Address) -> bool:
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        if address.is_loopback:
            return self._allow_loopback
        # RFC 1918, unique local, carrier-grade NAT, and what is nobody's.
        return address.is_global or self._allow_private


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


@dataclass(slots=True)
class _Connection:
    """A connection that has said hello and who we are."""

    server: RelayServer
    smtp: smtplib.SMTP
    used_at: float
    mails: int = 0

    def close(self) -> None:
        with suppress(smtplib.SMTPException, OSError):
            self.smtp.quit()
        self.smtp.close()
