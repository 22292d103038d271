"""Mail that is made to cost: through the whole inbound path, once, in bounds.

Each bomb ends recorded in part or set aside; the good mail behind it is recorded in the
same run, and the work is counted in calls and bytes, not in seconds.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import SubaccountId
from tests.security.deployment import Deployment
from tests.support.sending import CARLA, MIA
from tools.metered import MeteredDocuments

MIB = 1024 * 1024
Bomb = Callable[[Deployment], bytes]


def head(deployment: Deployment, to: str = MIA, **headers: str) -> EmailMessage:
    return deployment.mail(CARLA, to, "Bomb", headers=headers)


def body(mail: EmailMessage, raw: bytes, content_type: str) -> bytes:
    """The mail with this body, which no library would write."""
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        del mail[name]
    start = mail.as_bytes().partition(b"\n\n")[0]
    return start + f"\nContent-Type: {content_type}\n\n".encode() + raw


def nested(levels: int) -> Bomb:
    def make(deployment: Deployment) -> bytes:
        opening = b"".join(
            b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1)
            for n in range(levels)
        )
        return body(head(deployment), opening, "multipart/mixed; boundary=b0")

    return make


def many_parts(count: int, part: bytes) -> Bomb:
    def make(deployment: Deployment) -> bytes:
        return body(
            head(deployment), (b"--b\n" + part) * count, "multipart/mixed; boundary=b"
        )

    return make


def letters_within_letters(deployment: Deployment) -> bytes:
    raw = b"Subject: x\nContent-Type: message/rfc822\n\n" * 500
    return body(head(deployment), raw, "message/rfc822")


def text(content: bytes, content_type: str) -> Bomb:
    return lambda deployment: body(head(deployment), content, content_type)


def ten_thousand_recipients(deployment: Deployment) -> bytes:
    everybody = ",\n ".join(f"P{n} <p{n}@many.example>" for n in range(10_000))
    start = head(deployment).as_bytes()
    return start.replace(b"To: ", b"Cc: " + everybody.encode() + b"\nTo: ", 1)


def long_header(name: str, value: str) -> Bomb:
    def make(deployment: Deployment) -> bytes:
        return f"{name}: {value}\n".encode() + head(deployment).as_bytes()

    return make


def attachment(size: int) -> Bomb:
    def make(deployment: Deployment) -> bytes:
        mail = head(deployment)
        mail.add_attachment(bytes(size), "application", "zip", filename="a.zip")
        return mail.as_bytes()

    return make


BOMBS: dict[str, Bomb] = {
    "1,000 levels": nested(1000),
    "mails within mails": letters_within_letters,
    "2,000 empty parts": many_parts(2000, b"\n\n"),
    "250 files": many_parts(
        250, b"Content-Disposition: attachment; filename=a.txt\n\nx\n"
    ),
    "250 texts": many_parts(250, b"Content-Type: text/html\n\n<b><p>x\n"),
    "4 MiB of text": text(b"x " * (2 * MIB), "text/plain; charset=utf-7"),
    "2 MiB of tags": text(b"<b>" * (2 * MIB // 3), "text/html"),
    "html that reopens itself": text(
        b"".join(b"<font size=%d>" % n for n in range(9000)) + b"<p>x" * 9000,
        "text/html",
    ),
    "10,000 recipients": ten_thousand_recipients,
    "references without end": long_header(
        "References", " ".join(f"<{n}@x>" for n in range(20_000))
    ),
    "a comment without end": long_header("Cc", "(" * 60_000),
    "names of encoded words": long_header("Cc", "=?utf-8?q?=41?= " * 9000),
    "8 MiB attached": attachment(8 * MIB),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_dealt_with_once_and_stops_nothing(
    bomb: Bomb, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = Deployment(monkeypatch)
    raw = bomb(deployment)
    deployment.world.deliver_from_outside(raw, [MIA])
    deployment.arrives(CARLA, MIA, "After")
    meter = MeteredDocuments(deployment.outside.documents)
    deployment.outside.documents = meter
    deployment.restart()
    pushes = list(deployment.pushes)

    def work() -> None:
        for push in pushes:  # once each: nothing asks to come again
            assert deployment.deliver(push)
        deployment.pushes.clear()

    peak = memory_of(work)
    calls = deployment.world.calls
    assert calls.count("gmail.users.messages.get") == 2 * 2  # headers, then all of it
    assert calls.count("gmail.users.messages.attachments.get") <= 200
    assert meter.usage.commits <= 12
    # Gmail's own answer, the mail in base64 in JSON, is most of it.
    assert peak < 6 * len(raw) + 48 * MIB

    recorded = [message.subject for message in deployment.conversation("c")]
    caller = Caller("crm", frozenset({SubaccountId("s")}))
    aside: Any = deployment.services.quarantine.items(caller)
    assert "After" in recorded
    assert (len(recorded), len(aside)) in {(2, 0), (1, 1)}
    assert all(item.attempts == 1 for item in aside)
    stored = sum(len(repr(data)) for data in meter.inner.dump().values())
    assert stored < 4 * MIB
    contacts = [path for path in meter.inner.dump() if "/contacts/" in path]
    assert len(contacts) == 2  # no one was made


def memory_of(work: Callable[[], None]) -> int:
    """The most that this needs at any moment, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
