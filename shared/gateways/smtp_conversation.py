"""What is said to an SMTP server, and what its answers mean to us (RFC 5321).

Until the server has the mail, a fault is Transient or Permanent; from then on only its
reply tells, and without one it is FateUnknown.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from shared.errors import FateUnknown, Permanent, Transient
from shared.ports import RelayServer

_SECONDS = 20.0
_TEMPORARY, _PERMANENT, _GO_AHEAD = 400, 500, 354


class CheckedSmtp(smtplib.SMTP):
    """Connects to an address that was checked, and checks the name in TLS."""

    def __init__(self, name: str, address: str, context: ssl.SSLContext | None) -> None:
        """Connect to nothing yet."""
        super().__init__(timeout=_SECONDS)
        self._name, self._address, self._tls = name, address, context
        self._at_once = False

    def open(self, server: RelayServer) -> None:
        """Connect and say hello, in TLS as the server's settings say."""
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


def address_mail(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
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


def hand_over(smtp: smtplib.SMTP, mail: Iterable[bytes]) -> None:
    """DATA. Until the go-ahead nothing was sent; from then on only the reply tells."""
    with translated():
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
def translated() -> Iterator[None]:
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
