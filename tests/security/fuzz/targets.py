"""What is fuzzed: parsers of what strangers write, each with what must always hold.

A target takes bytes and raises for a finding. Besides "it raises nothing": outputs are
bounded by inputs, normal forms are stable, nothing active is left, only the documented
error comes out; and for a part of the inputs (`costs_linear`) that the work grows with
the length only.

Longer than other modules: whatever strangers can reach is read on one page.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import FrameType
from typing import Any
from unittest.mock import patch

from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from functions import push
from functions.http import multipart, reading_bodies
from functions.schedule import Job
from shared.core.limits import (
    MAX_BODY_BYTES,
    MAX_FILENAME_CHARS,
    MAX_MESSAGE_ID_CHARS,
    MAX_MIME_PARTS,
    MAX_NAME_CHARS,
    MAX_REFERENCES,
    MAX_SUBJECT_CHARS,
    SNIPPET_CHARS,
)
from shared.core.mail import Address
from shared.core.parsing import (
    address,
    authentication,
    gmail_message,
    headers,
    mime_parameters,
    plain_text,
    sanitise,
)
from shared.core.parsing.authentication_results import read_results
from shared.core.sending.provider_hosts import host_to_connect, usable
from shared.core.syncing import dead_letters
from shared.core.syncing.work import work_from
from shared.errors import Malformed, Permanent
from shared.gateways.smtp import SmtpRelay
from shared.ports import RelayServer
from shared.services.sending.outbound_work import OutboundWork
from shared.services.syncing.sync import MailboxChanged
from tests.security.fuzz import api_bodies
from tests.security.html_audit import wrongs


@dataclass(frozen=True)
class Target:
    """One parser. `seeds` are where it begins, `words` what it is made of."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...]


def text_of(data: bytes) -> str:
    """Any text; what is no UTF-8 becomes lone surrogates, as in broken JSON."""
    return data.decode("utf-8", "surrogateescape")


# --- what must hold -------------------------------------------------------------------


def addresses(data: bytes) -> None:
    """Every address found is its own normal form, and is read back as written."""
    text = text_of(data)
    found = address.parse_list([text])
    assert sum(len(item.address) for item in found) <= 4 * len(text) + 320
    for item in found:
        assert address.normalise(item.address) == item.address
        assert item.name is None or len(item.name) <= MAX_NAME_CHARS
        if "=?" not in (item.name or ""):
            assert address.parse_list([address.format_address(item)]) == (item,)
    sender = address.parse_sender([text])
    # Of a list nothing is guessed; a sender's name may be written as it likes, and a
    # word like `sales@acme`, which has no domain of the Internet, is part of a name.
    full = {item.address for item in found if "." in item.address.partition("@")[2]}
    assert sender is None or full <= {sender.address}
    entry = address.normalise_entry(text)
    assert entry is None or address.normalise_entry(entry) == entry


def header_values(data: bytes) -> None:
    """Text on one line, ids in brackets, a date or none."""
    text = text_of(data)
    subject = headers.subject_text(text)
    assert len(subject) <= MAX_SUBJECT_CHARS
    assert plain_text.one_line(subject) == subject
    assert len(headers.decode_words(text)) <= 2 * len(text) + 16
    ids = headers.message_ids([text])
    assert len(ids) <= MAX_REFERENCES
    assert headers.message_ids([" ".join(ids)]) == ids
    assert all(len(message_id) <= MAX_MESSAGE_ID_CHARS for message_id in ids)
    date = headers.parse_date(text)
    assert date is None or isinstance(date, int)
    headers.is_forward_subject(subject)
    headers.is_automated([("Auto-Submitted", text), ("Precedence", text)])


def authentication_results(data: bytes) -> None:
    """What the sender chose, in quotes or a comment, never makes a pass."""
    text = text_of(data)
    sender = Address(None, "a@ours.example")

    def verdict(value: str) -> str:
        return authentication.authenticity([("Authentication-Results", value)], sender)

    read_results(text)
    verdict(text)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert verdict(f'mx.google.com; spf=none smtp.mailfrom="{quoted}"@x') != "pass"
    inside = text.translate({ord(char): None for char in '()\\"'})
    assert verdict(f"mx.google.com; spf=none ({inside})") != "pass"
    assert verdict(f"{inside.replace(';', '')}x; dmarc=pass") != "pass"


def gmail_messages(data: bytes) -> None:
    """A tree of parts in bounds; only Gmail's own mistakes are errors."""
    resource = tree_of(data)
    read = gmail_message.headers_of(resource)
    assert read.rfc822_message_id is None or read.rfc822_message_id.startswith("<")
    content = gmail_message.content_of(resource)
    assert len(content.snippet) <= SNIPPET_CHARS
    assert len(content.attachments) <= MAX_MIME_PARTS
    for text in (content.text, content.html):
        assert len(text or "") <= MAX_BODY_BYTES + MAX_MIME_PARTS
    for attachment in content.attachments:
        assert len(attachment.filename or "") <= MAX_FILENAME_CHARS
    # What is no JSON object at all, the client library refuses.
    with suppress(ValueError, RecursionError, Malformed):
        given = json.loads(data)
        if isinstance(given, dict):
            gmail_message.headers_of(given)
            gmail_message.content_of(given)


def html(data: bytes) -> None:
    """Nothing active in what is shown, not even after another round."""
    text = text_of(data)
    shown = sanitise.safe_html(text)
    assert wrongs(shown) == []
    assert wrongs(sanitise.safe_html(shown)) == []
    assert len(sanitise.text_from_html(text)) <= 2 * len(text) + 16
    assert len(sanitise.text_from_html(text, 10)) <= 10


def parameters(data: bytes) -> None:
    """Bounded values by lower-case names; file names that no system trips over."""
    text = text_of(data)
    found = mime_parameters.parameters(text)
    assert sum(map(len, found.values())) <= 4 * len(text) + 16
    for name, value in found.items():
        assert name == name.lower()
        file = plain_text.safe_filename(value)
        assert file is None or plain_text.safe_filename(file) == file
        assert not set(file or "") & set('\\/:*?"<>|\r\n\0')
    mime_parameters.main_value(text)


def pushes(data: bytes) -> None:
    """Any body, any payload: an event or Malformed."""
    for body in (data, envelope(data)):
        request = Request(EnvironBuilder(method="POST", data=body).get_environ())
        try:
            event, _ = push._event(request)  # type: ignore[arg-type]
        except Malformed:
            continue
        for decode in (
            MailboxChanged.from_push,
            OutboundWork.from_push,
            Job.from_push,
            lambda event: work_from(event.data),
        ):
            try:
                decode(event)
            except Malformed:
                continue
        dead_letters.read(event.data, event.attributes, event.subscription)


def provider_hosts(data: bytes) -> None:
    """Whatever the host is called: its address is one of the open internet."""
    server = RelayServer(text_of(data), 25, "none")
    try:
        with patch("socket.getaddrinfo", numeric_only):
            found, loopback = SmtpRelay()._resolve(server)
    except (Permanent, OSError, UnicodeError, ValueError):
        return
    assert not loopback
    assert ip_address(found).is_global, found


GETADDRINFO = socket.getaddrinfo


def numeric_only(host: str, port: int, **more: Any) -> Any:
    """Read addresses, in all their forms; ask no server for names."""
    return GETADDRINFO(host, port, flags=socket.AI_NUMERICHOST, **more)


# --- inputs ---------------------------------------------------------------------------


def envelope(payload: bytes) -> bytes:
    """A push of this payload."""
    message = {"data": base64.b64encode(payload).decode(), "messageId": "1"}
    return json.dumps({"message": message, "subscription": "s"}).encode()


KINDS = ("text/plain", "text/html", "multipart/alternative", "message/rfc822", "a/b")
NAMES = ("Content-Type", "Content-Disposition", "Content-ID", "From", "Subject")


def tree_of(data: bytes) -> dict[str, Any]:
    """A message resource: lines of an instruction and a text, one part each.

    `+` goes down into the part, `-` up, a digit chooses the kind of part, a letter the
    header that the text becomes.
    """
    root: dict[str, Any] = {"mimeType": "multipart/mixed", "parts": [], "headers": []}
    above, here = [root], root
    for line in data.split(b"\n"):
        order, text = line[:1], text_of(line[1:])
        if order == b"+" and len(above) < 2000:
            above.append(here)
        elif order == b"-" and len(above) > 1:
            above.pop()
        elif order.isalpha():
            name = NAMES[order[0] % len(NAMES)]
            here["headers"].append({"name": name, "value": text})
        else:
            kind = KINDS[(order or b"\0")[0] % len(KINDS)]
            encoded = base64.urlsafe_b64encode(line[1:]).decode()
            here = {"mimeType": kind, "filename": text[:9], "parts": [], "headers": []}
            here["body"] = {"data": encoded, "size": len(text)}
            above[-1]["parts"].append(here)
    ids = {"id": "m", "threadId": "t", "internalDate": "1"}
    return {**ids, "labelIds": ["INBOX"], "payload": root}


# --- the work grows with the length only ----------------------------------------------

_OURS = re.compile(r"(?<!/tests)/(?:shared|functions)/")
SHORT, LONG = 1_024, 8_192
EVERY = 512


def costs_linear(check: Callable[[bytes], None], data: bytes) -> None:
    """Repeat the input to two lengths and compare the lines of our code that ran.

    For one input of many, chosen by its digest: a replay chooses the same. Counted, not
    timed; what a regular expression does inside is left to the fuzzer's timeout.
    """
    if not data or zlib.crc32(data) % EVERY:
        return
    short, long = (
        lines_run(lambda size=size: check((data * (size // len(data) + 1))[:size]))
        for size in (SHORT, LONG)
    )
    assert long <= (LONG // SHORT) * 2 * short + 20_000, (short, long)


def lines_run(work: Callable[[], None]) -> int:
    """How many lines of the product run in this."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call" and not _OURS.search(frame.f_code.co_filename):
            return None
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


TARGETS: Mapping[str, Target] = {
    "address": Target(
        addresses,
        (
            b'"Doe, J." <a@x.example>, b@y.example (c)',
            b"team: a@x.example, B <b@x.example>;",
            b"=?utf-8?Q?J=C3=B6rg?= <@r:j@x.example>",
            '"a b"@bücher.example'.encode(),
        ),
        ("<", ">", "@", '"', "(", ")", "\\", ",", ";", ":", "=?", "?=", "[", "]", ".."),
    ),
    "header": Target(
        header_values,
        (
            b"=?iso-2022-jp?B?GyRCJEIbKEI=?= =?utf-8?q?=C3=BC?=",
            b"<a@b> <c@d>\r\n <e@f>",
            b"Mon, 2 Mar 2026 23:59:60 -0000 (UTC)",
            b"[Fwd: x]",
        ),
        ("=?", "?=", "?Q?", "?B?", "utf-7", "hz", "<", ">", "@", "Fwd:", "+0100"),
    ),
    "authentication": Target(
        authentication_results,
        (
            b"mx.google.com; dkim=pass header.i=@ours.example; dmarc=pass header.from=ours.example",
            b'mx.google.com; spf=none (x) smtp.mailfrom="a;b"@x; dmarc=fail',
        ),
        (
            "; dmarc=pass header.from=ours.example",
            "dkim=pass",
            "header.d=",
            '"',
            "(",
            ")",
            "\\",
            ";",
            "mx.google.com",
            " header.from=ours.example",
        ),
    ),
    "gmail": Target(
        gmail_messages,
        (
            b"2\n+\n0Hello\n1<p>Hi</p>\nKimage/png; name=x\n-\n4x",
            b'{"id":"m","threadId":"t","internalDate":"1","payload":{"headers":[]}}',
            b"3\n+\n2\n+\n0a\nAtext/plain; charset=utf-16",
        ),
        ("\n+\n", "\n-\n", "\n0", "\n1", "\nA", "charset=", "attachment", '{"parts":['),
    ),
    "html": Target(
        html,
        (
            b"<p style='color:red'>x<a href=https://x.test>y</a><img src=cid:a>",
            b"<svg><style><img src=x onerror=alert(1)></style></svg>",
            b'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;">',
            b"<table><td><b><a href=javascript:x>",
        ),
        (
            "<svg>",
            "<math>",
            "<style>",
            "</style>",
            "<!--",
            "-->",
            "<a href=",
            "<table>",
            "<template>",
            "<noscript>",
            " onerror=",
            "javascript:",
            "style='",
            "&#x",
            "<b ",
        ),
    ),
    "parameters": Target(
        parameters,
        (
            b"attachment; filename=\"a.txt\"; filename*=utf-8''%C3%BC.txt",
            b"text/plain; name*0*=iso-8859-1'en'a; name*1=b; charset=utf-8",
        ),
        (";", "*0*=", "*1=", "''", "%", '"', "\\", "filename", "=?utf-8?q?", "../"),
    ),
    "push": Target(
        pushes,
        (
            envelope(b'{"emailAddress":"a@x.example","historyId":7}'),
            b'{"kind":"sync","mailbox":"b"}',
            b'{"job":"sweep","silent_for":5}',
            b'{"subaccount":"s","message":"m"}',
        ),
        (
            '"message":',
            '"data":',
            '"messageId":',
            '"attributes":',
            "null",
            "[[",
            "1e999",
        ),
    ),
    "form": Target(
        api_bodies.forms,
        (
            (
                b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
                b'{"kind":"individual","user":"u"}\r\n--x\r\nContent-Disposition: '
                b'form-data; name="attachment"; filename="a.txt"\r\nContent-Type: '
                b"text/plain\r\nContent-ID: <i@x>\r\n\r\nHello\r\n--x--\r\n"
            ),
            (
                b'"y z"\n--y z\r\nContent-Disposition: form-data; name=message'
                b"\r\n\r\n{}\r\n--y z--"
            ),
        ),
        (
            *("\r\n", "--x", "--", "form-data", "name=", "filename*=utf-8''%0d"),
            *("message", "attachment", "Content-Type:", "Content-Transfer-Encoding:"),
        ),
    ),
    "rows": Target(
        api_bodies.rows,
        (
            b'{"id":"c","name":"C","emails":["c@x.example"],"assigned_to":null}\n\n[]',
            b'{"id":"c","id":"d","created_at":"2026-01-01T00:00:00Z"}\r\n{"name":NaN}',
        ),
        ('"emails":', '"created_at":', "\\ud800", "\n", "1e999", "[[", "null", "{}"),
    ),
    "provider": Target(
        provider_hosts,
        (b"127.0.0.1", b"[::1]", b"0x7f.1", b"2130706433", b"::ffff:169.254.169.254"),
        ("::", "ffff:", "127.", "169.254.", "0.0.0.0", "%", "017", "localhost", "."),
    ),
}
"""By name. A new one is a row here."""


GUIDES: tuple[Any, ...] = (
    push._event,
    MailboxChanged.from_push.__func__,  # type: ignore[attr-defined]
    OutboundWork.from_push.__func__,  # type: ignore[attr-defined]
    Job.from_push.__func__,  # type: ignore[attr-defined]
    SmtpRelay._resolve,
    host_to_connect,
    usable,
    api_bodies.forms,
    multipart._parts,
    multipart._upload,
    multipart._events,
    MultipartDecoder.next_event,
    MultipartDecoder._parse_headers,
    MultipartDecoder._parse_data,
    reading_bodies._lines,
    reading_bodies.lines_of,
    reading_bodies._errors,
    reading_bodies._say,
)
"""Functions outside the core that lead the fuzzer as well."""


def check(name: str, data: bytes) -> None:
    """Run one target on one input; raises for a finding."""
    target = TARGETS[name]
    target.check(data)
    costs_linear(target.check, data)
