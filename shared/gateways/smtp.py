"""Handing mail over to a subaccount's SMTP server.

A message goes to all its recipients or to none, and is handed over once. What SMTP
cannot tell, whether a server took a mail before the connection broke, is FateUnknown:
the choice is at most once (docs/decisions/2026-11-draft-based-sending.md).

The host's name comes from the CRM's engineers. It is resolved here, once, and never to
an address where only this machine, the cloud's metadata server or (unless a deployment
wants it) a private network answers.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.core.sending.provider_hosts import host_to_connect, usable
from shared.errors import Permanent, SyncError
from shared.gateways.bounded_sockets import (
    Bounds,
    bounded,
    connect,
    look_up,
    tls_context,
)
from shared.gateways.smtp_conversation import SmtpConversation, translated
from shared.ports import RelayServer

# One deadline for all of a conversation, from looking up the name to the reply to the
# mail; a big mail earns more while the server takes it (`smtp_conversation`).
SECONDS = 20.0
_MAX_RECEIVED_BYTES = 4 * 1024 * 1024
# How long a kept connection may take to show that it lives, and a goodbye.
_ALIVE_SECONDS, _GOODBYE_SECONDS = 5.0, 1.0

# Servers end idle connections after minutes (RFC 5321 §4.5.3.2.7); ours end first.
_IDLE_SECONDS = 20.0
_MAILS_PER_CONNECTION = 100
_IDLE_CONNECTIONS = 8
_DONE = 250


class SmtpRelay:
    """Implements `ports.Relay`; thread safe, keeps connections for a while."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        allow_private: bool = False,
        ca_file: Path | None = None,
        seconds: float = SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `ca_file` its certificates are trusted besides the usual ones.

        `allow_private` is for a provider inside the deployment's own network;
        `seconds` is how long a conversation may take.
        """
        self._allow_loopback = allow_loopback
        self._allow_private = allow_private
        self._ca_file = ca_file
        self._seconds = seconds
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
        with bounded(Bounds(self._seconds, _MAX_RECEIVED_BYTES)) as bounds:
            connection = self._connection(server)
            try:
                with translated():
                    connection.smtp.address(sender, recipients)
                begin()
                with translated():
                    connection.smtp.hand_over(mail, bounds)
            except Permanent as refusal:
                # The server is fine, it only does not like this mail.
                if refusal.said is None:
                    connection.abort()
                else:
                    self._after_refusal(connection)
                raise
            except BaseException:
                connection.abort()
                raise
        self._keep(connection)

    def close(self) -> None:
        """End the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, []
        for connection in kept:
            connection.close()

    # --- connections -------------------------------------------------------------

    def _connection(self, server: RelayServer) -> _Connection:
        kept = self._take(server)
        if kept is not None:
            if kept.is_alive():
                return kept
            kept.abort()
        with translated():
            return _Connection(server, self._connect(server), self._now())

    def _take(self, server: RelayServer) -> _Connection | None:
        with self._lock:
            found = [kept for kept in self._idle if kept.server == server]
            old = [kept for kept in found if self._is_old(kept)]
            taken = next((kept for kept in found if kept not in old), None)
            gone = [*old, taken]
            self._idle = [kept for kept in self._idle if kept not in gone]
        for connection in old:
            connection.close()
        return taken

    def _is_old(self, connection: _Connection) -> bool:
        return self._now() - connection.used_at > _IDLE_SECONDS

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
        if connection.is_alive("RSET"):
            self._keep(connection)
        else:
            connection.abort()

    def _connect(self, server: RelayServer) -> SmtpConversation:
        address, loopback = self._resolve(server)
        if server.username and server.security == "none" and not loopback:
            raise Permanent(
                "Refusing to send the provider password over an unencrypted connection."
            )
        # The name is the caller's, the address is ours: TLS checks the name.
        name = host_to_connect(server.host)
        plain = connect(address, server.port)
        try:
            if server.security == "tls":
                smtp = SmtpConversation(
                    self._context().wrap_socket(plain, server_hostname=name)
                )
            else:
                smtp = SmtpConversation(plain)
        except BaseException:
            plain.close()
            raise
        try:
            smtp.greet()
            if server.security == "starttls":
                smtp.start_tls(self._context(), name)
            if server.username is not None:
                smtp.log_in(server.username, server.password or "")
        except BaseException:
            smtp.abort()
            raise
        return smtp

    def _context(self) -> ssl.SSLContext:
        context = tls_context()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context

    def _resolve(self, server: RelayServer) -> tuple[str, bool]:
        """An address of the host that may be used, and whether it is this machine.

        Resolved once and connected to as it is: a name may change in between.
        """
        try:
            host = host_to_connect(server.host)
        except ValueError as fault:
            raise Permanent(f"The provider's host {fault}.") from None
        for found in look_up(host, server.port):
            address = usable(
                found,
                allow_loopback=self._allow_loopback,
                allow_private=self._allow_private,
            )
            if address is not None:
                return str(address), address.is_loopback
        raise Permanent("The provider's host is at no address that may be used.")


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection that has said hello and who we are."""

    server: RelayServer
    smtp: SmtpConversation
    used_at: float
    mails: int = 0

    def is_alive(self, command: str = "NOOP", seconds: float = _ALIVE_SECONDS) -> bool:
        """Whether the server does what it is asked, at once."""
        try:
            with bounded(Bounds(seconds, _MAX_RECEIVED_BYTES)):
                return self.smtp.command(command).code == _DONE
        except (SyncError, OSError):
            return False

    def close(self) -> None:
        """Say goodbye, and end it whatever comes of that."""
        self.is_alive("QUIT", _GOODBYE_SECONDS)
        self.abort()

    def abort(self) -> None:
        """End it without a word."""
        self.smtp.abort()
