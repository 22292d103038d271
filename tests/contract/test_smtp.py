"""The SMTP relay against a real server, with TLS, logins and every kind of failure."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from email import message_from_bytes, policy

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from shared.errors import FateUnknown, Permanent, Transient
from shared.gateways.smtp import SmtpRelay
from shared.ports import RelayServer

# The server leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

MAIL = b"From: a@x.test\r\nTo: b@y.test\r\nSubject: Hi\r\n\r\nHello\r\n.dot\r\n"
SECRET = "sesame"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A folder with a certificate for localhost, and the authority behind it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


class Handler:
    """Takes mail, and says what it is told to say."""

    def __init__(self):
        self.taken, self.sessions = [], set()
        self.rcpt, self.data, self.cut = {}, "250 OK", False
        self.transports = []

    async def handle_EHLO(  # noqa: N802  (aiosmtpd's name)
        self, server, session, envelope, hostname, responses
    ):
        self.transports.append(server.transport)
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, server, session, envelope, address, options
    ):
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  (aiosmtpd's name)
        self, server, session, envelope
    ):
        if self.cut:
            self.taken.append(envelope)
            server.transport.abort()
            return "250 too late"
        if self.data.startswith("2"):
            self.taken.append(envelope)
            self.sessions.add(session.peer)
        return self.data


def log_in(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == SECRET.encode(), handled=False)


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def serve(handler, certificate):
    running = []

    def start(security, *, utf8=True):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate / "server.pem")
        options = {"authenticator": log_in, "enable_SMTPUTF8": utf8}
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        else:
            options |= {"auth_require_tls": False}
        controller = Controller(
            handler,
            hostname="127.0.0.1",
            port=free_port(),
            ssl_context=context if security == "tls" else None,
            **options,
        )
        controller.start()
        running.append(controller)
        return RelayServer("localhost", controller.port, security, "me", SECRET)

    yield start
    for item in running:
        for transport in handler.transports:
            item.loop.call_soon_threadsafe(transport.abort)
        item.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def relay(certificate, serve):
    made = SmtpRelay(allow_loopback=True, ca_file=certificate / "authority.pem")
    yield made
    made.close()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_mail_arrives_as_it_is_over_a_reused_connection(
    relay, serve, handler, security
):
    server = serve(security)
    for number in range(5):
        relay.send(server, "a@x.test", [f"b{number}@y.test"], [MAIL[:40], MAIL[40:]])
    assert [item.rcpt_tos for item in handler.taken] == [
        [f"b{number}@y.test"] for number in range(5)
    ]
    assert {item.content for item in handler.taken} == {MAIL}
    assert message_from_bytes(MAIL, policy=policy.default)["Subject"] == "Hi"
    assert len(handler.sessions) == 1


def test_a_certificate_that_nobody_vouches_for_gets_no_password(serve, handler):
    server = serve("starttls")
    with pytest.raises(Permanent, match="certificate"):
        SmtpRelay(allow_loopback=True).send(server, "a@x.test", ["b@y.test"], [MAIL])
    assert handler.taken == []


def test_a_wrong_password_is_permanent(relay, serve, handler):
    good = serve("starttls")
    bad = RelayServer(good.host, good.port, good.security, "me", "wrong")
    with pytest.raises(Permanent) as caught:
        relay.send(bad, "a@x.test", ["b@y.test"], [MAIL])
    assert "wrong" not in str(caught.value)
    assert SECRET not in repr(good)


@pytest.mark.parametrize(
    ("answer", "error"),
    [("450 4.2.1 busy b@y.test", Transient), ("550 5.1.1 no b@y.test", Permanent)],
)
def test_a_refused_recipient_refuses_the_whole(relay, serve, handler, answer, error):
    server = serve("starttls")
    handler.rcpt["b@y.test"] = answer
    with pytest.raises(error) as caught:
        relay.send(server, "a@x.test", ["c@y.test", "b@y.test"], [MAIL])
    assert handler.taken == []
    assert "@" not in str(caught.value)
    relay.send(server, "a@x.test", ["c@y.test"], [MAIL])
    assert len(handler.taken) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [("451 4.3.0 later", Transient), ("554 5.7.1 spam", Permanent)]
)
def test_the_answer_to_the_mail_counts(relay, serve, handler, answer, error):
    server = serve("starttls")
    handler.data = answer
    with pytest.raises(error):
        relay.send(server, "a@x.test", ["b@y.test"], [MAIL])
    assert handler.taken == []


def test_a_connection_that_breaks_after_the_mail_leaves_doubt(relay, serve, handler):
    server = serve("starttls")
    handler.cut = True
    began = []
    with pytest.raises(FateUnknown):
        relay.send(
            server, "a@x.test", ["b@y.test"], [MAIL], begin=lambda: began.append(1)
        )
    assert (len(handler.taken), began) == (1, [1])


def test_a_mail_that_cannot_be_read_to_its_end_is_not_sent(relay, serve, handler):
    server = serve("starttls")

    def broken():
        yield MAIL
        raise Transient

    with pytest.raises(Transient):
        relay.send(server, "a@x.test", ["b@y.test"], broken())
    assert handler.taken == []


def test_a_kept_connection_that_has_died_is_replaced(relay, serve, handler):
    server = serve("starttls")
    relay.send(server, "a@x.test", ["b@y.test"], [MAIL])
    relay._idle[0].smtp.abort()
    relay.send(server, "a@x.test", ["b@y.test"], [MAIL])
    assert len(handler.taken) == 2


def test_nobody_there_is_passing(relay):
    server = RelayServer("localhost", free_port(), "starttls")
    with pytest.raises(Transient):
        relay.send(server, "a@x.test", ["b@y.test"], [MAIL])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "169.254.169.254",
        "fe80::1",
        "::ffff:127.0.0.1",
        "224.0.0.1",
    ],
)
def test_threats_13_no_way_to_this_machine_or_the_metadata_server(host):
    began = []
    with pytest.raises(Permanent):
        SmtpRelay().send(
            RelayServer(host, 25, "none"),
            "a@x.test",
            ["b@y.test"],
            [MAIL],
            began.append,
        )
    assert began == []


PRIVATE = [
    *("10.0.0.5", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1"),
    *("fd00::1", "::ffff:10.0.0.5", "64:ff9b::a00:5", "2002:a00:5::1", "192.0.2.1"),
]


@pytest.mark.parametrize("host", PRIVATE)
def test_threats_13_no_way_into_a_private_network_unless_the_deployment_wants_it(host):
    server = RelayServer(host, 25, "none")
    with pytest.raises(Permanent, match="address"):
        SmtpRelay()._resolve(server)
    with pytest.raises(Permanent, match="address"):
        SmtpRelay(allow_loopback=True)._resolve(server)
    address, loopback = SmtpRelay(allow_private=True)._resolve(server)
    assert (ipaddress.ip_address(address).is_global, loopback) == (False, False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"]
)
def test_threats_13_allowing_private_networks_opens_nothing_else(host):
    with pytest.raises(Permanent):
        SmtpRelay(allow_private=True)._resolve(RelayServer(host, 25, "none"))


def test_a_public_address_may_be_used():
    assert SmtpRelay()._resolve(RelayServer("8.8.8.8", 25, "tls")) == ("8.8.8.8", False)


def test_a_password_never_crosses_an_open_connection():
    server = RelayServer("8.8.8.8", 25, "none", "me", SECRET)
    with pytest.raises(Permanent, match="password"):
        SmtpRelay().send(server, "a@x.test", ["b@y.test"], [MAIL])


def test_addresses_beyond_ascii_need_a_server_that_takes_them(relay, serve, handler):
    server = serve("starttls", utf8=False)
    with pytest.raises(Permanent, match="ASCII"):
        relay.send(server, "a@x.test", ["jörg@y.test"], [MAIL])
    relay.send(serve("starttls"), "a@x.test", ["jörg@y.test"], [MAIL])
    assert handler.taken[0].rcpt_tos == ["jörg@y.test"]
