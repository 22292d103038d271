"""An SMTP server in memory: what was handed over, and faults to choose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.ports import RelayServer


@dataclass(frozen=True, slots=True)
class Relayed:
    """A mail that the server took."""

    server: RelayServer
    sender: str
    recipients: tuple[str, ...]
    mail: bytes


class MemoryRelay:
    """Implements `ports.Relay`; thread safe.

    `before` and `after` are called with the recipients before and after the server
    takes a mail, and may raise.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken: list[Relayed] = []
        self.before: Callable[[Sequence[str]], None] = lambda _: None
        self.after: Callable[[Sequence[str]], None] = lambda _: None

    def send(
        self,
        server: RelayServer,
        sender: str,
        recipients: Sequence[str],
        mail: Iterable[bytes],
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the mail."""
        self.before(recipients)
        begin()
        taken = Relayed(server, sender, tuple(recipients), b"".join(mail))
        with self._lock:
            self.taken.append(taken)
        self.after(recipients)
