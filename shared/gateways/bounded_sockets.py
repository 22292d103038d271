"""Sockets that keep to a deadline and a number of bytes, whatever the peer does.

A socket's own timeout is for one call: a server that sends a byte now and then never
meets it. Here all that a thread does inside `bounded` shares one deadline and one count
of received bytes: looking up the name, connecting, TLS, and every read and write.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

# One of several addresses that does not answer must not take all the time there is.
_CONNECT_SECONDS = 5.0
_PIECE_BYTES = 64 * 1024


class DeadlinePassed(TimeoutError):
    """The other side took longer than the whole exchange may take."""


class TooMuchReceived(OSError):
    """The other side sent more than an answer may have."""


# What goes over the line earns time, so that much is not slow: who takes or gives less
# than this is given up.
LEAST_BYTES_A_SECOND = 1024 * 1024


class Bounds:
    """How long an exchange may still take, and how much it may still receive."""

    def __init__(
        self, seconds: float, most_bytes: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin now."""
        self.is_too_much = False
        self._now = now
        self._ends_at = now() + seconds
        self._bytes_left = most_bytes

    def left(self) -> float:
        """Seconds that are left; raises DeadlinePassed."""
        left = self._ends_at - self._now()
        if left <= 0:
            raise DeadlinePassed("the deadline has passed")
        return left

    def at_least(self, seconds: float) -> None:
        """Let what comes now have this long, if less is left."""
        self._ends_at = max(self._ends_at, self._now() + seconds)

    def earn(self, count: int) -> None:
        """Allow more for bytes that have gone over the line."""
        self._ends_at += count / LEAST_BYTES_A_SECOND

    def end_with(self, other: Bounds) -> None:
        """End no later than the other."""
        self._ends_at = min(self._ends_at, other._ends_at)

    def count(self, received: int) -> None:
        """Note what was received; raises TooMuchReceived."""
        self.earn(received)
        self._bytes_left -= received
        if self._bytes_left < 0:
            self.is_too_much = True
            raise TooMuchReceived("too much was received")


_thread = threading.local()


def _current() -> Bounds | None:
    found: Bounds | None = getattr(_thread, "bounds", None)
    return found


@contextmanager
def bounded(bounds: Bounds) -> Iterator[Bounds]:
    """Hold all sockets that this thread uses to these bounds.

    Inside others they end no later than those.
    """
    before = _current()
    if before is not None:
        bounds.end_with(before)
    _thread.bounds = bounds
    try:
        yield bounds
    finally:
        _thread.bounds = before


class BoundedSocket(socket.socket):
    """A plain connection that keeps to the thread's bounds."""

    def recv_into(self, *args: Any, **more: Any) -> int:
        """Receive; see `bounded`."""
        return _counted(self, super().recv_into, args, more)

    def send(self, *args: Any, **more: Any) -> int:
        """Send some; see `bounded`."""
        _wait_no_longer(self)
        return _earned(super().send(*args, **more))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all, in pieces that earn their time; see `bounded`."""
        with memoryview(data) as view, view.cast("B") as left:
            for at in range(0, len(left), _PIECE_BYTES):
                _wait_no_longer(self)
                super().sendall(left[at : at + _PIECE_BYTES], flags)
                _earned(len(left[at : at + _PIECE_BYTES]))


class BoundedTlsSocket(ssl.SSLSocket):
    """A TLS connection that keeps to the thread's bounds."""

    def recv_into(self, *args: Any, **more: Any) -> int:
        """Receive; see `bounded`."""
        return _counted(self, super().recv_into, args, more)

    def send(self, *args: Any, **more: Any) -> int:
        """Send some; see `bounded`."""
        _wait_no_longer(self)
        return _earned(super().send(*args, **more))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all, in pieces that earn their time; see `bounded`."""
        with memoryview(data) as view, view.cast("B") as left:
            at = 0
            while at < len(left):
                at += self.send(left[at : at + _PIECE_BYTES], flags)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  (as it is called)
        """Shake hands; the timeout is that of the whole handshake."""
        _wait_no_longer(self)
        super().do_handshake(block)


def tls_context(cafile: str | None = None) -> ssl.SSLContext:
    """A client's context whose connections keep to the bounds."""
    context = ssl.create_default_context(cafile=cafile)
    context.sslsocket_class = BoundedTlsSocket
    return context


def connect(address: str, port: int) -> BoundedSocket:
    """Connect to one address, which is looked up no more; raises OSError."""
    bounds = _current()
    seconds = _CONNECT_SECONDS if bounds is None else bounds.left()
    plain = socket.create_connection((address, port), min(seconds, _CONNECT_SECONDS))
    made = BoundedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    made.settimeout(seconds)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def look_up(host: str, port: int) -> list[str]:
    """Addresses of a host, in the order to be tried; raises OSError.

    The resolver has no timeout of its own that we could set, and may ask a server of
    whoever owns the name: it works in a thread that nobody waits for too long.
    """
    found: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(place[0]).partition("%")[0] for *_, place in places])
        except Exception as fault:  # noqa: BLE001  (raised below, in the right thread)
            found.put(fault)

    threading.Thread(target=ask, daemon=True, name="look-up").start()
    bounds = _current()
    try:
        answer = found.get(timeout=bounds.left() if bounds else None)
    except Empty:
        raise DeadlinePassed("the name was not looked up in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _earned(sent: int) -> int:
    bounds = _current()
    if bounds is not None:
        bounds.earn(sent)
    return sent


def _wait_no_longer(made: socket.socket) -> None:
    bounds = _current()
    if bounds is not None:
        made.settimeout(bounds.left())


def _counted(
    made: socket.socket, receive: Callable[..., int], args: Any, more: Any
) -> int:
    _wait_no_longer(made)
    received = receive(*args, **more)
    bounds = _current()
    if bounds is not None:
        bounds.count(received)
    return received
