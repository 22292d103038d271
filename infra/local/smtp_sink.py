"""A real SMTP server that keeps what it is given: the default provider of this machine.

It takes any name and password, so that the whole way of a provider can be tried. Every
mail is written to a folder as `.eml`, for a person to open.
"""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

_HOST = "127.0.0.1"
# It warns of its own old names at every login.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    mail: bytes


class SmtpSink:
    """Takes mail on a free port of this machine until it is stopped."""

    def __init__(self, folder: Path | None = None) -> None:
        """Write mails to this folder, if one is given."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._taken: list[Taken] = []
        self.port = _free_port()
        self._controller = Controller(
            self,
            hostname=_HOST,
            port=self.port,
            authenticator=_anybody,
            auth_require_tls=False,
        )

    def start(self) -> None:
        """Listen."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._controller.start()

    def stop(self) -> None:
        """End."""
        self._controller.stop()

    def __enter__(self) -> Self:
        """Listen."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.stop()

    @property
    def taken(self) -> list[Taken]:
        """What was handed over so far."""
        with self._lock:
            return list(self._taken)

    @property
    def provider(self) -> dict[str, Any]:
        """`default_provider` of a subaccount that sends through this server."""
        return {
            "smtp": {
                "host": "localhost",
                "port": self.port,
                "security": "none",
                "username": "demo",
                "password": "demo",
                "from": "news@agency.example",
            }
        }

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        """Take a mail."""
        taken = Taken(
            envelope.mail_from, tuple(envelope.rcpt_tos), bytes(envelope.content)
        )
        with self._lock:
            self._taken.append(taken)
            number = next(self._numbers)
        if self._folder is not None:
            (self._folder / f"{number:05}.eml").write_bytes(taken.mail)
        return "250 taken"


def _anybody(*_: Any) -> AuthResult:
    return AuthResult(success=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
