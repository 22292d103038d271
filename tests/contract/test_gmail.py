"""The Gmail gateway: the real client against the Gmail simulator."""

from __future__ import annotations

import base64
import io
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httplib2
import pytest

from gmail_simulator import GmailWorld, InProcessHttp, create_app
from shared.core.ids import GmailMessageId, HistoryId
from shared.core.mail import Content, MessageHeaders
from shared.errors import (
    GmailNotFound,
    HistoryExpired,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    Transient,
)
from shared.gateways.gmail import GmailMailbox
from shared.gateways.gmail_connections import open_http
from shared.gateways.gmail_http import Authorised
from shared.ports import Gmail

ANN = "ann@acme.test"
TOPIC = "projects/p/topics/gmail-notifications"
READ_AND_COMPOSE = (
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/gmail.compose",
)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Tokens:
    """Hands out access tokens and notes when a new one was asked for."""

    def __init__(self, world: GmailWorld) -> None:
        self.world = world
        self.asked: list[bool] = []
        self.current = world.grant(ANN, READ_AND_COMPOSE).access_token

    def __call__(self, refused: bool) -> str:
        self.asked.append(refused)
        if refused:
            self.current = self.world.grant(ANN, READ_AND_COMPOSE).access_token
        return self.current


@pytest.fixture
def world() -> GmailWorld:
    world = GmailWorld(lambda: NOW, 7)
    world.add_account(ANN, "Ann", aliases=["sales@acme.test"])
    return world


@pytest.fixture
def tokens(world: GmailWorld) -> Tokens:
    return Tokens(world)


@pytest.fixture
def gmail(world: GmailWorld, tokens: Tokens) -> Gmail:
    app = create_app(world, validate=True)
    return GmailMailbox(
        tokens,
        endpoint="http://localhost:8025",
        http_factory=lambda _repeatable: InProcessHttp(app, timeout=20),
    )


def mail(
    subject: str = "Hello", text: str = "Body", headers: str = "", to: str = ANN
) -> bytes:
    return (
        f"From: Carla <carla@customer.test>\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@customer.test>\r\nDate: Mon, 23 Nov 2026 08:59:00 +0000\r\n"
        f"{headers}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def arrive(world: GmailWorld, count: int = 1) -> list[GmailMessageId]:
    ids = []
    for number in range(count):
        (delivered,) = world.deliver_from_outside(mail(f"m{number}"), [ANN])
        ids.append(GmailMessageId(delivered.message_id))
    return ids


# --- profile, aliases, watch -----------------------------------------------------


def test_profile_names_the_mailbox_and_its_newest_history(
    world: GmailWorld, gmail: Gmail
) -> None:
    before = gmail.profile()
    arrive(world)
    after = gmail.profile()
    assert before.address == ANN
    assert int(after.history_id) > int(before.history_id)


def test_only_verified_aliases_may_be_sent_from(
    world: GmailWorld, gmail: Gmail
) -> None:
    world.add_alias(ANN, "pending@acme.test", verified=False)
    addresses = [(alias.address, alias.default) for alias in gmail.send_as()]
    assert addresses == [(ANN, True), ("sales@acme.test", False)]


def test_watch_says_where_history_begins_and_when_it_ends(
    world: GmailWorld, gmail: Gmail
) -> None:
    watch = gmail.watch(TOPIC)
    assert watch.expires_at == NOW + timedelta(days=7)
    assert int(watch.history_id) <= int(gmail.profile().history_id)
    gmail.stop()
    gmail.stop()


def test_a_watch_on_another_topic_is_stopped_first(
    world: GmailWorld, gmail: Gmail
) -> None:
    gmail.watch("projects/p/topics/other")
    gmail.watch(TOPIC)
    assert world.calls.count("gmail.users.stop") == 1


def test_a_watch_that_stays_with_another_client_is_permanent() -> None:
    answered = [("400", "Only one user push notification client allowed per developer")]
    refusing = canned(answered * 3, around={"stop": ("204", "")})
    with pytest.raises(Permanent):
        refusing.watch(TOPIC)


def test_a_topic_that_gmail_refuses_is_the_deployments_fault(
    world: GmailWorld, gmail: Gmail
) -> None:
    world.settings.topics = {"projects/p/topics/other"}
    for topic in (TOPIC, "gmail-notifications"):
        with pytest.raises(Misconfigured):
            gmail.watch(topic)


# --- history ---------------------------------------------------------------------


def test_history_tells_what_was_added_with_its_labels(
    world: GmailWorld, gmail: Gmail
) -> None:
    start = gmail.profile().history_id
    (message,) = arrive(world)
    page = gmail.history(start)
    (entry,) = page.entries
    assert (entry.gmail_message_id, entry.kind) == (message, "added")
    assert {"INBOX", "UNREAD"} <= entry.labels
    assert page.history_id == gmail.profile().history_id
    assert page.newest_record == entry.history_id
    assert int(start) < int(entry.history_id) <= int(page.history_id)


def test_history_tells_which_labels_came_and_went(
    world: GmailWorld, gmail: Gmail
) -> None:
    (message,) = arrive(world)
    start = gmail.profile().history_id
    mailbox = world.account(ANN).mailbox
    mailbox.change_labels(mailbox.messages[message], add=["SPAM"], remove=["INBOX"])
    kinds = {entry.kind: entry for entry in gmail.history(start).entries}
    assert kinds["labels_added"].labels == {"SPAM"}
    assert kinds["labels_removed"].labels == {"INBOX"}
    assert {entry.gmail_message_id for entry in kinds.values()} == {message}


def test_a_page_without_history_is_fine(gmail: Gmail) -> None:
    page = gmail.history(gmail.profile().history_id)
    assert page.entries == ()
    assert page.newest_record is None
    assert page.next_page_token is None


def test_all_pages_together_hold_every_message_once(
    world: GmailWorld, gmail: Gmail
) -> None:
    start = gmail.profile().history_id
    ids = arrive(world, 620)
    seen: list[GmailMessageId] = []
    token: str | None = None
    pages = 0
    while pages == 0 or token is not None:
        page = gmail.history(start, token)
        seen += [entry.gmail_message_id for entry in page.entries]
        token = page.next_page_token
        pages += 1
    assert sorted(seen) == sorted(ids)
    assert pages > 1


def test_expired_history_says_so(world: GmailWorld, gmail: Gmail) -> None:
    start = gmail.profile().history_id
    arrive(world)
    world.expire_history(ANN)
    with pytest.raises(HistoryExpired):
        gmail.history(start)


def test_history_ids_beyond_64_bits_and_numbers_on_the_wire() -> None:
    huge = "99999999999999999999999"
    body = (
        f'{{"historyId": {huge}, "history": [{{"id": {huge}, "messagesDeleted": []}}, '
        f'{{"id": "7", "messagesAdded": [{{"message": {{"id": "m"}}}}]}}]}}'
    )
    page = canned([("200", body)]).history(HistoryId("1"))
    assert (page.history_id, page.newest_record) == (huge, huge)
    assert [entry.labels for entry in page.entries] == [frozenset()]


# --- reading messages ------------------------------------------------------------


def test_headers_are_read_in_one_batch_and_bring_no_body(
    world: GmailWorld, gmail: Gmail
) -> None:
    ids = arrive(world, 25)
    found = gmail.headers(ids)
    assert list(found) == ids
    subjects = [h.subject for h in found.values() if isinstance(h, MessageHeaders)]
    assert subjects == [f"m{number}" for number in range(25)]
    assert world.calls.count("gmail.users.messages.get") == 25


def test_more_than_25_messages_take_several_batches(
    world: GmailWorld, tokens: Tokens
) -> None:
    app = create_app(world)
    batches: list[str] = []

    class Counting(InProcessHttp):
        def request(self, uri: str, *args: Any, **kwargs: Any) -> Any:
            batches.append(uri)
            return super().request(uri, *args, **kwargs)

    gmail = GmailMailbox(
        tokens,
        endpoint="http://localhost:8025",
        http_factory=lambda _repeatable: Counting(app),
    )
    ids = arrive(world, 51)
    assert list(gmail.headers([*ids, ids[0]])) == ids
    assert batches == ["http://localhost:8025/batch"] * 3


def test_reading_nothing_asks_nothing(world: GmailWorld, gmail: Gmail) -> None:
    assert gmail.headers([]) == {}
    assert gmail.contents([]) == {}
    assert len(world.calls) == 0


def test_contents_hold_the_body(world: GmailWorld, gmail: Gmail) -> None:
    (delivered,) = world.deliver_from_outside(mail(text="Grüße"), [ANN])
    message = GmailMessageId(delivered.message_id)
    content = gmail.contents([message])[message]
    assert isinstance(content, Content)
    assert content.text is not None
    assert content.text.strip() == "Grüße"


NAMED_BODY = (
    b"From: carla@client.example\r\nTo: ann@acme.test\r\nSubject: Order\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b'Content-Disposition: inline; filename="sapform.htm"\r\n\r\n'
    b"<p>Order 4711 Gr\xc3\xbc\xc3\x9fe"
)


def test_m16_a_body_with_a_file_name_is_fetched_as_the_body(
    world: GmailWorld, gmail: Gmail
) -> None:
    (delivered,) = world.deliver_from_outside(NAMED_BODY, [ANN])
    message = GmailMessageId(delivered.message_id)
    content = gmail.contents([message])[message]
    assert isinstance(content, Content)
    assert (content.html or "").strip() == "<p>Order 4711 Grüße"
    assert content.attachments == ()
    assert world.calls.count("gmail.users.messages.attachments.get") == 1


@pytest.mark.parametrize(
    ("fault", "error"), [("vanish", GmailNotFound), ("401", NeedsReauth)]
)
def test_a_body_that_cannot_be_fetched_fails_alone_or_tells_the_mailbox(
    world: GmailWorld,
    gmail: Gmail,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    error: type[Exception],
) -> None:
    (delivered,) = world.deliver_from_outside(NAMED_BODY, [ANN])
    message = GmailMessageId(delivered.message_id)

    def refuse(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr(gmail, "attachment", refuse)
    if fault == "vanish":
        assert isinstance(gmail.contents([message])[message], error)
    else:
        with pytest.raises(error):
            gmail.contents([message])


def test_a_vanished_message_fails_alone(world: GmailWorld, gmail: Gmail) -> None:
    ids = arrive(world, 3)
    world.faults.add("vanish", message_id=ids[1])
    found = gmail.headers(ids)
    assert isinstance(found[ids[1]], GmailNotFound)
    assert isinstance(found[ids[0]], MessageHeaders)
    assert isinstance(found[ids[2]], MessageHeaders)
    assert world.calls.count("gmail.users.messages.get") == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_part_that_failed_in_passing_is_asked_again_alone(
    world: GmailWorld, gmail: Gmail, status: int
) -> None:
    ids = arrive(world, 3)
    world.faults.add(
        "status",
        method="gmail.users.messages.get",
        message_id=ids[1],
        status=status,
        count=1,
    )
    assert all(
        isinstance(header, MessageHeaders) for header in gmail.headers(ids).values()
    )
    assert world.calls.count("gmail.users.messages.get") == 4


def test_a_part_that_keeps_failing_keeps_its_error_and_is_not_asked_for_ever(
    world: GmailWorld, gmail: Gmail
) -> None:
    ids = arrive(world, 3)
    world.faults.add(
        "status", method="gmail.users.messages.get", message_id=ids[1], status=429
    )
    found = gmail.headers(ids)
    assert type(found[ids[1]]) is RateLimited
    assert world.calls.count("gmail.users.messages.get") == 4


def test_a_part_with_a_wait_is_left_to_the_caller(
    world: GmailWorld, gmail: Gmail
) -> None:
    ids = arrive(world, 2)
    world.faults.add(
        "status",
        method="gmail.users.messages.get",
        message_id=ids[1],
        status=429,
        retry_after=30,
    )
    fault = gmail.headers(ids)[ids[1]]
    assert isinstance(fault, RateLimited)
    assert fault.retry_after == 30.0
    assert world.calls.count("gmail.users.messages.get") == 2


def test_what_concerns_the_whole_mailbox_is_raised(
    world: GmailWorld, gmail: Gmail
) -> None:
    ids = arrive(world, 3)
    world.faults.add(
        "status", method="gmail.users.messages.get", status=403, reason="domainPolicy"
    )
    with pytest.raises(NeedsReauth):
        gmail.headers(ids)


def test_a_batch_that_fails_as_a_whole_is_transient() -> None:
    for status in ("429", "500", "503"):
        with pytest.raises(Transient):
            canned([(status, "")] * 4).headers([GmailMessageId("a")])


def test_a_later_batch_that_fails_does_not_lose_the_first(
    world: GmailWorld, tokens: Tokens
) -> None:
    app = create_app(world)
    made: list[object] = []

    class Second(InProcessHttp):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            made.append(self)
            if len(made) > 1:
                raise ConnectionResetError
            return super().request(*args, **kwargs)

    gmail = GmailMailbox(
        tokens,
        endpoint="http://localhost:8025",
        http_factory=lambda _repeatable: Second(app),
    )
    ids = arrive(world, 30)
    found = gmail.headers(ids)
    assert [isinstance(item, MessageHeaders) for item in found.values()] == (
        [True] * 25 + [False] * 5
    )
    assert all(isinstance(found[name], Transient) for name in ids[25:])


def test_an_attachment_is_decoded(world: GmailWorld, gmail: Gmail) -> None:
    data = bytes(range(256)) * 40
    raw = (
        b"From: carla@customer.test\r\nTo: ann@acme.test\r\nMessage-ID: <a@x>\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n"
        b'--b\r\nContent-Type: application/pdf; name="a.pdf"\r\n'
        b'Content-Disposition: attachment; filename="a.pdf"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data)
        + b"\r\n--b--\r\n"
    )
    (delivered,) = world.deliver_from_outside(raw, [ANN])
    message = GmailMessageId(delivered.message_id)
    content = gmail.contents([message])[message]
    assert isinstance(content, Content)
    (part,) = content.attachments
    assert part.gmail_attachment_id is not None
    assert gmail.attachment(message, part.gmail_attachment_id) == data


def test_an_attachment_of_a_vanished_message_has_vanished(gmail: Gmail) -> None:
    with pytest.raises((GmailNotFound, Permanent)):
        gmail.attachment(GmailMessageId("18c0ffee00000000"), "none")


def test_messages_are_listed_in_pages_without_spam_and_trash(
    world: GmailWorld, gmail: Gmail
) -> None:
    ids = arrive(world, 510)
    world.deliver_from_outside(mail("spam"), [ANN], spam=True)
    first = gmail.list_messages("")
    assert first.next_page_token is not None
    second = gmail.list_messages("", first.next_page_token)
    assert second.next_page_token is None
    listed = first.gmail_message_ids + second.gmail_message_ids
    assert sorted(listed) == sorted(ids)
    assert gmail.list_messages("subject:nothing-like-it").gmail_message_ids == ()


# --- tokens ----------------------------------------------------------------------


def test_a_refused_token_is_replaced_once(
    world: GmailWorld, gmail: Gmail, tokens: Tokens
) -> None:
    world.oauth.expire_access_tokens(world.account(ANN))
    assert gmail.profile().address == ANN
    assert tokens.asked == [False, True]


def test_a_refused_token_is_replaced_for_a_batch_too(
    world: GmailWorld, gmail: Gmail, tokens: Tokens
) -> None:
    ids = arrive(world, 2)
    world.oauth.expire_access_tokens(world.account(ANN))
    assert all(
        isinstance(header, MessageHeaders) for header in gmail.headers(ids).values()
    )
    assert tokens.asked == [False, True]


def test_a_token_refused_twice_needs_the_owner(
    world: GmailWorld, gmail: Gmail, tokens: Tokens
) -> None:
    world.faults.add("status", method="gmail.*", status=401)
    with pytest.raises(NeedsReauth):
        gmail.profile()
    with pytest.raises(NeedsReauth):
        gmail.headers(arrive(world, 2))
    assert tokens.asked == [False, True] * 2


def test_an_error_of_the_token_source_comes_through() -> None:
    def ended(_refused: bool) -> str:
        raise NeedsReauth

    gmail = GmailMailbox(ended, http_factory=lambda _repeatable: Canned([], {}))
    with pytest.raises(NeedsReauth):
        gmail.profile()
    with pytest.raises(NeedsReauth):
        gmail.headers([GmailMessageId("a")])


def test_no_token_is_in_a_repr(tokens: Tokens) -> None:
    carrier = Authorised(open_http(repeatable=False), tokens)
    for thing in (carrier, carrier.credentials, GmailMailbox(tokens)):
        assert tokens.current not in repr(thing)


# --- faults ----------------------------------------------------------------------

READS: list[Callable[[Gmail], object]] = [
    lambda gmail: gmail.profile(),
    lambda gmail: gmail.send_as(),
    lambda gmail: gmail.watch(TOPIC),
    lambda gmail: gmail.stop(),
    lambda gmail: gmail.history(HistoryId("1")),
    lambda gmail: gmail.headers([GmailMessageId("a")]),
    lambda gmail: gmail.contents([GmailMessageId("a")]),
    lambda gmail: gmail.attachment(GmailMessageId("a"), "b"),
    lambda gmail: gmail.list_messages("x"),
]


class Canned:
    """Answers with what it was given, in order; `around` answers certain paths."""

    def __init__(self, answers: list[Any], around: dict[str, tuple[str, str]]) -> None:
        self.answers, self.around = answers, around

    def request(self, uri: str, *_args: Any, **_kwargs: Any) -> Any:
        for end, answer in self.around.items():
            if uri.split("?", maxsplit=1)[0].endswith(end):
                return httplib2.Response({"status": answer[0]}), answer[1].encode()
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        status, body = answer
        if not body.startswith("{") and status.startswith("4") and body:
            body = f'{{"error": {{"code": {status}, "message": "{body}"}}}}'
        return httplib2.Response({"status": status}), body.encode()

    def close(self) -> None:
        pass


def canned(
    answers: list[Any], around: dict[str, tuple[str, str]] | None = None
) -> GmailMailbox:
    carrier = Canned(answers, around or {})
    return GmailMailbox(lambda _refused: "t", http_factory=lambda _repeatable: carrier)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "fault",
    [
        TimeoutError("canary"),
        ConnectionResetError("canary"),
        socket.gaierror("canary"),
        httplib2.ServerNotFoundError("canary"),
        OSError("canary"),
        ("500", "canary"),
        ("502", "<html>canary</html>"),
        ("503", ""),
    ],
    ids=repr,
)
def test_outages_are_transient(read: Callable[[Gmail], object], fault: Any) -> None:
    with pytest.raises(Transient) as raised:
        read(canned([fault] * 4))
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_s8_what_gmail_said_comes_with_the_error_and_not_in_its_message() -> None:
    with pytest.raises(Permanent) as raised:
        canned([("400", "Invalid To header")]).create_draft(io.BytesIO(b"x"), None)
    assert raised.value.said == "Invalid To header"
    assert "To header" not in str(raised.value)


@pytest.mark.parametrize("read", [read for at, read in enumerate(READS) if at != 3])
@pytest.mark.parametrize("body", ["{cut", "[1]", '"text"', "\xff"])
def test_garbled_answers_are_transient_or_empty(
    read: Callable[[Gmail], object], body: str
) -> None:
    with pytest.raises(Transient):
        read(canned([("200", body)] * 4))


@pytest.mark.parametrize("read", READS)
def test_nothing_is_repeated_blindly(read: Callable[[Gmail], object]) -> None:
    """One request, whatever becomes of it (`num_retries` would repeat a send)."""
    answers: list[Any] = [ConnectionResetError()] * 4
    with pytest.raises(Transient):
        read(canned(answers))
    assert len(answers) == 3


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"historyId": "x"}',
        '{"historyId": true}',
        '{"historyId": "1", "history": 5}',
        '{"historyId": "1", "history": [{"messagesAdded": [{}]}]}',
        '{"historyId": "1", "history": [{"id": "1", "messagesAdded": [{}]}]}',
        '{"historyId": "1", "history": [{"id": "1", "labelsAdded": [{"message": {}}]}]}',
    ],
)
def test_history_without_what_the_api_promises_is_transient(body: str) -> None:
    """A cursor is never taken from an answer that lost a part on its way."""
    with pytest.raises(Transient):
        canned([("200", body)]).history(HistoryId("1"))


@pytest.mark.parametrize("body", ["{}", '{"historyId": "1", "expiration": "9e9"}'])
def test_a_watch_without_an_expiry_is_transient(body: str) -> None:
    with pytest.raises(Transient):
        canned([("200", body)]).watch(TOPIC)


def test_an_attachment_that_is_no_base64_is_transient() -> None:
    with pytest.raises(Transient):
        canned([("200", '{"data": "a"}')]).attachment(GmailMessageId("a"), "b")
    assert canned([("200", "{}")]).attachment(GmailMessageId("a"), "b") == b""


@pytest.mark.parametrize(
    "endpoint", ["http://gmail.example.com", "ftp://x", "gmail", "https://u:p@x", ""]
)
def test_an_endpoint_that_would_leak_tokens_is_refused(endpoint: str) -> None:
    with pytest.raises(Misconfigured):
        GmailMailbox(lambda _refused: "t", endpoint=endpoint)
