"""A WSGI app behind TLS, with connections that are kept, as Google serves Gmail."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from infra.local.certificate import make

_THREADS = 16


class TlsDoor:
    """Serves on a port of `localhost`, in threads, until it is closed.

    `certificate` is what vouches for it: nobody else does.
    """

    def __init__(self, app: Any, *, claims: str = "localhost") -> None:
        """Answer with this app from now on, as the host that it claims to be."""
        self._folder = tempfile.TemporaryDirectory()
        made = make(Path(self._folder.name), claims)
        self.certificate = made.certificate
        self._server = Server(("127.0.0.1", 0), app, numthreads=_THREADS)
        adapter = BuiltinSSLAdapter(str(made.certificate), str(made.key))
        self._server.ssl_adapter = adapter
        self._server.prepare()
        threading.Thread(target=self._server.serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://localhost:{self._server.bind_addr[1]}"

    def close(self) -> None:
        """Take no more callers."""
        self._server.stop()
        self._folder.cleanup()
