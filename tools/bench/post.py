"""The simulated Gmail of a benchmark: mail put into it, notifications taken out.

In a process of its own, so that its work is not taken for that of the program that is
measured, and behind TLS with connections that are kept, as the real one is.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import certifi
import httplib2

from gmail_simulator import Client, GmailWorld, Settings, create_app
from gmail_simulator.oauth_records import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
)
from shared.gateways import http_exchange

SEED = 7
FIRST_MAIL = datetime.now(UTC) + timedelta(days=1)
"""Ids come from seed and time, so the same mail gets the same ids all through a run of
the benchmark: what was recorded on one stage can be replayed on the next. Later than
any connection, because older mail is never read (C2)."""


class Post(Protocol):
    """What a benchmark does with a simulated Gmail."""

    def reset(self, redirect_uri: str, first_mail: datetime = FIRST_MAIL) -> None:
        """Begin a new Gmail without accounts."""

    def add_account(self, address: str) -> None:
        """Make a mailbox."""

    def arrive(self, mails: Sequence[bytes], address: str) -> None:
        """Let somebody outside write to a mailbox."""

    def hints(self) -> list[bytes]:
        """Notifications since the last call, oldest first."""

    def token(self, address: str) -> str:
        """An access token for a mailbox."""

    def calls(self) -> list[str]:
        """Methods called since the last reset."""

    def requests(self) -> int:
        """HTTP requests since the last reset; a batch is one."""


class LocalPost:
    """Implements `Post` in the process that serves its `app`."""

    def __init__(self) -> None:
        """Begin without a world."""
        self._app: Any = None
        self._hints: list[bytes] = []
        self._requests = 0

    def reset(self, redirect_uri: str, first_mail: datetime = FIRST_MAIL) -> None:
        """Begin a new Gmail without accounts."""
        self._hints = []
        self._requests = 0
        self._next_mail = first_mail
        self._arriving: datetime | None = None
        # Answers are not held against Gmail's description here: that is for tests, and
        # would be most of the time.
        settings = Settings(notification_rate_limited=False)
        self._world = GmailWorld(self._now, SEED, self._published, settings)
        self._world.oauth.register(
            Client(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, (redirect_uri,))
        )
        self._app = create_app(self._world)

    def app(self, environ: Any, start_response: Any) -> Any:
        """Serve whatever world there is now."""
        self._requests += 1
        return self._app(environ, start_response)

    def add_account(self, address: str) -> None:
        """Make a mailbox."""
        self._world.add_account(address)

    def arrive(self, mails: Sequence[bytes], address: str) -> None:
        """Let somebody outside write to a mailbox."""
        for mail in mails:
            self._arriving = self._next_mail
            self._next_mail += timedelta(seconds=1)
            self._world.deliver_from_outside(mail, [address])
        self._arriving = None

    def hints(self) -> list[bytes]:
        """Notifications since the last call, oldest first."""
        taken, self._hints = self._hints, []
        return taken

    def token(self, address: str) -> str:
        """An access token for a mailbox."""
        return self._world.grant(address).access_token

    def calls(self) -> list[str]:
        """Methods called since the last reset."""
        return [call.method for call in self._world.calls]

    def requests(self) -> int:
        """HTTP requests since the last reset; a batch is one."""
        return self._requests

    def _now(self) -> datetime:
        return self._arriving or datetime.now(UTC)

    def _published(self, _topic: str, data: bytes, _attributes: dict[str, str]) -> None:
        self._hints.append(data)


class RemotePost:
    """Implements `Post` by a `LocalPost` in another process."""

    def __init__(self) -> None:
        """Start the process, which ends with this one, and trust its server."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self.url: str
        self.secrets_host: str
        self.url, self.secrets_host, certificate = self._pipe.recv()
        _trust(certificate)

    def reset(self, redirect_uri: str, first_mail: datetime = FIRST_MAIL) -> None:
        """Begin a new Gmail without accounts."""
        self._ask("reset", redirect_uri, first_mail)

    def add_account(self, address: str) -> None:
        """Make a mailbox."""
        self._ask("add_account", address)

    def arrive(self, mails: Sequence[bytes], address: str) -> None:
        """Let somebody outside write to a mailbox."""
        self._ask("arrive", list(mails), address)

    def hints(self) -> list[bytes]:
        """Notifications since the last call, oldest first."""
        return list(self._ask("hints"))

    def token(self, address: str) -> str:
        """An access token for a mailbox."""
        return str(self._ask("token", address))

    def calls(self) -> list[str]:
        """Methods called since the last reset."""
        return list(self._ask("calls"))

    def requests(self) -> int:
        """HTTP requests since the last reset; a batch is one."""
        return int(self._ask("requests"))

    def close(self) -> None:
        """End the process."""
        self._pipe.close()

    def _ask(self, method: str, *arguments: Any) -> Any:
        self._pipe.send((method, arguments))
        return self._pipe.recv()


def _trust(certificate: bytes) -> None:
    """Let this process trust the server beside all that it trusts already.

    All of them are in the file, as on any machine: to read them takes its time.
    """
    file = Path(tempfile.mkdtemp()) / "trusted.pem"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    file.write_bytes(Path(certifi.where()).read_bytes() + certificate)
    http_exchange.CA_FILE = str(file)
    # The tutorial reaches Gmail as Google's client does by itself.
    httplib2.CA_CERTS = str(file)  # type: ignore[misc]  # its way to say whom to trust
    os.environ["REQUESTS_CA_BUNDLE"] = str(file)


def _serve(pipe: Connection) -> None:
    """Serve Gmail and Secret Manager; do what the pipe says until it is closed."""
    from infra.local import secret_manager
    from tools.tls_serving import TlsDoor

    post = LocalPost()
    door = TlsDoor(post.app)
    with tempfile.TemporaryDirectory() as folder:
        server = secret_manager.start(Path(folder) / "secrets.json")
        pipe.send((door.url, server.host, door.certificate.read_bytes()))
        try:
            while True:
                method, arguments = pipe.recv()
                pipe.send(getattr(post, method)(*arguments))
        except (EOFError, KeyboardInterrupt):
            return
        finally:
            server.stop()
            door.close()
