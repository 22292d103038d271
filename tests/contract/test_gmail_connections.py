"""Connections to Gmail, on real sockets: what is kept, what is repeated, who is trusted."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from shared.errors import Permanent, Transient
from shared.gateways import gmail_connections, http_exchange
from shared.gateways.gmail import GmailMailbox
from shared.gateways.gmail_connections import KEPT_SECONDS, open_http
from shared.gateways.http_exchange import BrokenExchange
from tools.tls_serving import TlsDoor

PROFILE = {"emailAddress": "a@b.c", "historyId": "5"}


@pytest.fixture(autouse=True)
def _threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds a connection that another one has left open."""
    monkeypatch.setattr(gmail_connections, "_thread", threading.local())


def gmail(url: str, token: str = "secret") -> GmailMailbox:
    return GmailMailbox(lambda _refused: token, endpoint=url)


@contextmanager
def server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request, answers so, and closes."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(65536))
                if answer:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def answering(value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


class Callers:
    """A WSGI app that notes from which port each request came.

    It says whose token it was given; with the token "late" it waits first.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.wait = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.seen.append((environ["REQUEST_METHOD"], environ["REMOTE_PORT"]))
        if environ["REQUEST_METHOD"] == "POST":
            start_response("204 No Content", [])
            return []
        whose = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
        if whose == "late":
            assert self.wait.wait(10)
        body = json.dumps({**PROFILE, "emailAddress": whose}).encode()
        head = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]
        start_response("200 OK", head)
        return [body]

    def connections(self, method: str) -> list[str]:
        return [port for verb, port in self.seen if verb == method]


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest.fixture
def door(callers: Callers) -> Iterator[TlsDoor]:
    door = TlsDoor(callers)
    yield door
    door.close()


@pytest.fixture
def url(door: TlsDoor, trust: Callable[[TlsDoor], None]) -> str:
    """Where a server answers that is trusted."""
    trust(door)
    return door.url


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Callable[[TlsDoor], None]:
    def trust(door: TlsDoor) -> None:
        monkeypatch.setattr(http_exchange, "CA_FILE", str(door.certificate))

    http_exchange._certificates.cache_clear()
    return trust


def test_reads_of_a_thread_share_a_connection_whatever_the_mailbox(
    url: str, callers: Callers
) -> None:
    for token in ("one", "two", "two"):
        gmail(url, token).profile()
    assert len(set(callers.connections("GET"))) == 1


def test_what_may_not_be_repeated_has_a_connection_of_its_own(
    url: str, callers: Callers
) -> None:
    """A kept one can have been closed, and nobody knows then what became of a send."""
    for _ in range(2):
        gmail(url).profile()
        gmail(url).stop()
    assert len(set(callers.connections("POST"))) == 2
    assert not {*callers.connections("POST")} & {*callers.connections("GET")}


def test_each_thread_has_its_own(url: str, callers: Callers) -> None:
    """A connection carries one request at a time."""
    gmail(url).profile()
    other = threading.Thread(target=gmail(url).profile)
    other.start()
    other.join(10)
    assert len(set(callers.connections("GET"))) == 2


def test_a_connection_that_nobody_used_for_a_while_is_not_used_again(
    url: str, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(gmail_connections.time, "monotonic", lambda: now[0])
    for later in (0.0, KEPT_SECONDS, KEPT_SECONDS + 1):
        now[0] += later
        gmail(url).profile()
    first, second, third = callers.connections("GET")
    assert first == second != third


def test_a_kept_connection_that_was_closed_meanwhile_is_no_fault() -> None:
    with server(answering(PROFILE)) as (url, requests):
        for _ in range(3):
            assert gmail(url).profile().address == "a@b.c"
        assert len(requests) == 3


def test_a_read_on_a_new_connection_is_not_repeated() -> None:
    with server(b"") as (url, requests):
        with pytest.raises(Transient):
            gmail(url).profile()
        assert len(requests) == 1


def test_a_late_answer_is_never_taken_for_the_next_ones(
    url: str, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first mailbox's answer comes when the second one is asked for."""
    gmail(url, "before").profile()
    monkeypatch.setattr(http_exchange, "SECONDS", 0.2)
    callers.wait = threading.Event()
    with pytest.raises(Transient):
        gmail(url, "late").profile()
    callers.wait.set()
    monkeypatch.setattr(http_exchange, "SECONDS", 20.0)
    assert gmail(url, "next").profile().address == "next"


def test_a_connection_whose_answer_was_cut_off_is_not_kept() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{") as (url, _):
        with pytest.raises(Transient):
            gmail(url).profile()
        assert gmail_connections._thread.kept._is_open is False


def test_a_request_whose_answer_is_lost_is_never_sent_twice() -> None:
    with server(b"") as (url, requests):
        with pytest.raises(BrokenExchange), closing(open_http(False)) as http:
            http.request(url, "POST", body=b"send")
        assert len(requests) == 1
        with pytest.raises(Transient):
            gmail(url).stop()
        assert len(requests) == 2


@pytest.mark.parametrize("ask", [GmailMailbox.profile, GmailMailbox.stop])
def test_a_redirect_is_not_followed_with_the_token(
    ask: Callable[[GmailMailbox], object],
) -> None:
    with server(answering({})) as (evil, stolen):
        moved = f"HTTP/1.1 302 Found\r\nLocation: {evil}/\r\nContent-Length: 0\r\n\r\n"
        with server(moved.encode()) as (url, requests):
            with pytest.raises(Permanent):
                ask(gmail(url))
            assert len(requests) == 1
        assert stolen == []


def test_the_token_goes_along() -> None:
    with server(answering(PROFILE)) as (url, requests):
        profile = gmail(url).profile()
    assert (profile.address, profile.history_id) == ("a@b.c", "5")
    assert b"authorization: bearer secret" in requests[0].lower()


# --- TLS ---------------------------------------------------------------------------


def test_certificates_are_read_once(
    url: str, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    real = ssl.SSLContext.load_verify_locations

    def load(self: ssl.SSLContext, *where: Any, **more: Any) -> None:
        read.append(where)
        real(self, *where, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    for _ in range(2):
        gmail(url).profile()
        gmail(url).stop()
    assert len({port for _, port in callers.seen}) == 3
    assert len(read) == 1


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("ask", [GmailMailbox.profile, GmailMailbox.stop])
def test_a_server_that_nobody_vouches_for_gets_no_token(
    door: TlsDoor, callers: Callers, ask: Callable[[GmailMailbox], object]
) -> None:
    with pytest.raises(Transient):
        ask(gmail(door.url))
    assert callers.seen == []


@pytest.mark.parametrize("ask", [GmailMailbox.profile, GmailMailbox.stop])
def test_a_server_with_another_hosts_certificate_gets_no_token(
    callers: Callers,
    trust: Callable[[TlsDoor], None],
    ask: Callable[[GmailMailbox], object],
) -> None:
    with closing(TlsDoor(callers, claims="other.example")) as door:
        trust(door)
        with pytest.raises(Transient):
            ask(gmail(door.url))
    assert callers.seen == []
