"""Whatever is asked to be sent: the mail has the headers and recipients that were meant.

The real edge takes the call, the real Gmail client hands the mail over, and another
parser (the standard library's) reads what left.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from shared.core.parsing.address import normalise
from shared.core.sending.mime_headers import is_clean
from tests.security.deployment import Deployment
from tests.support.sending import CARLA, MIA

HEADERS = {
    "Date", "From", "To", "Subject", "Message-ID", "X-CRM-Message", "MIME-Version",
    "Content-Type",
}  # fmt: skip
ADDED_BY_GMAIL = {"Received", "X-Google-Original-Message-ID"}
EVIL = "evil@attacker.example"

TRICKS = [
    f"\r\nBcc: {EVIL}",
    f"\nBcc: {EVIL}",
    f"\rBcc: {EVIL}",
    f"\r\n\r\nBcc: {EVIL}",
    f"\r\n\t{EVIL}",
    f"\u2028Bcc: {EVIL}",
    f"\u0085Bcc : {EVIL}",
    f"\x0bBcc: {EVIL}",
    "\x00",
    "\ud800",
    f"=?utf-8?q?=0D=0ABcc:_{EVIL}?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAYXR0YWNrZXIuZXhhbXBsZQ==?=",
    f", {EVIL}",
    f"; {EVIL}",
    f"> <{EVIL}",
    f'" <{EVIL}>',
    f'\\" <{EVIL}>, "',
    f"(c) {EVIL}",
    f"undisclosed: {EVIL};",
    "\u202e\u2066",
    " " * 80 + "x : y",
    "x" * 300,
    "Bcc:",
    "a.txt\"; filename*=utf-8''evil.exe; x=\"",
    "a.txt\r\nContent-Type: text/html",
    "../../etc/passwd",
]
PERMITTED = [trick for trick in TRICKS if is_clean(trick)]


def texts(tricks: list[str], letters: Any) -> st.SearchStrategy[str]:
    pieces = st.sampled_from(tricks) | st.text(letters, max_size=12)
    return st.lists(pieces, max_size=3).map("".join)


# Most must be such that a mail is sent: what is refused smuggles nothing.
GOOD = texts(PERMITTED, st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")))
TEXTS = st.one_of(GOOD, GOOD, GOOD, GOOD, texts(TRICKS, st.characters()))
LOCAL_PARTS = st.sampled_from(["ann", "a+b", "jörg", "x.y"])
ADDRESSES = st.builds(
    "{}@{}{}".format,
    st.one_of(LOCAL_PARTS, LOCAL_PARTS, LOCAL_PARTS, st.text(max_size=8)),
    st.sampled_from(["x.test", "bücher.example", "y.test"]),
    st.sampled_from([""] * 3 * len(TRICKS) + TRICKS),
)
PEOPLE = st.lists(
    st.fixed_dictionaries({"address": ADDRESSES}, optional={"name": TEXTS}), max_size=2
)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with pytest.MonkeyPatch.context() as patch:
        yield Deployment(patch, daily_send_cap=10_000)


def post(
    deployment: Deployment, message: dict[str, Any], files: list[str], key: str
) -> Any:
    """Ask for the mail, with attachments of these names."""
    try:
        part = json.dumps(message, ensure_ascii=False).encode()
        fields: list[Any] = [("message", (None, part, "application/json"))]
        fields += [("attachment", (name, b"x", "text/plain")) for name in files]
        body, content_type = encode_multipart_formdata(fields)
    except UnicodeError:  # a lone surrogate: no client can send it
        assume(False)
    return deployment.call(
        "POST",
        "/v1/subaccounts/s/messages",
        data=body,
        content_type=content_type,
        headers={"Idempotency-Key": key},
    )


def what_left(deployment: Deployment) -> list[tuple[str, bytes]]:
    """Recipient and bytes of every copy, by Gmail or by the provider."""
    left = [(item.recipient, item.raw) for item in deployment.world.outside]
    for sent in deployment.relay.taken:
        left += [(recipient, sent.mail) for recipient in sent.recipients]
    deployment.world.outside.clear()
    deployment.relay.taken.clear()
    return left


def plain(text: str) -> str:
    """As a header shows it: no line ends, no invisible characters, single blanks."""
    kept = (c for c in text if unicodedata.category(c) not in {"Cf", "Cs"})
    return " ".join("".join(kept).split())


def check(raw: bytes, asked: dict[str, Any], files: list[str]) -> None:
    old: Message = message_from_bytes(raw)  # the old parser, and the new one
    new = message_from_bytes(raw, policy=policy.default)
    assert isinstance(new, EmailMessage)
    names = [name for name in old if name not in ADDED_BY_GMAIL]
    assert names == [name for name in new if name not in ADDED_BY_GMAIL]
    assert len(names) == len(set(names))
    provider = asked["kind"] == "workflow"
    optional = {
        "Cc": asked["cc"],
        "Reply-To": provider,
        "Content-Transfer-Encoding": not files,
    }
    meant = HEADERS | {name for name, given in optional.items() if given}
    assert set(names) == meant  # no Bcc
    assert not old.defects
    sender = "news@agency.test" if provider else MIA
    assert [address.addr_spec for address in new["From"].addresses] == [sender]
    assert [address.addr_spec for address in new["To"].addresses] == [CARLA]
    copied = {normalise(recipient["address"]) for recipient in asked["cc"]} - {CARLA}
    assert len(new["Cc"].addresses if "Cc" in new else ()) == len(copied)
    if "=?" not in asked["subject"]:
        assert plain(new["Subject"]) == plain(asked["subject"])
    parts = [item for item in new.walk() if item.get_content_disposition()]
    assert len(parts) == len(files)
    for part in parts:
        assert set(part.keys()) == {
            "Content-Type",
            "Content-Disposition",
            "Content-Transfer-Encoding",
        }


def test_no_value_adds_a_header_or_a_recipient(deployment: Deployment) -> None:
    taken: list[bool] = []

    @settings(
        max_examples=120,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # shrinking would send mail for minutes
    )
    @given(
        subject=TEXTS,
        cc=PEOPLE,
        bcc=PEOPLE,
        name=TEXTS,
        files=st.lists(TEXTS.filter(bool), max_size=2),
        kind=st.sampled_from(["individual", "workflow"]),
    )
    def send(
        subject: str,
        cc: list[Any],
        bcc: list[Any],
        name: str,
        files: list[str],
        kind: str,
    ) -> None:
        asked = {
            "kind": kind,
            "user": "u",
            "to": [{"address": CARLA, "name": name}],
            "cc": cc,
            "bcc": bcc,
            "subject": subject,
            "text": "Hello",
        }
        answer = post(deployment, asked, files, f"key-{len(taken)}")
        deployment.settle()
        left = what_left(deployment)
        taken.append(answer.status_code == 202)
        if answer.status_code != 202:
            assert answer.status_code in {400, 422}
            assert left == []
            return
        meant = {CARLA, *(normalise(item["address"]) for item in cc + bcc)}
        assert sorted(normalise(item) for item, _ in left) == sorted(meant)
        for _, raw in left:
            check(raw, asked, files)

    send()
    assert 10 < sum(taken) < len(taken)
