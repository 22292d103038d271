"""Header fields byte by byte: how they are folded, quoted and encoded."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

import pytest

from shared.core.mail import Address
from shared.core.sending.mime_headers import (
    address_field,
    disposition_field,
    ids_field,
    is_clean,
    is_content_id,
    is_message_id,
    media_type,
    text_field,
    token_field,
)
from shared.errors import Malformed

ANN = Address("Ann", "ann@x.example")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Grüße, 你好 👋", True),
        ("", True),
        *((f"a{bad}b", False) for bad in "\0\t\n\r\x1f\x7f\x80\x9f\u2028\u2029\ud800"),
    ],
)
def test_s10_no_control_character_stands_in_a_header(text: str, clean: bool) -> None:
    assert is_clean(text) is clean


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("<a@b>", True),
        ("<" + "a" * 990 + ">", True),
        ("<" + "a" * 991 + ">", False),
        ("<ab>", False),
        ("<a b@c>", False),
        ("<a<@b>", False),
        ("<a@b>>", False),
        ("<ä@b>", False),
        ("a@b", False),
    ],
)
def test_s4_what_a_message_id_is(text: str, is_one: bool) -> None:
    assert is_message_id(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Logo@1", True),
        ("a" * 200, True),
        ("a" * 201, False),
        ("a b", False),
        ("", False),
    ],
)
def test_what_a_content_id_is(text: str, is_one: bool) -> None:
    assert is_content_id(text) is is_one


def test_short_fields_stand_on_one_line() -> None:
    assert text_field("Subject", "Your offer") == b"Subject: Your offer\r\n"
    assert text_field("Subject", "") == b"Subject: \r\n"
    assert token_field("MIME-Version", "1.0") == b"MIME-Version: 1.0\r\n"
    assert ids_field("References", ["<a@b>", "<c@d>"]) == (
        b"References: <a@b>\r\n <c@d>\r\n"
    )


@pytest.mark.parametrize(
    ("people", "written"),
    [
        ([ANN], b'To: "Ann"\r\n <ann@x.example>\r\n'),
        ([Address(None, "a@x.example")], b"To: a@x.example\r\n"),
        ([Address("", "a@x.example")], b"To: a@x.example\r\n"),
        (
            [ANN, Address(None, "b@x.example")],
            b'To: "Ann"\r\n <ann@x.example>,\r\n b@x.example\r\n',
        ),
        (
            [Address('A "B" \\', "a@x.example")],
            b'To: "A \\"B\\" \\\\"\r\n <a@x.example>\r\n',
        ),
        (
            [Address("Zoë", "z@x.example")],
            b"To: =?utf-8?B?Wm/Dqw==?=\r\n <z@x.example>\r\n",
        ),
        (
            [Address("=?x", "z@x.example")],
            b"To: =?utf-8?B?PT94?=\r\n <z@x.example>\r\n",
        ),
        (
            [Address("a" * 60, "z@x.example")],
            b'To: "%s"\r\n <z@x.example>\r\n' % (b"a" * 60),
        ),
    ],
)
def test_s10_each_address_stands_on_a_line_of_its_own(
    people: list[Address], written: bytes
) -> None:
    assert address_field("To", people) == written


@pytest.mark.parametrize("field", [ids_field, address_field])
def test_s10_a_refusal_names_the_field(field: object) -> None:
    bad = {ids_field: ["x"], address_field: [Address(None, "x")]}[field]  # type: ignore[index]
    with pytest.raises(Malformed, match=r"^To holds what is (no|not) \w+.*\.$"):
        field("To", bad)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda: text_field("Subject", "a\0"), "Subject holds control characters."),
        (
            lambda: disposition_field("inline", "\0"),
            "The file name holds control characters.",
        ),
        (
            lambda: address_field("Cc", [Address("\0", "a@x.example")]),
            "Cc holds control characters.",
        ),
        (lambda: token_field("Date", "a  b"), "Date cannot be written."),
    ],
)
def test_s10_a_refusal_says_what_is_wrong(write: object, what: str) -> None:
    with pytest.raises(Malformed) as refused:
        write()  # type: ignore[operator]
    assert refused.value.detail == what


# --- folding (RFC 5322 §2.1.1, RFC 2047 §2) --------------------------------------


def lines(field: bytes) -> list[str]:
    assert field.endswith(b"\r\n")
    return field.decode("ascii").removesuffix("\r\n").split("\r\n")


def read(field: bytes) -> str:
    return str(message_from_bytes(field, policy=policy.default)["Subject"])


@pytest.mark.parametrize("length", range(1, 12))
def test_a_long_subject_is_folded_at_its_blanks(length: int) -> None:
    subject = " ".join(["w" * length] * 40)
    found = lines(text_field("Subject", subject))
    assert "\r\n".join(found).replace("\r\n", "") == f"Subject: {subject}"
    assert max(map(len, found)) <= 76
    # No line has room for the next word.
    assert all(len(line) + 1 + length > 76 for line in found[:-1])


def test_a_word_that_fills_a_line_is_folded_and_a_longer_one_encoded() -> None:
    fits = text_field("Subject", f"a {'b' * 73}")
    assert lines(fits) == ["Subject: a", f" {'b' * 73}"]
    longer = text_field("Subject", f"a {'b' * 74}")
    assert b"=?utf-8?B?" in longer
    assert read(longer) == f"a {'b' * 74}"


@pytest.mark.parametrize("subject", ["é" * 100, "你" * 100, "👋" * 100, "a é" * 60])
def test_encoded_words_hold_whole_characters_on_full_lines(subject: str) -> None:
    found = lines(text_field("Subject", subject))
    assert max(map(len, found)) <= 76
    # A character takes at most 4 bytes, which are 8 digits of base64 at the worst.
    assert all(len(line) > 76 - 8 for line in found[:-1])
    words = [
        re.fullmatch(r"(?:Subject:)? (=\?utf-8\?B\?\S+\?=)", item) for item in found
    ]
    assert all(words)
    assert read(text_field("Subject", subject)) == subject


@pytest.mark.parametrize(
    ("name", "lengths"),
    [("Subject", [73, 73, 73, 73, 49]), ("X", [75, 73, 73, 73, 41])],
)
def test_encoded_words_fill_their_lines(name: str, lengths: list[int]) -> None:
    """Base64 goes by three bytes: 45 of them make a line of 73 characters."""
    found = lines(text_field(name, "w" * 200))
    assert [len(line) for line in found] == lengths


def test_a_long_name_is_encoded_so_that_its_line_stays_short() -> None:
    found = lines(address_field("To", [Address("a" * 61, "a@x.example")]))
    assert found[0].startswith("To: =?utf-8?B?")
    assert [len(line) for line in found] == [76, 37, 14]


# --- file names (RFC 2231) -------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "written"),
    [
        (None, "attachment"),
        ("offer 1.pdf", 'attachment;\r\n filename="offer 1.pdf"'),
        ("a" * 60, f'attachment;\r\n filename="{"a" * 60}"'),
        ("a" * 61, None),
        (".hidden", "attachment;\r\n filename*=UTF-8''.hidden"),
        ("aé", "attachment;\r\n filename*=UTF-8''a%C3%A9"),
        ("end.", "attachment;\r\n filename*=UTF-8''end."),
        ("a/b", "attachment;\r\n filename*=UTF-8''a%2Fb"),
        ("Zoë.pdf", "attachment;\r\n filename*=UTF-8''Zo%C3%AB.pdf"),
        ('a"b', "attachment;\r\n filename*=UTF-8''a%22b"),
    ],
)
def test_s6_a_file_name_is_quoted_or_encoded(
    filename: str | None, written: str | None
) -> None:
    field = disposition_field("attachment", filename).decode()
    if written is None:
        assert "filename*0*=UTF-8''" in field
    else:
        assert field == f"Content-Disposition: {written}\r\n"


@pytest.mark.parametrize(
    "filename", ["a" * 53 + "é", "é" * 80, "a" + "é" * 80, "ab" + "é" * 80, "a" * 113]
)
def test_s6_a_long_file_name_is_cut_between_escapes(filename: str) -> None:
    field = disposition_field("inline", filename)
    parsed = message_from_bytes(field + b"\r\n", policy=policy.default)
    assert parsed.get_filename() == filename
    first, *sections = lines(field)
    assert first == "Content-Disposition: inline;"
    values = [
        re.fullmatch(rf" filename\*{n}\*=((?:[^%]|%[0-9A-F]{{2}})+?);?", section)
        for n, section in enumerate(sections)
    ]
    assert all(values)
    assert all(57 < len(value[1]) <= 60 for value in values[:-1] if value)
    assert all(item.endswith(";") for item in sections[:-1])


def test_s6_an_encoded_name_of_one_section_is_not_numbered() -> None:
    assert b"filename*=" in disposition_field("inline", "." + "a" * 52)
    assert b"filename*0*=" in disposition_field("inline", "." + "a" * 53)
    assert b"filename*=" in disposition_field("inline", "%" * 17)
    assert b"filename*0*=" in disposition_field("inline", "%" * 18)


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("image/png", "image/png"),
        (" Image/PNG ; name=x", "image/png"),
        ("a/b/c", None),
        ("application/vnd.a+b-c_d.e", "application/vnd.a+b-c_d.e"),
        ("multipart/mixed", None),
        ("message/rfc822", None),
        ("image", None),
        ("image/", None),
        ("/png", None),
        ("image/p ng", None),
        (f"image/{'a' * 81}", f"image/{'a' * 81}"),
        (f"image/{'a' * 82}", None),
    ],
)
def test_s6_a_type_that_is_none_becomes_plain_bytes(
    declared: str, sent: str | None
) -> None:
    assert media_type(declared) == (sent or "application/octet-stream")
