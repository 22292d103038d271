"""A WSGI app behind TLS, with connections that are kept, as Google serves Gmail."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

_THREADS = 16


class TlsDoor:
    """Serves on a port of `localhost`, in threads, until it is closed.

    `certificate` is the authority that vouches for it: nobody else does.
    """

    def __init__(self, app: Any, *, claims: str = "localhost") -> None:
        """Answer with this app from now on, as the host that it claims to be."""
        self._folder = tempfile.TemporaryDirectory()
        authority = trustme.CA()
        self.certificate = Path(self._folder.name) / "authority.pem"
        authority.cert_pem.write_to_path(str(self.certificate))
        chain = Path(self._folder.name) / "server.pem"
        server = authority.issue_cert(claims)
        server.private_key_and_cert_chain_pem.write_to_path(str(chain))
        self._server = Server(("127.0.0.1", 0), app, numthreads=_THREADS)
        self._server.ssl_adapter = BuiltinSSLAdapter(str(chain), str(chain))
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
