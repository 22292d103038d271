"""Real and broken mails, read as other parsers agree they should be (opt-in folder)."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from shared.core.mail import Content, MessageHeaders
from shared.core.parsing.address import normalise
from shared.core.parsing.gmail_message import content_of, headers_of
from shared.core.parsing.headers import is_forward_subject
from shared.core.parsing.sanitise import safe_html
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
    (
        "stalwart-malformed-008",
        "text",
    ): "texts side by side are shown together, in order (M16)",
    (
        "mimekit-messages-body-9",
        "text",
    ): "texts side by side are shown together, in order (M16)",
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


def _compared(headers: MessageHeaders, content: Content) -> dict[str, Any]:
    own = headers.rfc822_message_id
    return {
        "from": _people((headers.sender,) if headers.sender else ()),
        "to": _people(headers.to),
        "cc": _people(headers.cc),
        "bcc": _people(headers.bcc),
        "subject": _line(headers.subject),
        "message_id": own[1:-1] if own else None,
        "in_reply_to": " ".join(_ids(headers.in_reply_to)) or None,
        "references": _ids(headers.references),
        "text": _body(content.text),
        "has_html": content.html is not None,
        "attachments": [
            (_line(a.filename), a.content_type, a.size) for a in content.attachments
        ],
    }


def _wanted(field: str, expected: Any) -> Any:
    match field:
        case "from" | "to" | "cc" | "bcc":
            people = _expected_people(expected)
            # Several senders are none (M13).
            return [] if field == "from" and len(people) != 1 else people
        case "subject":
            return _line(expected)
        case "text":
            return _body(expected)
        case "references":
            return list(dict.fromkeys(expected))
        case "attachments":
            return [
                (_line(e["filename"]), e["content_type"], e.get("size"))
                for e in expected
            ]
        case _:
            return expected


def _asserted(field: str, got: Any, wanted: Any, disputed: list[str]) -> Any:
    """Leave out of `got` what the corpus does not assert."""
    if f"{field}.name" in disputed:
        return [
            (want[0], address) for (_, address), want in zip(got, wanted, strict=True)
        ]
    if field == "attachments" and len(got) == len(wanted):
        return [
            (*part[:2], part[2] if want[2] is not None else None)
            for part, want in zip(got, wanted, strict=True)
        ]
    return got


def _differences(raw: bytes, expected: dict[str, Any]) -> dict[str, Any]:
    resource = resource_of(raw)
    compared = _compared(headers_of(resource), content_of(resource))
    found: dict[str, Any] = {}
    for field in compared.keys() & expected.keys():
        wanted = _wanted(field, expected[field])
        got = _asserted(field, compared[field], wanted, expected["disputed"])
        if got != wanted:
            found[field] = (got, wanted)
    return found


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
