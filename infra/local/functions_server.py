"""The deployed functions, run by Google's own framework in this process.

Each target is loaded from `main.py` exactly as in the cloud; only the doors differ:
HTTP functions share one address, pushed ones are on an internal one.
"""

from __future__ import annotations

from typing import Any

from functions_framework import create_app

from infra.local import wiring
from infra.local.state import ROOT

_SOURCE = ROOT / "main.py"


class HttpFunctions:
    """A WSGI app: every HTTP function, chosen by path (which stays whole)."""

    def __init__(self) -> None:
        """Load the functions."""
        self._apps = {name: _load(name) for name, _ in wiring.HTTP_FUNCTIONS}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Hand the request to its function."""
        name = wiring.http_function(environ.get("PATH_INFO") or "/")
        return self._apps[name](environ, start_response)


class PushFunctions:
    """A WSGI app: every function that Pub/Sub pushes to, at `/<function>`."""

    def __init__(self) -> None:
        """Load the functions."""
        self._apps = {
            f"/{consumer.function}": _load(consumer.function)
            for consumer in (*wiring.CONSUMERS, *wiring.DRAINS)
        }

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Hand the push to its function, at the root as in the cloud."""
        app = self._apps.get(environ.get("PATH_INFO", ""))
        if app is None:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        return app({**environ, "PATH_INFO": "/"}, start_response)


def _load(target: str) -> Any:
    return create_app(target, str(_SOURCE))  # type: ignore[no-untyped-call]
