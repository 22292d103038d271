"""Real and broken mails, read as other parsers agree they should be (opt-in folder)."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from shared.core.address import normalise
from shared.core.gmail_message import content_of, headers_of
from shared.core.headers import is_forward_subject
from shared.core.sanitise import safe_html
from tests.support.gmail_resource import resource_of

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("MAIL_CORPUS", ROOT.parent / "shared" / "corpus"))
MAILS = sorted((CORPUS / "mail").glob("*.eml"))

# Where we read a mail differently on purpose: (file, field): why.
EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "enmime-mail-malformed-multiple-address-header-values",
        "attachments",
    ): "a named text part beside another body is an attachment, even if marked inline",
    ("enmime-part-header-only", "has_html"): "an empty body is none",
    ("mikel-error-bad-date-header", "has_html"): "an empty body is none",
    ("stalwart-malformed-007", "text"): "an empty body is none",
}


def _line(text: str | None) -> str | None:
    if text is None:
        return None
    return " ".join(unicodedata.normalize("NFC", text).split()) or None


def _body(text: str | None) -> str | None:
    if text is None:
        return None
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff")
    return re.sub(r"[ \t]+(?=\n|\Z)", "", text).rstrip("\n")


def _people(addresses: Any) -> list[tuple[str | None, str]]:
    return [(_line(a.name), a.address) for a in addresses]


def _expected_people(entries: list[dict[str, Any]]) -> list[tuple[str | None, str]]:
    found: dict[str, tuple[str | None, str]] = {}
    for entry in entries:
        address = normalise(entry["address"] or "")
        if address:
            found.setdefault(address, (_line(entry.get("name", "?")), address))
    return list(found.values())


def _ids(ids: Any) -> list[str]:
    return [text[1:-1] for text in ids]


def _differences(raw: bytes, expected: dict[str, Any]) -> dict[str, Any]:
    resource = resource_of(raw)
    headers = headers_of(resource)
    content = content_of(resource)
    seen: dict[str, tuple[Any, Any]] = {}
    people = {
        "from": (headers.sender,) if headers.sender else (),
        "to": headers.to,
        "cc": headers.cc,
        "bcc": headers.bcc,
    }
    for field, addresses in people.items():
        if field in expected:
            wanted = _expected_people(expected[field])
            got = _people(addresses)
            if field == "from" and len(wanted) != 1:
                wanted = []
            names = all("name" in entry for entry in expected[field])
            if not names:
                wanted, got = [w[1:] for w in wanted], [g[1:] for g in got]
            seen[field] = (got, wanted)
    if "subject" in expected:
        seen["subject"] = (_line(headers.subject), _line(expected["subject"]))
    if "message_id" in expected:
        own = headers.rfc822_message_id
        seen["message_id"] = (own[1:-1] if own else None, expected["message_id"])
    if "in_reply_to" in expected:
        seen["in_reply_to"] = (
            " ".join(_ids(headers.in_reply_to)) or None,
            expected["in_reply_to"],
        )
    if "references" in expected:
        seen["references"] = (
            _ids(headers.references),
            list(dict.fromkeys(expected["references"])),
        )
    if "text" in expected:
        seen["text"] = (_body(content.text), _body(expected["text"]))
    if "has_html" in expected:
        seen["has_html"] = (content.html is not None, expected["has_html"])
    if "attachments" in expected:
        wanted_parts = expected["attachments"]
        seen["attachments"] = (
            [
                (_line(a.filename), a.content_type) + ((a.size,) if "size" in w else ())
                for a, w in zip(content.attachments, wanted_parts, strict=False)
            ]
            + [a.filename for a in content.attachments[len(wanted_parts) :]],
            [
                (_line(w["filename"]), w["content_type"])
                + ((w["size"],) if "size" in w else ())
                for w in wanted_parts
            ],
        )
    return {field: pair for field, pair in seen.items() if pair[0] != pair[1]}


pytestmark = pytest.mark.skipif(
    not MAILS, reason="no mail corpus: set MAIL_CORPUS to its folder"
)


def _expected(mail: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        (CORPUS / "expected" / f"{mail.stem}.json").read_text("utf-8")
    )
    return answer


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.stem)
def test_mail_reads_as_other_parsers_read_it(mail: Path) -> None:
    differences = _differences(mail.read_bytes(), _expected(mail))
    known = {field for stem, field in EXCEPTIONS if stem == mail.stem}
    assert {f: d for f, d in differences.items() if f not in known} == {}
    assert known <= set(differences), "this exception is none any more"


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.stem)
def test_html_of_any_mail_becomes_inert(mail: Path) -> None:
    html = content_of(resource_of(mail.read_bytes())).html or ""
    shown = safe_html(html)
    assert not re.search(r"<(script|style|iframe|form|object|link|meta|base)\b", shown)
    assert not re.search(r"""<[^>]*\s(on\w+|src=["']?(?!cid:)\w+:|class=)""", shown)


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.stem)
def test_named_parts_that_gmail_holds_back_are_the_same_attachments(mail: Path) -> None:
    raw = mail.read_bytes()
    inline = content_of(resource_of(raw)).attachments
    held = content_of(resource_of(raw, hold_back_named=True)).attachments
    assert [
        (a.filename, a.size) for a in held if a.part_id in {i.part_id for i in inline}
    ] == [(a.filename, a.size) for a in inline]


def test_forwards_of_the_corpus_have_a_forward_prefix_unless_it_is_ambiguous() -> None:
    missed = {
        subject.partition(":")[0]
        for mail in MAILS
        if (data := _expected(mail))["kind"] == "forward"
        and (subject := data.get("subject") or "")
        and not is_forward_subject(subject)
    }
    # Danish and Norwegian "VS" is "reply" in Finnish.
    assert {prefix.lower() for prefix in missed} <= {"vs"}


def test_replies_of_the_corpus_have_no_forward_prefix() -> None:
    for mail in MAILS:
        data = _expected(mail)
        if data["kind"] == "reply":
            assert not is_forward_subject(data.get("subject") or ""), mail.name
