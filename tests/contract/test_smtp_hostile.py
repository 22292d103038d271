"""Providers that stall, flood or lie, at each step of a conversation."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from shared.errors import FateUnknown, Permanent, Transient
from shared.gateways import bounded_sockets, smtp_conversation
from shared.gateways.smtp import SmtpRelay
from shared.ports import RelayServer

MAIL = b"Subject: Hi\r\n\r\nHello\r\n"
SECRET = "Grüße 2026"
SECONDS = 0.4
"""What the tests allow for a whole conversation."""
STEPS = ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "end"]
BEFORE = STEPS[:-1]

Act = Callable[["Provider", socket.socket], None]


def say(text: str) -> Act:
    return lambda _, line: line.sendall(text.encode())


def silence(provider: Provider, _: socket.socket) -> None:
    provider.over.wait(10)


def close(_: Provider, line: socket.socket) -> None:
    line.shutdown(socket.SHUT_RDWR)


def drip(provider: Provider, line: socket.socket) -> None:
    while not provider.over.wait(0.05):
        line.sendall(b"2")


def drip_lines(provider: Provider, line: socket.socket) -> None:
    while not provider.over.wait(0.05):
        line.sendall(b"250-x\r\n")


def one_line_without_end(provider: Provider, line: socket.socket) -> None:
    while not provider.over.is_set():
        line.sendall(b"250-" + b"x" * 65_000)


def lines_without_end(provider: Provider, line: socket.socket) -> None:
    while not provider.over.is_set():
        line.sendall(b"250-xxxx\r\n" * 1000)


def empty_lines(provider: Provider, line: socket.socket) -> None:
    while not provider.over.is_set():
        line.sendall(b"\r\n" * 30_000)


HOSTILE = [
    silence, close, drip, drip_lines, one_line_without_end, lines_without_end,
    empty_lines, say("hello\r\n"), say("99 x\r\n"), say("777 x\r\n"), say("250+x\r\n"),
    say("\xff\xfe\x00\r\n"), say("1" * 5000 + " x\r\n"), say("250-a\r\n550\xa0b\r\n"),
    say("100 go on\r\n" * 3),
]  # fmt: skip


class Provider:
    """A server that says what a step is told to, and else what is right."""

    def __init__(self, authority: trustme.CA) -> None:
        self.acts: dict[str, Act] = {
            "greeting": say("220 ready\r\n"),
            "EHLO": say(
                "250-here\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 STARTTLS\r\n"
            ),
            "AUTH": say("235 welcome\r\n"),
            "DATA": say("354 go on\r\n"),
            "QUIT": say("221 bye\r\n"),
        }
        self.said: list[str] = []
        self.mails: list[bytes] = []
        self.over = threading.Event()
        self._lines: list[socket.socket] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._tls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for line in self._lines:
            line.close()

    def count(self, verb: str) -> int:
        return sum(line.split(" ")[0] == verb for line in self.said)

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            thread = threading.Thread(target=self._serve, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        try:
            self._talk(line)
        except (OSError, ValueError):
            pass
        finally:
            line.close()

    def _talk(self, line: socket.socket) -> None:
        line.settimeout(10)
        self._act("greeting", line)
        heard = line.makefile("rb")
        while command := heard.readline().decode().strip():
            self.said.append(command)
            verb = command.split(" ")[0]
            if verb == "STARTTLS":
                self._act(verb, line, say("220 go\r\n"))
                line = self._tls.wrap_socket(line, server_side=True)
                self._lines.append(line)
                heard = line.makefile("rb")
                continue
            self._act(verb, line)
            if verb == "DATA":
                self._act("body", line, lambda *_: None)
                lines = []
                while (text := heard.readline()) != b".\r\n":
                    if not text:
                        return  # the last line never came
                    lines.append(text)
                self.mails.append(b"".join(lines))
                self._act("end", line)

    def _act(self, step: str, line: socket.socket, other: Act | None = None) -> None:
        self.acts.get(step, other or say("250 ok\r\n"))(self, line)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def provider(authority: trustme.CA) -> Iterator[Provider]:
    made = Provider(authority)
    yield made
    made.stop()


@pytest.fixture
def relay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA
) -> Iterator[SmtpRelay]:
    monkeypatch.setattr(smtp_conversation, "_HAND_OVER_SECONDS", SECONDS)
    monkeypatch.setattr("shared.gateways.smtp._GOODBYE_SECONDS", 0.1)
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    made = SmtpRelay(allow_loopback=True, ca_file=file, seconds=SECONDS)
    yield made
    made.close()


def send(
    relay: SmtpRelay,
    provider: Provider,
    security: Any = "none",
    mail: Any = (MAIL,),
    password: str = SECRET,
    host: str = "localhost",
) -> None:
    server = RelayServer(host, provider.port, security, "mé", password)
    relay.send(server, "a@x.test", ["b@y.test"], mail)


def given_up(relay: SmtpRelay, provider: Provider, **more: Any) -> Exception:
    """What comes of it; fails when that takes long, or much memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises((Transient, Permanent, FateUnknown)) as caught:
            send(relay, provider, **more)
        assert time.monotonic() - began < 3 * SECONDS + 0.5
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()
    return caught.value


@pytest.mark.parametrize("act", HOSTILE)
@pytest.mark.parametrize("step", BEFORE)
def test_s7_whatever_comes_before_the_mail_was_not_sent(
    relay: SmtpRelay, provider: Provider, step: str, act: Act
) -> None:
    provider.acts[step] = act
    assert isinstance(given_up(relay, provider), Transient)
    assert provider.mails == []


@pytest.mark.parametrize("act", [*HOSTILE, say("354 again\r\n")])
def test_s7_whatever_comes_after_the_last_line_leaves_doubt(
    relay: SmtpRelay, provider: Provider, act: Act
) -> None:
    provider.acts["end"] = act
    assert isinstance(given_up(relay, provider), FateUnknown)
    assert provider.mails == [MAIL]


@pytest.mark.parametrize("act", [silence, close, drip])
@pytest.mark.parametrize("step", ["STARTTLS", "EHLO"])
def test_a_provider_that_stalls_around_encryption_is_given_up(
    relay: SmtpRelay, provider: Provider, step: str, act: Act
) -> None:
    provider.acts[step] = act
    assert isinstance(given_up(relay, provider, security="starttls"), Transient)


@pytest.mark.parametrize("act", [silence, drip, one_line_without_end])
def test_a_handshake_without_end_is_given_up(
    relay: SmtpRelay, provider: Provider, act: Act
) -> None:
    provider.acts["greeting"] = act
    assert isinstance(given_up(relay, provider, security="tls"), Transient)


def test_a_name_that_is_looked_up_without_end_is_given_up(
    relay: SmtpRelay, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: Any, **__: Any) -> Any:
        provider.over.wait(10)
        return []

    monkeypatch.setattr(bounded_sockets.socket, "getaddrinfo", ask)
    assert isinstance(given_up(relay, provider), Transient)


@pytest.mark.parametrize("security", ["none", "starttls"])
def test_s7_a_provider_that_does_not_take_the_mail_has_not_got_it(
    relay: SmtpRelay, provider: Provider, security: str
) -> None:
    """It stops reading: buffers fill up, and the last line is never said."""
    provider.acts["body"] = silence
    mail = [b"x" * 70 + b"\r\n"] * 500_000
    began = time.monotonic()
    with pytest.raises(Transient):
        send(relay, provider, security, mail)
    # Buffers on both sides take some megabytes, and each earns a second.
    assert time.monotonic() - began < 12
    assert provider.mails == []


def test_a_mail_that_is_taken_gets_the_time_it_needs(
    relay: SmtpRelay, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken earns more, so that a big mail is no slow one."""
    monkeypatch.setattr(bounded_sockets, "LEAST_BYTES_A_SECOND", 100_000)

    def slowly() -> Iterator[bytes]:
        for _ in range(8):
            provider.over.wait(SECONDS / 4)
            yield b"x" * 100_000 + b"\r\n"

    send(relay, provider, mail=slowly())
    assert len(provider.mails) == 1


def test_s7_a_mail_that_fails_while_it_is_written_was_not_sent(
    relay: SmtpRelay, provider: Provider
) -> None:
    def broken() -> Iterator[bytes]:
        yield MAIL
        raise UnicodeError("canary")

    fault = given_up(relay, provider, mail=broken())
    assert isinstance(fault, Permanent)
    assert "canary" not in str(fault)
    assert provider.mails == []


@pytest.mark.parametrize("act", HOSTILE)
def test_a_goodbye_that_fails_changes_nothing(
    relay: SmtpRelay, provider: Provider, act: Act
) -> None:
    provider.acts["QUIT"] = act
    send(relay, provider)
    began = time.monotonic()
    relay.close()
    assert time.monotonic() - began < 1
    assert provider.mails == [MAIL]


@pytest.mark.parametrize("act", [act for act in HOSTILE if act is not silence])
def test_a_kept_connection_that_answers_oddly_is_left(
    relay: SmtpRelay, provider: Provider, act: Act
) -> None:
    send(relay, provider)
    provider.acts["NOOP"] = act
    try:
        send(relay, provider)
    except Transient:
        assert act in {drip, drip_lines}  # it has used up the time
    else:
        assert provider.count("EHLO") == 2


def test_a_reset_that_fails_does_not_hide_the_refusal(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts |= {"RCPT": say("550 policy says no\r\n"), "RSET": lines_without_end}
    fault = given_up(relay, provider)
    assert isinstance(fault, Permanent)
    assert fault.said == "550 policy says no"


# --- replies that are not ours -----------------------------------------------------


def test_what_was_said_in_the_open_is_not_believed_in_tls(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["STARTTLS"] = say("220 go\r\n250-x\r\n250 AUTH PLAIN\r\n")
    with pytest.raises(Transient, match="out of turn"):
        send(relay, provider, "starttls")
    assert provider.count("AUTH") == 0


@pytest.mark.parametrize("step", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
def test_s7_a_reply_too_many_is_never_taken_for_the_next(
    relay: SmtpRelay, provider: Provider, step: str
) -> None:
    usual = {
        "greeting": "220 ready",
        "EHLO": "250-here\r\n250 AUTH PLAIN",
        "AUTH": "235 welcome",
        "DATA": "354 go on",
    }
    provider.acts[step] = say(f"{usual.get(step, '250 ok')}\r\n250 ok\r\n")
    fault = given_up(relay, provider)
    assert isinstance(fault, Transient)
    assert not provider.mails


@pytest.mark.parametrize("security", ["none", "starttls"])
@pytest.mark.parametrize(
    ("early", "error"),
    [("552 too big", Permanent), ("452 full", Transient), ("250 ok", Transient)],
)
def test_s7_an_answer_before_the_last_line_is_a_refusal_or_a_lie(
    relay: SmtpRelay,
    provider: Provider,
    early: str,
    error: type[Exception],
    security: str,
) -> None:
    spoken = threading.Event()

    def speak(_: Provider, line: socket.socket) -> None:
        line.sendall(f"{early}\r\n".encode())
        spoken.set()

    def mail() -> Iterator[bytes]:
        yield MAIL
        assert spoken.wait(5)

    provider.acts["body"] = speak
    assert isinstance(given_up(relay, provider, mail=mail(), security=security), error)
    assert provider.mails == []


def test_a_provider_that_cannot_encrypt_gets_no_password(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["EHLO"] = say("250-here\r\n250 AUTH PLAIN\r\n")
    with pytest.raises(Permanent, match="STARTTLS"):
        send(relay, provider, "starttls")
    assert provider.count("AUTH") == 0


def test_a_provider_of_the_old_kind_is_greeted_in_the_old_way(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["EHLO"] = say("502 what?\r\n")
    relay.send(
        RelayServer("localhost", provider.port, "none"),
        "a@x.test",
        ["b@y.test"],
        [MAIL],
    )
    assert [line.split(" ")[0] for line in provider.said[:2]] == ["EHLO", "HELO"]
    assert provider.mails == [MAIL]


# --- logins ------------------------------------------------------------------------


def plain(user: str, password: str) -> str:
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def test_a_password_beyond_ascii_is_sent_in_utf_8(
    relay: SmtpRelay, provider: Provider
) -> None:
    """RFC 4616; smtplib raises UnicodeEncodeError."""
    send(relay, provider)
    assert f"AUTH PLAIN {plain('mé', SECRET)}" in provider.said


def test_a_long_password_is_not_put_on_the_command_line(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["AUTH"] = say("334 \r\n")
    secret = "p" * 1024
    provider.acts[plain("mé", secret)] = say("235 welcome\r\n")
    send(relay, provider, password=secret)
    assert "AUTH PLAIN" in provider.said


def test_the_other_mechanisms_take_utf_8_as_well(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["EHLO"] = say("250-here\r\n250 AUTH=LOGIN\r\n")
    provider.acts["AUTH"] = say("334 VXNlcm5hbWU6\r\n")
    provider.acts[base64.b64encode("mé".encode()).decode()] = say("334 UGFz\r\n")
    provider.acts[base64.b64encode(SECRET.encode()).decode()] = say("235 ok\r\n")
    send(relay, provider)
    assert provider.mails == [MAIL]


def test_a_challenge_is_answered(relay: SmtpRelay, provider: Provider) -> None:
    """The example of RFC 2195."""
    provider.acts["EHLO"] = say("250-here\r\n250 AUTH GSSAPI CRAM-MD5\r\n")
    challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>").decode()
    provider.acts["AUTH"] = say(f"334 {challenge}\r\n")
    answer = base64.b64encode(b"tim b913a602c7eda7a495b4e6e7334d3890").decode()
    provider.acts[answer] = say("235 ok\r\n")
    server = RelayServer("localhost", provider.port, "none", "tim", "tanstaaftanstaaf")
    relay.send(server, "a@x.test", ["b@y.test"], [MAIL])
    assert provider.mails == [MAIL]


@pytest.mark.parametrize("challenge", ["€", "a", ""])
def test_a_challenge_that_is_none_is_a_passing_fault(
    relay: SmtpRelay, provider: Provider, challenge: str
) -> None:
    provider.acts["EHLO"] = say("250-here\r\n250 AUTH CRAM-MD5\r\n")
    provider.acts["AUTH"] = say(f"334 {challenge}\r\n")
    assert isinstance(given_up(relay, provider), Transient)


@pytest.mark.parametrize(
    "secret", [SECRET, plain("mé", SECRET), base64.b64encode(SECRET.encode()).decode()]
)
def test_a_wrong_password_costs_one_login_and_is_never_told(
    relay: SmtpRelay, provider: Provider, secret: str
) -> None:
    provider.acts["AUTH"] = say(
        f"535-5.7.8 not good:\r\n535 5.7.8 {secret} is wrong\r\n"
    )
    fault = given_up(relay, provider)
    assert isinstance(fault, Permanent)
    assert str(fault) == "The provider refused the login (535 5.7.8)."
    assert fault.said == "535 5.7.8 not good: 5.7.8 … is wrong"
    assert provider.count("AUTH") == 1
    assert len([line for line in provider.said if line.startswith("EHLO")]) == 1


def test_a_login_that_is_not_possible_now_is_tried_later(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["AUTH"] = say("454 4.7.0 later\r\n")
    assert isinstance(given_up(relay, provider), Transient)


def test_a_mechanism_that_is_offered_and_not_known_is_no_failed_login(
    relay: SmtpRelay, provider: Provider
) -> None:
    provider.acts["AUTH"] = say("504 no such thing\r\n")
    fault = given_up(relay, provider)
    assert isinstance(fault, Permanent)
    assert provider.count("AUTH") == 3


@pytest.mark.parametrize(
    ("offers", "said"),
    [("AUTH GSSAPI XOAUTH2", "AUTH GSSAPI XOAUTH2"), ("SIZE 5", None), ("AUTH", None)],
)
def test_a_server_without_a_login_that_we_know_is_a_true_reason_for_good(
    relay: SmtpRelay, provider: Provider, offers: str, said: str | None
) -> None:
    provider.acts["EHLO"] = say(f"250-here\r\n250 {offers}\r\n")
    fault = given_up(relay, provider)
    assert isinstance(fault, Permanent)
    assert str(fault) == "The provider offers no login that is known here."
    assert fault.said == said


# --- names -------------------------------------------------------------------------


def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    relay: SmtpRelay, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer could be another one (DNS rebinding)."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def ask(host: str, *args: Any, **more: Any) -> Any:
        asked.append(host)
        address = "127.0.0.1" if host == "xn--bcher-kva.example" else host
        return real(address, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    send(relay, provider, host="Bücher.example.")
    assert provider.mails == [MAIL]
    assert [host for host in asked if host != "127.0.0.1"] == ["xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "host",
    ["smtp..provider.example", "a" * 64 + ".example", "127.1", "x\r\ny", "é" * 300],
)
def test_a_host_of_older_settings_that_is_none_is_a_reason_for_good(host: str) -> None:
    server = RelayServer(host, 25, "none")
    with pytest.raises(Permanent, match="The provider's host must"):
        SmtpRelay().send(server, "a@x.test", ["b@y.test"], [MAIL])
