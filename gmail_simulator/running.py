"""A simulated Gmail at an address of this machine, for tests and programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Self

from .app import create_app
from .oauth_records import Client, Tokens, client_file
from .serving import listen
from .world import GmailWorld

_TICK_SECONDS = 0.2


class Simulator:
    """Serves a world in threads until it is closed; `world` is there to look into.

    A slow answer takes its time, and a lost connection is lost on the wire.
    """

    def __init__(
        self, world: GmailWorld | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Answer from now on; port 0 takes a free one."""
        self.world = world or GmailWorld(lambda: datetime.now(UTC))
        self._server = listen(create_app(self.world, sleep=time.sleep), host, port)
        self.url = f"http://{host}:{self._server.server_port}"
        self._closed = threading.Event()
        for work in (self._server.serve_forever, self._tick):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Answer no more."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> None:
        """Serve until it is closed."""
        self._closed.wait()

    def client_file(self, redirect_uris: Iterable[str]) -> dict[str, Any]:
        """The OAuth client file of a client that this Gmail knows from now on."""
        described = client_file(self.url, redirect_uris)
        self.register(described)
        return described

    def register(self, described: dict[str, Any]) -> None:
        """Make the client of an OAuth client file known."""
        web = described["web"]
        self.world.oauth.register(
            Client(web["client_id"], web["client_secret"], tuple(web["redirect_uris"]))
        )

    def tokens(self, address: str) -> Tokens:
        """Tokens for all of this account's Gmail, as after its owner's consent."""
        return self.world.grant(address)

    def _tick(self) -> None:
        while not self._closed.wait(_TICK_SECONDS):
            self.world.tick()
