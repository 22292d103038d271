"""WSGI apps served on this machine: loopback only, a thread for each connection."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from shared.errors import Misconfigured

_BACKLOG = 256
# How long `close` may wait for a server to notice it.
_POLL_SECONDS = 0.05


class _QuietHandler(WSGIRequestHandler):
    """Keeps connections open, and leaves logging to the functions."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


class Door:
    """A port of `localhost`, taken at once and served later.

    Taking it first makes a busy port an early, clear error. Callers that come before
    `serve` wait in the listening queue.
    """

    def __init__(self, port: int = 0, *, setting: str = "PORT") -> None:
        """Take the port (0: any) on IPv4, and on IPv6 where there is one."""
        try:
            first = _listen(socket.AF_INET, "127.0.0.1", port)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            why = "in use" if error.errno == errno.EADDRINUSE else "not allowed"
            raise Misconfigured(
                f"{setting}: port {port} is {why}; end what holds it, or choose "
                f"another, such as {setting}=8090."
            ) from None
        self.port: int = first.getsockname()[1]
        self._sockets = [first]
        with contextlib.suppress(OSError):
            self._sockets.append(_listen(socket.AF_INET6, "::1", self.port))
        self._servers: list[BaseWSGIServer] = []

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    def serve(self, app: Any) -> None:
        """Answer with this app from now on, in threads that end with the process."""
        for listening in self._sockets:
            server = make_server(
                listening.getsockname()[0],
                self.port,
                app,
                threaded=True,
                request_handler=_QuietHandler,
                fd=listening.fileno(),
            )
            self._servers.append(server)
            threading.Thread(
                target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True
            ).start()

    def close(self) -> None:
        """Take no more callers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for listening in self._sockets:
            listening.close()


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
