"""Gmail, Google's OAuth server and publishers of keys that stall, flood or lie."""

from __future__ import annotations

import gzip
import io
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from shared.core.ids import GmailMessageId, HistoryId
from shared.core.mail import MessageHeaders
from shared.errors import Permanent, SyncError, Transient
from shared.gateways import (
    bounded_sockets,
    gmail,
    gmail_connections,
    http_exchange,
    published_keys,
)
from shared.gateways.bounded_sockets import DeadlinePassed, TooMuchReceived
from shared.gateways.gmail import GmailMailbox
from shared.gateways.google_oauth import GoogleOAuth
from shared.gateways.http_exchange import BoundedAdapter, BrokenExchange, exchange
from shared.gateways.published_keys import PublishedKeys

SECONDS = 0.4
MOST = 100_000
MiB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"

Act = Callable[[socket.socket, threading.Event], None]


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_exchange, "SECONDS", SECONDS)
    monkeypatch.setattr(published_keys, "_SECONDS", SECONDS)
    # Else the megabytes that are allowed would earn time in a slow test run.
    monkeypatch.setattr(bounded_sockets, "LEAST_BYTES_A_SECOND", 1e12)
    monkeypatch.setattr(gmail_connections, "_thread", threading.local())


@contextmanager
def server(act: Act) -> Iterator[str]:
    """A server that reads each request's beginning and does this."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    lines: list[socket.socket] = []

    def talk(line: socket.socket) -> None:
        with suppress(OSError):
            line.recv(65536)
            act(line, over)
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            lines.append(line)
            threads.append(threading.Thread(target=talk, args=(line,)))
            threads[-1].start()

    threads = [threading.Thread(target=serve)]
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for line in [listener, *lines]:
            line.close()


def say(*words: bytes) -> Act:
    return lambda line, _: line.sendall(b"".join(words))


def drip(*before: bytes, piece: bytes = b"x") -> Act:
    def act(line: socket.socket, over: threading.Event) -> None:
        line.sendall(b"".join(before))
        while not over.wait(0.03):
            line.sendall(piece)

    return act


def flood(*before: bytes, piece: bytes = b"x" * 65536) -> Act:
    def act(line: socket.socket, over: threading.Event) -> None:
        line.sendall(b"".join(before))
        while not over.is_set():
            line.sendall(piece)

    return act


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = OK + b"Content-Length: 9999999999\r\n\r\n"
ZEROS = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB = ZEROS.compress(bytes(200 * MiB)) + ZEROS.flush()
TWICE = gzip.compress(BOMB)


def packed(body: bytes, encoding: bytes = b"gzip") -> bytes:
    head = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    return OK + head + body


STALL: dict[str, Act] = {
    "silence": lambda _, over: bool(over.wait(10)) and None,
    "status": drip(),
    "headers": drip(OK),
    "header lines": drip(OK, piece=b"X-A: b\r\n"),
    "go on": drip(piece=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drip(LONG),
    "chunk size": drip(CHUNKED, piece=b"0"),
    "chunks": drip(CHUNKED, piece=b"1\r\nx\r\n"),
    "trailer": drip(CHUNKED, b"0\r\n", piece=b"X-A: b\r\n"),
}
FLOOD: dict[str, Act] = {
    "status": flood(),
    "header": flood(OK, b"X-A: "),
    "headers": flood(OK, piece=b"X-A: b\r\n" * 1000),
    "go on": flood(piece=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "go on with headers": flood(piece=b"HTTP/1.1 100 Go\r\nX-A: b\r\n\r\n" * 1000),
    "body": flood(LONG),
    "body without a length": flood(OK, b"\r\n"),
    "chunk size": flood(CHUNKED, piece=b"0" * 65536),
    "chunk extension": flood(CHUNKED, b"1;x="),
    "chunks": flood(CHUNKED, piece=b"1\r\nx\r\n" * 1000),
    "trailer": flood(CHUNKED, b"0\r\n", piece=b"X-A: b\r\n" * 1000),
    "gzip": say(packed(BOMB)),
    "deflate": say(packed(zlib.compress(bytes(200 * MiB)), b"deflate")),
    "gzip without end": flood(packed(BOMB)[:-20]),
}
BROKEN: dict[str, Act] = {
    "nothing": say(),
    "no HTTP": say(b"hello\r\n\r\n"),
    "cut off": say(OK, b"Content-Length: 9\r\n\r\nx"),
    "bad chunk": say(CHUNKED, b"zz\r\nx"),
    "cut chunk": say(CHUNKED, b"5\r\nx"),
    "bad gzip": say(packed(b"no gzip")),
    "cut gzip": say(packed(gzip.compress(b'{"a": "b"}' * 100)[:-20])),
    "gzip twice": say(packed(TWICE, b"gzip, gzip")),
    "brotli": say(packed(b"x", b"br")),
}


@contextmanager
def frugal() -> Iterator[None]:
    """Fails when what it does takes long, or much memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        assert time.monotonic() - began < 3 * SECONDS + 1
        assert tracemalloc.get_traced_memory()[1] < 8 * MiB
    finally:
        tracemalloc.stop()


def ask(url: str) -> bytearray:
    adapter = BoundedAdapter()
    try:
        return exchange(adapter, "GET", url, most_bytes=MOST)[1]
    finally:
        adapter.close()


@pytest.mark.parametrize("act", STALL.values(), ids=STALL.keys())
def test_an_answer_that_never_ends_meets_the_deadline(act: Act) -> None:
    with server(act) as url, frugal(), pytest.raises(DeadlinePassed):
        ask(url)


@pytest.mark.parametrize("act", FLOOD.values(), ids=FLOOD.keys())
def test_an_answer_that_is_too_large_is_not_read(act: Act) -> None:
    # Many small lines are read slowly: there the deadline can come first.
    ends = (TooMuchReceived, BrokenExchange, DeadlinePassed)
    with server(act) as url, frugal(), pytest.raises(ends):
        ask(url)


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_is_none_is_broken(act: Act) -> None:
    with server(act) as url, frugal(), pytest.raises(BrokenExchange):
        ask(url)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 2\r\n\r\nhi",
        OK + b"\r\nhi",
        CHUNKED + b"1\r\nh\r\n1;x=y\r\ni\r\n0\r\nX-A: b\r\n\r\n",
        packed(gzip.compress(b"hi")),
        packed(gzip.compress(b"hi"), b"X-GZIP"),
        packed(zlib.compress(b"hi"), b"deflate"),
        packed(b"hi", b"identity"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    ],
    ids=range(8),
)
def test_an_answer_is_read_in_every_form(answer: bytes) -> None:
    with server(say(answer)) as url:
        assert ask(url) == b"hi"


def test_an_answer_of_the_size_that_is_allowed_is_read() -> None:
    with server(say(packed(gzip.compress(bytes(MOST))))) as url:
        assert len(ask(url)) == MOST
    more = say(packed(gzip.compress(bytes(MOST + 1))))
    with server(more) as url, pytest.raises(TooMuchReceived):
        ask(url)


def test_a_server_that_takes_no_request_meets_the_deadline() -> None:
    def act(_: socket.socket, over: threading.Event) -> None:
        over.wait(10)

    with server(act) as url, pytest.raises(DeadlinePassed):
        exchange(BoundedAdapter(), "POST", url, body=bytes(64 * MiB), most_bytes=MOST)


def test_a_host_that_is_looked_up_without_end_meets_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    monkeypatch.setattr(
        bounded_sockets.socket, "getaddrinfo", lambda *_, **__: over.wait(10)
    )
    with pytest.raises(DeadlinePassed):
        ask("http://peer.test")
    over.set()


def test_nothing_of_one_answer_is_in_the_next_request() -> None:
    """Cookies would carry one mailbox's state into another's request."""
    seen: list[bytes] = []

    def act(line: socket.socket, _: threading.Event) -> None:
        for _number in range(2):
            line.sendall(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
            seen.append(line.recv(65536))

    adapter = BoundedAdapter()
    with server(act) as url:
        for _ in range(2):
            exchange(adapter, "GET", url, most_bytes=MOST)
        adapter.close()
    assert b"ookie" not in seen[0]


# --- through the gateways ----------------------------------------------------------

HOSTILE = {**STALL, **FLOOD, **BROKEN}
CALLS: dict[str, Callable[[GmailMailbox], object]] = {
    "profile": GmailMailbox.profile,
    "history": lambda box: box.history(HistoryId("1")),
    "headers": lambda box: box.headers([GmailMessageId("a")]),
    "attachment": lambda box: box.attachment(GmailMessageId("a"), "b"),
    "create": lambda box: box.create_draft(io.BytesIO(b"x" * 300_000), None),
    "send": lambda box: box.send_draft("d"),
}


@pytest.mark.parametrize("act", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_whatever_gmail_answers_is_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[GmailMailbox], object], act: Act
) -> None:
    monkeypatch.setattr("shared.gateways.gmail_sending._UPLOAD_BREAKS", 0)
    for name in ("_BATCH_BYTES", "_ATTACHMENT_BYTES"):
        monkeypatch.setattr(gmail, name, MOST)
    monkeypatch.setattr(gmail_connections, "MOST_BYTES", MOST)
    with server(act) as url:
        box = GmailMailbox(lambda _: "token", endpoint=url)
        with frugal(), pytest.raises((Transient, Permanent)) as caught:
            _raised(call(box))
    assert "token" not in str(caught.value)


def _raised(found: object) -> None:
    """What a batch says of a message."""
    if isinstance(found, dict):
        raise next(iter(found.values()))


JSON_BOMBS = {
    "deep": b"[" * 1_000_000,
    "deep object": b'{"a":' * 200_000,
    "long number": b'{"historyId": ' + b"9" * 1_000_000 + b"}",
    "no UTF-8": b'{"emailAddress": "\xff"}',
    "NaN": b'{"historyId": NaN, "emailAddress": "a@b.c"}',
    "a page": b"<html>Sign in</html>",
    "text": b'"x"',
}


@pytest.mark.parametrize("body", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
def test_json_that_cannot_be_read_is_a_fault_of_ours(body: bytes, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    with server(say(head % (status, len(body)), body)) as url:
        box = GmailMailbox(lambda _: "token", endpoint=url)
        for call in (GmailMailbox.profile, lambda b: b.send_draft("d")):
            with pytest.raises(SyncError):
                call(box)


@pytest.mark.parametrize(
    "error",
    ["5", '"x"', "[]", '{"errors": 5}', '{"errors": {"a": 1}}', '{"details": "x"}',
     '{"errors": [5, null, {"reason": 5}, {"reason": []}]}', '{"message": {"a": 1}}'],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_an_error_of_any_shape_is_a_fault_of_ours(error: str, status: int) -> None:
    body = f'{{"error": {error}}}'.encode()
    head = (
        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with server(say(head % (status, len(body)), body)) as url:
        box = GmailMailbox(lambda _: "token", endpoint=url)
        for call in (GmailMailbox.profile, lambda b: b.send_draft("d")):
            with pytest.raises(SyncError):
                call(box)


def test_one_message_that_is_too_large_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch beyond the limit is read in halves, down to the message it is."""
    monkeypatch.setattr(gmail, "_BATCH_BYTES", MOST)
    asked: list[int] = []

    class Batches:
        most_bytes = 0

        def request(self, _uri: str, _method: str, *, body: str, **_: Any) -> Any:
            names = [
                line.split("messages/")[1].split("?")[0]
                for line in body.splitlines()
                if line.startswith("GET ")
            ]
            asked.append(len(names))
            if "m3" in names:
                raise TooMuchReceived
            resource = {"threadId": "t", "historyId": "1", "internalDate": "1"}
            parts = [
                f"--b\r\nContent-Type: application/http\r\nContent-ID: <response-x + {n}>"
                "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
                + json.dumps({"id": n, "payload": {"headers": []}, **resource})
                + "\r\n"
                for n in names
            ]
            answer = http_exchange.Answer(
                200, "OK", {"Content-Type": 'multipart/mixed; boundary="b"'}
            )
            return answer, ("".join(parts) + "--b--").encode()

        def close(self) -> None:
            pass

    box = GmailMailbox(lambda _: "token", http_factory=lambda _: Batches())
    found = box.headers([GmailMessageId(f"m{number}") for number in range(8)])
    assert [name for name, item in found.items() if isinstance(item, Permanent)] == [
        "m3"
    ]
    assert sum(isinstance(item, MessageHeaders) for item in found.values()) == 7
    assert asked == [8, 4, 2, 2, 1, 1, 4]


def oauth(url: str) -> GoogleOAuth:
    client = {
        "client_id": "c",
        "client_secret": "client-secret",
        "auth_uri": f"{url}/auth",
        "token_uri": f"{url}/token",
        "auth_provider_x509_cert_url": f"{url}/certs",
    }
    return GoogleOAuth(client, "http://localhost/back", gmail_endpoint=url)


JSON_ANSWERS = {
    name: say(OK, b"Content-Length: %d\r\n\r\n" % len(body), body)
    for name, body in JSON_BOMBS.items()
}
MOVED = say(b"HTTP/1.1 302 Found\r\nLocation: /certs\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("act", [*HOSTILE.values(), *JSON_ANSWERS.values(), MOVED])
def test_whatever_the_oauth_server_answers_is_a_fault_of_ours(act: Act) -> None:
    with server(act) as url:
        google = oauth(url)
        calls: list[Callable[[], object]] = [
            lambda: google.gmail("refresh-token").profile(),
            lambda: google.exchange(code="code", code_verifier="v"),
        ]
        for call in calls:
            with frugal(), pytest.raises(SyncError) as caught:
                call()
            assert "secret" not in str(caught.value)
            assert "refresh-token" not in str(caught.value)


@pytest.mark.parametrize("act", [*HOSTILE.values(), *JSON_ANSWERS.values(), MOVED])
def test_whatever_a_publisher_of_keys_answers_is_a_fault_of_ours(act: Act) -> None:
    with server(act) as url, frugal(), pytest.raises(SyncError):
        PublishedKeys(url).key("k1")
