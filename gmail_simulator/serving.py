"""A socket server for the simulator, whose lost connections are lost on the wire."""

from __future__ import annotations

from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .web import WsgiApp


class _Handler(WSGIRequestHandler):
    """Closes the connection where the application says that it broke."""

    def connection_dropped(
        self,
        error: BaseException,  # noqa: ARG002  # its face
        environ: Any = None,  # noqa: ARG002  # its face
    ) -> None:
        # a connection that is kept alive would let the client wait for ever
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay silent; the world keeps its own list of calls."""


def listen(app: WsgiApp, host: str = "127.0.0.1", port: int = 0) -> BaseWSGIServer:
    """Bind a server; port 0 takes a free one, and `server_port` tells which."""
    return make_server(host, port, app, threaded=True, request_handler=_Handler)
