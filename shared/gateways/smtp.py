"""Handing mail over to a subaccount's SMTP server.

A message goes to all its recipients or to none, and is handed over once. What SMTP
cannot tell, whether a server took a mail before the connection broke, is FateUnknown:
the choice is at most once (docs/decisions/2026-11-draft-based-sending.md).

The host's name comes from the CRM's engineers. It is resolved here, once, and never to
an address where only this machine or the cloud's metadata server answers.
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FateUnknown, Permanent, Transient
from shared.ports import RelayServer

_SECONDS = 20.0
# Servers end idle connections after minutes (RFC 5321 §4.5.3.2.7); ours end first.
_IDLE_SECONDS = 20.0
_MAILS_PER_CONNECTION = 100
_IDLE_CONNECTIONS = 8
_TEMPORARY, _PERMANENT, _GO_AHEAD, _OK = 400, 500, 354, 250


class SmtpRelay:
    """Implements `ports.Relay`; thread safe, keeps connections for a while."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        ca_file: Path | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `ca_file` its certificates are trusted besides the usual ones."""
        self._allow_loopback = allow_loopback
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
            with _translated():
                _address(connection.smtp, sender, recipients)
        except Permanent:
            # The server is fine, it only does not like this mail.
            self._after_refusal(connection)
            raise
        except BaseException:
            connection.close()
            raise
        try:
            begin()
            _hand_over(connection.smtp, mail)
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
        with _translated():
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
        smtp = _Smtp(server.host, address, self._context(server))
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
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            if address.is_link_local or address.is_multicast or address.is_unspecified:
                continue
            if address.is_loopback and not self._allow_loopback:
                continue
            return str(address), address.is_loopback
        raise Permanent("The provider's host is at no address that may be used.")


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


class _Smtp(smtplib.SMTP):
    """Connects to an address that was checked, and checks the name in TLS."""

    def __init__(self, name: str, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(timeout=_SECONDS)
        self._name, self._address, self._tls = name, address, context
        self._at_once = False

    def open(self, server: RelayServer) -> None:
        self._at_once = server.security == "tls"
        self._host = self._name  # what smtplib hands to TLS as the server's name
        code, _ = self.connect(self._name, server.port)
        if code != 220:  # noqa: PLR2004  # ready
            raise smtplib.SMTPConnectError(code, "not ready")
        self.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            self.starttls(context=self._tls)
            self.ehlo()

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        if not self._at_once or self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_hostname=self._name)


def _address(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
    """MAIL and RCPT; a recipient that is refused refuses the whole."""
    options = []
    if not all(one.isascii() for one in (sender, *recipients)):
        if not smtp.has_extn("smtputf8"):
            raise Permanent("The provider takes no addresses beyond ASCII.")
        options.append("SMTPUTF8")
        smtp.command_encoding = "utf-8"
    _check(*smtp.mail(sender, options), "the sender")
    for recipient in recipients:
        _check(*smtp.rcpt(recipient), "a recipient")


def _hand_over(smtp: smtplib.SMTP, mail: Iterable[bytes]) -> None:
    """DATA. Until the go-ahead nothing was sent; from then on only the reply tells."""
    with _translated():
        code, text = smtp.docmd("DATA")
        if code != _GO_AHEAD:
            _check(code, text, "the mail")
            raise Transient("The provider answers out of turn.")
    try:
        for piece in _dotted(mail):
            smtp.send(piece)
        code, text = smtp.getreply()
    except (smtplib.SMTPException, OSError) as fault:
        kind = type(fault).__name__
        raise FateUnknown(
            f"The connection to the provider broke while it took the mail ({kind})."
        ) from None
    _check(code, text, "the mail")


def _dotted(mail: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that begin with a dot get another (RFC 5321 §4.5.2), then the end."""
    at_start, last = True, b""
    for piece in mail:
        if not piece:
            continue
        dotted = piece.replace(b"\n.", b"\n..")
        if piece[:1] == b"." and at_start:
            dotted = b"." + dotted
        at_start = piece.endswith(b"\n")
        last = (last + piece)[-2:]
        yield dotted
    yield b".\r\n" if last == b"\r\n" else b"\r\n.\r\n"


def _check(code: int, text: bytes, what: str) -> None:
    if code >= _PERMANENT:
        raise Permanent(f"The provider refused {what} ({code}{_enhanced(text)}).")
    if code >= _TEMPORARY:
        raise Transient(f"The provider cannot take {what} now ({code}).")


def _enhanced(text: bytes) -> str:
    """The code of RFC 3463, never the text: it can quote addresses."""
    word = text.split(b" ", 1)[0].decode("ascii", "replace")
    numbers = word.split(".")
    known = len(numbers) == 3 and all(n.isdigit() for n in numbers)  # noqa: PLR2004
    return f" {word[:12]}" if known else ""


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our errors while the server certainly has no mail of ours."""
    try:
        yield
    except smtplib.SMTPResponseException as fault:
        what = (
            "our name" if isinstance(fault, smtplib.SMTPAuthenticationError) else "us"
        )
        _check(fault.smtp_code, b"", what)
        raise Transient("The provider answers out of turn.") from None
    except smtplib.SMTPNotSupportedError:
        raise Permanent("The provider offers no such encryption or login.") from None
    except ssl.SSLCertVerificationError:
        raise Permanent("The provider's certificate is not valid.") from None
    except (smtplib.SMTPException, OSError) as fault:
        kind = type(fault).__name__
        raise Transient(f"The provider cannot be reached ({kind}).") from None
