"""What is said to an SMTP server, and what its answers mean to us (RFC 5321).

Until the server has the mail, a fault is Transient or Permanent; from its last line on
only the reply tells, and without one it is FateUnknown. Replies are bounded in lines
and bytes, and the whole keeps to the thread's bounds (`bounded_sockets`).
"""

from __future__ import annotations

import base64
import hmac
import select
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from shared.core.sending.quoting import on_one_line, without
from shared.errors import FateUnknown, Permanent, SyncError, Transient
from shared.gateways.bounded_sockets import Bounds, bounded

_MAX_REPLY_BYTES = 32 * 1024
_MAX_REPLY_LINES = 100
_READ_BYTES = 4096
_MAX_COMMAND_CHARS = 510  # RFC 5321 §4.5.3.1.4, without its CRLF
# What the mail and the reply to it get, however long the server took until then.
_HAND_OVER_SECONDS = 20.0
_AT_ONCE = 0.01
_TAKEN, _LATER, _NEVER = 2, 4, 5  # first digits of replies
_READY, _LOGGED_IN, _DONE, _MORE, _GO_AHEAD = 220, 235, 250, 334, 354
_NO_SUCH_COMMAND = frozenset((500, 501, 502, 504))
_NO_SUCH_MECHANISM = 504


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `text` is all of it, with its code, and foreign."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def kind(self) -> int:
        """The first digit."""
        return self.code // 100

    @property
    def text(self) -> str:
        """The whole reply as it came, on one line."""
        words = b" ".join(self.lines).decode("utf-8", "replace")
        return on_one_line(f"{self.code} {words}")


class SmtpConversation:
    """One connection to a server that has been connected to.

    Not made of smtplib, whose every step would have to be replaced: it reads replies
    without end, logs in with ASCII only and three times, and looks up this machine's
    own name (docs/decisions/2026-12-peers-are-bounded.md).
    """

    def __init__(self, connection: socket.socket) -> None:
        """Say nothing yet."""
        self._connection = connection
        self._received = bytearray()
        self._secrets: frozenset[str] = frozenset()
        self.extensions: dict[str, str] = {}

    def greet(self) -> None:
        """Wait for the greeting, and say hello."""
        self.expect(self._reply(), _READY, "us")
        self._hello()

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on in TLS, with a server that proves to have this name."""
        if "STARTTLS" not in self.extensions:
            raise Permanent("The provider offers no encryption (STARTTLS).")
        self.expect(self.command("STARTTLS"), _READY, "encryption")
        self._nothing_left()  # what was sent before is not from who is asked now
        self._connection = context.wrap_socket(self._connection, server_hostname=name)
        self._hello()

    def log_in(self, user: str, password: str) -> None:
        """Say who we are, once: a refused password is not tried another way.

        In UTF-8 (RFC 4616).
        """
        offered = self.extensions.get("AUTH", "").upper().split()
        self._secrets = _spellings(user, password)
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
            if mechanism not in offered:
                continue
            reply = self._try(mechanism, user.encode(), password.encode())
            if reply.code != _NO_SUCH_MECHANISM:
                self.expect(reply, _LOGGED_IN, "the login")
                return
        fault = Permanent("The provider offers no login that is known here.")
        fault.said = on_one_line("AUTH " + " ".join(offered)) if offered else None
        raise fault

    def command(self, line: str) -> Reply:
        """Say one line, and hear the reply."""
        if not line.isprintable():
            raise Permanent("A value for the provider holds control characters.")
        self._nothing_left()
        self._connection.sendall(line.encode() + b"\r\n")
        return self._reply()

    def address(self, sender: str, recipients: Sequence[str]) -> None:
        """MAIL and RCPT; a recipient that is refused refuses the whole."""
        options = ""
        if not all(map(str.isascii, (sender, *recipients))):
            if "SMTPUTF8" not in self.extensions:
                raise Permanent("The provider takes no addresses beyond ASCII.")
            options = " SMTPUTF8"
        reply = self.command(f"MAIL FROM:<{sender}>{options}")
        self.expect(reply, _DONE, "the sender")
        for recipient in recipients:
            reply = self.command(f"RCPT TO:<{recipient}>")
            if reply.code not in {251, 252}:  # it forwards; it cannot tell but tries
                self.expect(reply, _DONE, "a recipient")

    def hand_over(self, mail: Iterable[bytes], bounds: Bounds) -> None:
        """DATA. Before its last line nothing was sent; then only the reply tells."""
        self.expect(self.command("DATA"), _GO_AHEAD, "the mail")
        bounds.at_least(_HAND_OVER_SECONDS)
        end = self._say(mail)
        if self._has_spoken():
            # A refusal before the end, or a reply that would be taken for the last.
            self.expect(self._reply(), _GO_AHEAD, "the mail")
            _out_of_turn()
        try:
            self._connection.sendall(end)
            reply = self._reply()
        except Exception as fault:  # noqa: BLE001  (whatever it is, the mail may be out)
            kind = type(fault).__name__
            raise FateUnknown(
                f"The provider was given the mail and did not say what it did ({kind})."
            ) from None
        if reply.kind not in {_TAKEN, _LATER, _NEVER}:
            raise FateUnknown("The provider answers out of turn to the mail.")
        if reply.kind != _TAKEN:
            self.expect(reply, _DONE, "the mail")

    def expect(self, reply: Reply, code: int, what: str) -> None:
        """Go on when the reply is this one; else raise what it means."""
        if reply.code == code:
            return
        if reply.kind == _NEVER:
            fault: SyncError = Permanent(
                f"The provider refused {what} ({reply.code}{_enhanced(reply)})."
            )
        elif reply.kind == _LATER:
            fault = Transient(f"The provider cannot take {what} now ({reply.code}).")
        else:
            _out_of_turn()
        fault.said = without(reply.text, self._secrets)
        raise fault

    def abort(self) -> None:
        """End the connection without a word."""
        self._connection.close()

    # --- inside ------------------------------------------------------------------

    def _hello(self) -> None:
        own = str(self._connection.getsockname()[0])
        name = f"[IPv6:{own}]" if ":" in own else f"[{own}]"  # RFC 5321 §4.1.3
        self.extensions = {}
        reply = self.command(f"EHLO {name}")
        if reply.code in _NO_SUCH_COMMAND:
            self.expect(self.command(f"HELO {name}"), _DONE, "us")
            return
        self.expect(reply, _DONE, "us")
        for line in reply.lines[1:]:
            keyword, _, rest = line.decode("ascii", "replace").partition(" ")
            keyword, equals, old = keyword.upper().partition("=")
            # `AUTH=LOGIN` is how it was written before there was a standard.
            more = f"{old} {rest}" if equals else rest
            self.extensions[keyword] = f"{self.extensions.get(keyword, '')} {more}"

    def _try(self, mechanism: str, user: bytes, password: bytes) -> Reply:
        if mechanism == "PLAIN":
            initial = _base64(b"\0" + user + b"\0" + password)
            if len(initial) + len("AUTH PLAIN ") <= _MAX_COMMAND_CHARS:
                return self.command(f"AUTH PLAIN {initial}")
            # RFC 4954 §4: a long one has to wait until it is asked for.
            return self._answered(self.command("AUTH PLAIN"), initial)
        if mechanism == "LOGIN":
            reply = self._answered(self.command("AUTH LOGIN"), _base64(user))
            return self._answered(reply, _base64(password))
        reply = self.command("AUTH CRAM-MD5")
        if reply.code != _MORE:
            return reply
        try:
            challenge = base64.b64decode(reply.lines[-1], validate=True)
        except ValueError:
            _out_of_turn()
        digest = hmac.digest(password, challenge, "md5").hex().encode()
        return self.command(_base64(user + b" " + digest))

    def _answered(self, reply: Reply, answer: str) -> Reply:
        return self.command(answer) if reply.code == _MORE else reply

    def _say(self, mail: Iterable[bytes]) -> bytes:
        """Send all but the last line, which is given back."""
        last = b""
        for piece in _dotted(mail):
            self._connection.sendall(last)
            last = piece
        return last

    def _reply(self) -> Reply:
        lines: list[bytes] = []
        left = _MAX_REPLY_BYTES
        while True:
            line = self._line(left)
            left -= len(line)
            code, goes_on = line[:3], line[3:4]
            if not code.isdigit() or goes_on not in {b"", b" ", b"-"}:
                _out_of_turn()
            lines.append(line[4:])
            if goes_on != b"-":
                return Reply(int(code), tuple(lines))
            if len(lines) >= _MAX_REPLY_LINES:
                _out_of_turn()

    def _line(self, most: int) -> bytes:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > most:
                _out_of_turn()
            self._receive()
        line = bytes(self._received[:end]).rstrip(b"\r")
        del self._received[: end + 1]
        if end > most:
            _out_of_turn()
        return line

    def _receive(self) -> None:
        piece = bytearray(_READ_BYTES)
        count = self._connection.recv_into(piece)
        if not count:
            raise ConnectionResetError("closed")
        self._received += memoryview(piece)[:count]

    def _has_spoken(self) -> bool:
        """Whether there is a reply that nobody has asked for."""
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        if not self._received and waiting.poll(0):
            with suppress(TimeoutError), bounded(Bounds(_AT_ONCE, _MAX_REPLY_BYTES)):
                self._receive()  # in TLS it may be no word of the server's
        return bool(self._received)

    def _nothing_left(self) -> None:
        if self._received:
            _out_of_turn()


def _out_of_turn() -> NoReturn:
    raise Transient("The provider's answer is no SMTP reply, or comes out of turn.")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _spellings(user: str, password: str) -> frozenset[str]:
    """How a server could give the password back that it was told."""
    name, secret = user.encode(), password.encode()
    return frozenset(
        (
            password,
            _base64(secret),
            _base64(b"\0" + name + b"\0" + secret),
            secret.hex(),
        )
    )


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


def _enhanced(reply: Reply) -> str:
    """The code of RFC 3463."""
    word = reply.lines[0].split(b" ", 1)[0].decode("ascii", "replace")
    numbers = word.split(".")
    known = len(numbers) == 3 and all(n.isdigit() for n in numbers)  # noqa: PLR2004
    return f" {word[:12]}" if known else ""


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors while the server certainly has no mail of ours."""
    try:
        yield
    except SyncError:
        raise
    except ssl.SSLCertVerificationError:
        raise Permanent("The provider's certificate is not valid.") from None
    except OSError as fault:
        kind = type(fault).__name__
        raise Transient(f"The provider cannot be reached ({kind}).") from None
    except Exception as fault:
        kind = type(fault).__name__
        raise Permanent(
            f"The mail cannot be given to the provider ({kind})."
        ) from fault
