"""Nothing but a gateway speaks to anybody: no link, image or host in a mail is fetched.

Static, over the whole product: who imports what can open a connection or start a
process.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAYS_OUT = {
    "aiohttp", "asyncio", "ftplib", "google.auth", "google.cloud", "google.oauth2",
    "googleapiclient", "grpc", "http.client", "httplib2", "httpx", "imaplib",
    "multiprocessing", "os", "poplib", "pty", "requests", "smtplib", "socket",
    "socketserver", "ssl", "subprocess", "telnetlib", "urllib.request", "urllib3",
    "webbrowser", "xmlrpc",
}  # fmt: skip
DANGEROUS = {"eval", "exec", "compile", "__import__"}
ALLOWED = {
    "shared/config.py": {"os"},  # the one reader of the environment
}
OUTSIDE_GATEWAYS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("functions", "shared")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(ROOT / "shared/gateways")
)


def imported(tree: ast.AST) -> set[str]:
    """Full names of everything imported, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {
                node.module,
                *(f"{node.module}.{name.name}" for name in node.names),
            }
    # Faults to be caught are no way out.
    return {name for name in names if not name.startswith("requests.exceptions")}


def ways_out(source: str) -> set[str]:
    """What in this source could reach anybody, or run what is text."""
    tree = ast.parse(source)
    names = imported(tree)
    found = {
        way
        for way in WAYS_OUT
        if any(f"{name}.".startswith(f"{way}.") for name in names)
    }
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return found | calls & DANGEROUS


def test_only_gateways_speak_to_anybody() -> None:
    assert len(OUTSIDE_GATEWAYS) > 80
    for file in [*OUTSIDE_GATEWAYS, "main.py"]:
        found = ways_out((ROOT / file).read_text(encoding="utf-8"))
        assert found <= ALLOWED.get(file, set()), file


@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "def f():\n    from urllib.request import urlopen",
        "import http.client as c",
        "from http import client",
        "from google.cloud import storage",
        "eval('1')",
    ],
)
def test_a_way_out_would_be_seen(source: str) -> None:
    assert ways_out(source)


GATEWAYS = {
    # At addresses of the settings alone: Gmail's, the consent's, those of the keys.
    "requests": {"google_oauth.py", "http_exchange.py", "published_keys.py"},
    # Providers, at addresses that are checked first; sockets with a deadline.
    "socket": {"bounded_sockets.py", "smtp_conversation.py"},
    "urllib3": {"http_exchange.py"},
    "ssl": {
        *("bounded_sockets.py", "http_exchange.py"),
        *("smtp.py", "smtp_conversation.py"),
    },
    # A folder, and the size of an open file.
    "os": {"folder_blobs.py", "gmail_sending.py"},
}
GOOGLES_OWN = {"google.auth", "google.cloud", "googleapiclient", "grpc"}


def test_each_gateway_speaks_in_its_own_way_only() -> None:
    found: dict[str, set[str]] = {}
    for path in (ROOT / "shared/gateways").rglob("*.py"):
        for way in ways_out(path.read_text(encoding="utf-8")) - GOOGLES_OWN:
            found.setdefault(way, set()).add(path.name)
    assert found == GATEWAYS
