"""Gmail's message resource: headers for matching, content within caps."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.limits import (
    MAX_BODY_BYTES,
    MAX_MIME_DEPTH,
    MAX_MIME_PARTS,
    SNIPPET_CHARS,
)
from shared.core.mail import Address, AttachmentPart, MessageHeaders
from shared.core.moments import MAX_MOMENT
from shared.core.parsing.gmail_message import (
    FULL_FIELDS,
    METADATA_FIELDS,
    METADATA_HEADERS,
    content_of,
    delivered_to,
    headers_of,
)
from shared.errors import Malformed

Raw = dict[str, Any]


def resource(*headers: tuple[str, str], **fields: Any) -> Raw:
    return {
        "id": "18c1",
        "threadId": "18c0",
        "labelIds": ["INBOX", "UNREAD"],
        "internalDate": "1700000000000",
        "payload": {"headers": [{"name": n, "value": v} for n, v in headers]},
    } | fields


def part(
    kind: str, data: str | bytes | None = None, *parts: Raw, **headers: str
) -> Raw:
    body: Raw = {"size": 0}
    if data is not None:
        raw = data.encode() if isinstance(data, str) else data
        body = {"size": len(raw), "data": base64.urlsafe_b64encode(raw).decode()}
    listed = [{"name": k.replace("_", "-"), "value": v} for k, v in headers.items()]
    return {"mimeType": kind, "headers": listed, "body": body, "parts": list(parts)}


def full(payload: Raw) -> Raw:
    return {"payload": payload}


# --- headers ----------------------------------------------------------------------


def test_headers_of_a_message() -> None:
    message = resource(
        ("Authentication-Results", "mx.google.com; dmarc=pass header.from=example.org"),
        ("From", "=?utf-8?Q?J=C3=B6rg?= <Joerg@Example.org>"),
        ("To", "a@x.org, B <b@x.org>, A <A@x.org>"),
        ("to", "c@x.org"),
        ("Cc", "d@x.org"),
        ("Bcc", "log+secret@example.com"),
        ("Subject", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?="),
        ("Date", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("Message-ID", "<1@x.org>"),
        ("In-Reply-To", "<0@x.org>"),
        ("References", "<r@x.org> <0@x.org>"),
        ("Precedence", "list"),
        ("X-CRM-Message", " m-1 "),
    )
    assert headers_of(message) == MessageHeaders(
        gmail_message_id="18c1",
        gmail_thread_id="18c0",
        labels=frozenset({"INBOX", "UNREAD"}),
        internal_date=1_700_000_000_000,
        sender=Address("Jörg", "joerg@example.org"),
        to=(
            Address(None, "a@x.org"),
            Address("B", "b@x.org"),
            Address(None, "c@x.org"),
        ),
        cc=(Address(None, "d@x.org"),),
        bcc=(Address(None, "log+secret@example.com"),),
        subject="Grüße",
        date=1_700_000_000_000,
        rfc822_message_id="<1@x.org>",
        in_reply_to=("<0@x.org>",),
        references=("<r@x.org>", "<0@x.org>"),
        authenticity="pass",
        authenticated=True,
        automated=True,
        crm_message="m-1",
    )


def test_a_message_without_headers_matches_nothing() -> None:
    headers = headers_of(resource())
    assert headers.sender is None
    assert headers.to == headers.cc == headers.bcc == ()
    assert headers.subject == ""
    assert headers.date is headers.rfc822_message_id is headers.crm_message is None
    assert not headers.authenticated
    assert not headers.automated


@pytest.mark.parametrize("mark", ["", "a b", "<script>", "x" * 129, "a\r\nb"])
def test_a_mark_that_is_no_id_is_none(mark: str) -> None:
    assert headers_of(resource(("X-CRM-Message", mark))).crm_message is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("id", ""),
        ("id", 5),
        ("id", "a/b"),
        ("threadId", None),
        ("threadId", "x" * 129),
        ("internalDate", None),
        ("internalDate", "soon"),
        ("internalDate", "-1"),
        ("internalDate", True),
        ("internalDate", 1.5),
        ("internalDate", "9" * 16),
    ],
)
def test_only_what_gmail_itself_writes_can_be_malformed(name: str, value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        headers_of(resource(**{name: value}))
    assert caught.value.code == "malformed"
    assert str(caught.value) == f"Gmail's message has no valid {name}."


def test_ids_and_dates_are_taken_up_to_what_gmail_could_write() -> None:
    longest = "Aa9._~:-" * 16
    headers = headers_of(resource(id=longest, internalDate="9" * 15))
    assert headers.gmail_message_id == longest
    assert headers.internal_date == MAX_MOMENT


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": None},
        {"payload": []},
        {"payload": {"headers": "x"}},
        {"payload": {"headers": [None, {}, {"name": "From"}, {"name": 1, "value": 2}]}},
        {"labelIds": None},
        {"labelIds": "INBOX"},
        {"labelIds": [1, None, []]},
        {"internalDate": 1_700_000_000_000},
    ],
)
def test_values_of_the_wrong_type_count_as_missing(fields: Raw) -> None:
    assert headers_of(resource(**fields)).sender is None


def test_the_envelope_tells_by_which_address_a_copy_arrived() -> None:
    message = resource(
        ("Delivered-To", "<Log+Token@example.com>"),
        ("Delivered-To", "team@example.com"),
        ("X-Original-To", "log+token@example.com"),
        ("Envelope-To", "not an address"),
        ("To", "bob@x.org"),
    )
    assert delivered_to(message) == ("log+token@example.com", "team@example.com")
    assert delivered_to({"payload": None}) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("From", "a@x.org"),
        ("To", "a@x.org"),
        ("Cc", "a@x.org"),
        ("Bcc", "a@x.org"),
        ("Subject", "x"),
        ("Date", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("Message-ID", "<1@x.org>"),
        ("In-Reply-To", "<1@x.org>"),
        ("References", "<1@x.org>"),
        ("Authentication-Results", "mx.google.com; dmarc=fail"),
        ("Auto-Submitted", "auto-replied"),
        ("Content-Type", "multipart/report"),
        ("List-Id", "<l.x.org>"),
        ("Precedence", "bulk"),
        ("Return-Path", "<>"),
        ("X-Autoreply", "yes"),
        ("X-Autorespond", "yes"),
        ("X-Autoresponder", "yes"),
        ("X-CRM-Message", "m-1"),
        ("Delivered-To", "a@x.org"),
        ("X-Gm-Original-To", "a@x.org"),
        ("X-Original-To", "a@x.org"),
        ("Envelope-To", "a@x.org"),
        ("X-Forwarded-To", "a@x.org"),
    ],
)
def test_the_header_pass_asks_for_every_header_that_the_rules_read(
    name: str, value: str
) -> None:
    sender = [("From", "a@x.org")] if name == "Authentication-Results" else []
    read = headers_of(resource(*sender, (name, value)))
    assert read != headers_of(resource(*sender))
    assert METADATA_HEADERS.count(name) == 1


@pytest.mark.parametrize(
    "fields", [METADATA_FIELDS, FULL_FIELDS], ids=["metadata", "full"]
)
def test_the_header_pass_asks_for_all_that_is_read_and_no_piece_of_the_body(
    fields: str,
) -> None:
    message = resource(("Subject", "x"), labelIds=["SENT"], snippet="a piece")
    asked = {field.partition("/")[0] for field in fields.split(",")}
    partial = {name: value for name, value in message.items() if name in asked}
    assert headers_of(partial) == headers_of(message)
    assert "snippet" not in asked
    assert ("payload/headers" in fields) is (fields is METADATA_FIELDS)


# --- content ----------------------------------------------------------------------


def test_a_plain_message() -> None:
    content = content_of(full(part("text/plain", "Hello\r\n  world\r\n")))
    assert content.text == "Hello\n  world\n"
    assert content.html is None
    assert content.snippet == "Hello world"
    assert content.attachments == ()
    assert content.truncated is False


def test_alternative_gives_text_and_html() -> None:
    content = content_of(
        full(
            part(
                "multipart/alternative",
                None,
                part("text/plain", "t"),
                part("text/html", "<p>h"),
            )
        )
    )
    assert (content.text, content.html, content.snippet) == ("t", "<p>h", "t")


def test_of_several_alternatives_of_one_type_the_last_counts() -> None:
    tree = part(
        "multipart/mixed",
        None,
        part("text/plain", "before"),
        part(
            "multipart/alternative",
            None,
            part("text/plain", "one"),
            part("text/plain", "two"),
        ),
        part("multipart/alternative", None, part("text/plain", "three")),
    )
    assert content_of(full(tree)).text == "before\ntwo\nthree"


def test_text_parts_of_a_mixed_message_are_joined_around_attachments() -> None:
    tree = part(
        "multipart/mixed",
        None,
        part("text/plain", "above\n"),
        part(
            "application/pdf",
            b"%PDF",
            Content_Disposition='attachment; filename="a.pdf"',
        ),
        part("text/plain", "below"),
    )
    content = content_of(full(tree))
    assert content.text == "above\nbelow"
    assert [a.filename for a in content.attachments] == ["a.pdf"]


def test_inline_images_are_attachments_with_a_content_id() -> None:
    image = part(
        "image/png", b"png", Content_ID="<logo@x>", Content_Disposition="inline"
    )
    tree = part(
        "multipart/related", None, part("text/html", "<img src=cid:logo@x>"), image
    )
    content = content_of(full(tree))
    assert content.html == "<img src=cid:logo@x>"
    assert content.attachments == (
        AttachmentPart(
            "0", None, "image/png", 3, data=b"png", content_id="logo@x", inline=True
        ),
    )


def test_an_image_marked_inline_is_inline_without_a_content_id_too() -> None:
    image = part("image/png", b"png", Content_Disposition="inline")
    assert [a.inline for a in content_of(full(image)).attachments] == [True]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"size": 99, "data": "eA"}, (1, None, b"x")),
        ({"size": 99, "data": "eA", "attachmentId": "A1"}, (99, "A1", None)),
        ({"size": 99, "attachmentId": "A1"}, (99, "A1", None)),
        ({"size": -1, "attachmentId": "A1"}, (0, "A1", None)),
        ({"size": "9", "attachmentId": "A1"}, (0, "A1", None)),
        ({"size": 1}, (1, None, None)),
    ],
)
def test_an_attachment_has_its_data_or_where_gmail_keeps_it(
    body: Raw, expected: tuple[int, str | None, bytes | None]
) -> None:
    image = part("image/png") | {"body": body}
    (attachment,) = content_of(full(image)).attachments
    assert (
        attachment.size,
        attachment.gmail_attachment_id,
        attachment.data,
    ) == expected


def test_an_attached_message_is_one_attachment_and_stays_closed() -> None:
    inner = part("multipart/mixed", None, part("text/plain", "secret"))
    attached = part("message/rfc822", None, inner) | {
        "body": {"size": 99, "attachmentId": "A1"},
        "partId": "1",
    }
    content = content_of(
        full(part("multipart/mixed", None, part("text/plain", "see below"), attached))
    )
    assert content.text == "see below"
    assert content.attachments == (
        AttachmentPart("1", None, "message/rfc822", 99, gmail_attachment_id="A1"),
    )


@pytest.mark.parametrize(
    ("kind", "name"), [("text/plain", "body.txt"), ("text/html", "body.html")]
)
def test_a_body_that_gmail_holds_back_becomes_an_attachment(
    kind: str, name: str
) -> None:
    held = part(kind) | {"body": {"size": 5_000_000, "attachmentId": "A1"}}
    content = content_of(full(held))
    assert content.text is content.html is None
    assert [
        (a.filename, a.size, a.gmail_attachment_id) for a in content.attachments
    ] == [(name, 5_000_000, "A1")]


def test_an_attached_text_without_a_name_stays_without() -> None:
    tree = part(
        "multipart/mixed",
        None,
        part("text/plain", "x", Content_Disposition="attachment"),
    )
    content = content_of(full(tree))
    assert content.text is None
    assert [(a.filename, a.data, a.inline) for a in content.attachments] == [
        (None, b"x", False)
    ]


def test_a_named_text_is_an_attachment_beside_others_and_the_body_alone() -> None:
    named = part("text/html", "<p>hi", Content_Type="text/html; name=mail.html")
    assert content_of(full(named)).html == "<p>hi"
    assert content_of(full(part("multipart/alternative", None, named))).html == "<p>hi"
    assert content_of(full(part("multipart/mixed", None, named))).html == "<p>hi"
    beside = part("text/plain", "see the file")
    mixed = content_of(full(part("multipart/mixed", None, named, beside)))
    assert mixed.html is None
    assert [a.filename for a in mixed.attachments] == ["mail.html"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"filename": "given.pdf"}, "given.pdf"),
        ({"filename": "=?utf-8?Q?=C3=BC?=.pdf"}, "ü.pdf"),
        ({"filename": "../x\u202efdp.exe"}, "_xfdp.exe"),
        (
            {
                "headers": [
                    {
                        "name": "content-disposition",
                        "value": "attachment; filename*0*=utf-8''%C3%BC; filename*1=.pdf",
                    }
                ]
            },
            "ü.pdf",
        ),
        (
            {
                "headers": [
                    {"name": "Content-Type", "value": 'application/pdf; name="b.pdf"'}
                ]
            },
            "b.pdf",
        ),
        ({}, None),
    ],
)
def test_file_names(fields: Raw, expected: str | None) -> None:
    tree = part("application/pdf", b"%PDF") | fields
    assert [a.filename for a in content_of(full(tree)).attachments] == [expected]


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        ("Grüße".encode(), "iso-8859-1", "Grüße"),
        ("Grüße".encode("latin-1"), "iso-8859-1", "Grüße"),
        ("日本語".encode("iso-2022-jp"), "iso-2022-jp", "日本語"),
        ("日本語".encode(), "iso-2022-jp", "日本語"),
        ("\ufeffBOM".encode(), "utf-8", "BOM"),
        (b"a\rb\r\nc", "nonsense", "a\nb\nc"),
    ],
)
def test_charsets_of_bodies(data: bytes, charset: str, expected: str) -> None:
    tree = part("text/plain", data, Content_Type=f"text/plain; charset={charset}")
    assert content_of(full(tree)).text == expected


def test_a_huge_body_is_cut_at_a_character_and_says_so() -> None:
    content = content_of(
        full(
            part(
                "text/plain",
                "a" + "ü" * MAX_BODY_BYTES,
                Content_Type="text/plain; charset=iso-8859-1",
            )
        )
    )
    assert content.truncated
    assert content.text is not None
    assert set(content.text) == {"a", "ü"}
    assert MAX_BODY_BYTES - 4 <= len(content.text.encode()) <= MAX_BODY_BYTES


def test_the_cap_holds_for_all_text_parts_together() -> None:
    half = "x" * (MAX_BODY_BYTES * 2 // 3)
    content = content_of(
        full(
            part(
                "multipart/mixed",
                None,
                part("text/plain", half),
                part("text/plain", half),
                part("text/html", half),
            )
        )
    )
    assert content.truncated
    assert len(content.text or "") <= MAX_BODY_BYTES + 1
    # The texts beside the HTML are shown in it, as far as there is room.
    assert len(content.html or "") == MAX_BODY_BYTES


def test_a_body_of_exactly_the_cap_is_whole() -> None:
    content = content_of(full(part("text/plain", "x" * MAX_BODY_BYTES)))
    assert not content.truncated
    assert len(content.text or "") == MAX_BODY_BYTES


def test_a_mime_bomb_is_cut_and_what_came_before_stays() -> None:
    bomb = part("text/plain", "deep")
    for _ in range(5000):
        bomb = part("multipart/mixed", None, bomb)
    content = content_of(
        full(
            part(
                "multipart/mixed",
                None,
                part("text/plain", "first"),
                bomb,
                part("text/plain", "last"),
            )
        )
    )
    assert content.truncated
    assert content.text == "first\nlast"


@pytest.mark.parametrize(
    ("levels", "kept"), [(MAX_MIME_DEPTH, True), (MAX_MIME_DEPTH + 1, False)]
)
def test_depth_cap(levels: int, kept: bool) -> None:
    tree = part("text/plain", "deep")
    for _ in range(levels):
        tree = part("multipart/mixed", None, tree)
    content = content_of(full(tree))
    assert (content.text == "deep") is kept
    assert content.truncated is not kept


@pytest.mark.parametrize(
    ("count", "truncated"),
    [(MAX_MIME_PARTS - 1, False), (MAX_MIME_PARTS, True), (50_000, True)],
)
def test_parts_cap(count: int, truncated: bool) -> None:
    started = time.process_time()
    content = content_of(
        full(part("multipart/mixed", None, *[part("image/png", b"x")] * count))
    )
    assert content.truncated is truncated
    assert len(content.attachments) == MAX_MIME_PARTS - 1
    assert time.process_time() - started < 3


def test_an_attachment_that_came_inline_is_kept_within_the_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.core.parsing.gmail_content.MAX_ATTACHMENT_BYTES", 4)
    content = content_of(full(part("image/png", b"12345")))
    assert content.attachments[0].data == b"1234"
    assert content.truncated


@pytest.mark.parametrize(
    ("kind", "body", "snippet"),
    [
        ("text/plain", "a\n\n  b\tc\x00\u202e", "a b c"),
        (
            "text/html",
            "<style>x{}</style><p>Hi &amp; <b>bye</b></p><p>you",
            "Hi & bye you",
        ),
        ("text/plain", "x " * 5000, ("x " * 5000)[:SNIPPET_CHARS].rstrip()),
        ("text/html", "<p>x</p>" * 5000, ("x " * 5000)[:SNIPPET_CHARS].rstrip()),
        ("text/plain", "", ""),
    ],
)
def test_snippet_is_made_from_the_body(kind: str, body: str, snippet: str) -> None:
    assert content_of(full(part(kind, body))).snippet == snippet


@pytest.mark.parametrize(
    ("kind", "body", "snippet"),
    [
        ("text/plain", "a" + " " * 3_998 + "bc", "a b"),
        ("text/html", "a" + " " * 3_998 + "<b>b</b>", "a b"),
        ("text/html", "a" + " " * 3_999 + "<b>b</b>", "a"),
    ],
)
def test_snippet_is_made_from_the_first_4000_characters_alone(
    kind: str, body: str, snippet: str
) -> None:
    assert content_of(full(part(kind, body))).snippet == snippet


def test_snippet_is_made_from_html_when_the_text_is_blank() -> None:
    tree = part(
        "multipart/alternative",
        None,
        part("text/plain", " \n"),
        part("text/html", "<p>Hi"),
    )
    assert content_of(full(tree)).snippet == "Hi"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {
            "mimeType": 1,
            "body": 2,
            "parts": 3,
            "headers": 4,
            "filename": 5,
            "partId": 6,
        },
        {"parts": [None, 1, "x", {}]},
        {"mimeType": "multipart/mixed", "parts": []},
        {"mimeType": "text/plain", "body": {"data": None, "size": "x"}},
        {"mimeType": "text/plain", "body": {"data": "ü!?é"}},
    ],
)
def test_a_payload_of_any_shape_gives_content(payload: Any) -> None:
    assert content_of({"payload": payload}).snippet == ""


def test_what_has_children_is_no_part_of_its_own() -> None:
    assert content_of(full(part("multipart/mixed"))).attachments == ()
    odd = part("application/x-odd", None, part("text/plain", "inside"))
    assert content_of(full(odd)).text == "inside"
    assert content_of(full(odd)).attachments == ()


def test_a_body_without_data_is_none_and_one_with_data_is_read() -> None:
    empty = content_of(full(part("text/plain")))
    assert empty.text is None
    assert empty.attachments == ()
    both = part("text/plain") | {"body": {"data": "eA", "attachmentId": "A1"}}
    assert content_of(full(both)).text == "x"


@pytest.mark.parametrize("content_id", ["x", "x" * 256])
def test_content_ids_are_kept_up_to_a_length(content_id: str) -> None:
    image = part("image/png", b"1", Content_ID=f"<{content_id}>")
    assert content_of(full(image)).attachments[0].content_id == content_id


def test_unreadable_types_and_long_ids_are_not_passed_on() -> None:
    tree = part("<script>/x", b"1", Content_ID="<" + "x" * 257 + ">") | {
        "partId": "9" * 500
    }
    attachment = content_of(full(tree)).attachments[0]
    assert attachment.content_type == "application/octet-stream"
    assert attachment.content_id is None
    assert attachment.part_id == "9" * 80


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "headers",
                    "parts",
                    "body",
                    "data",
                    "name",
                    "value",
                    "mimeType",
                    "filename",
                    "size",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json)
def test_no_payload_raises(payload: Any) -> None:
    content_of({"payload": payload})
    headers_of(resource(payload=payload))


@given(
    st.binary(max_size=200),
    st.sampled_from(["text/plain", "text/html", "image/png"]),
    st.text(max_size=20),
)
def test_no_bytes_raise(data: bytes, kind: str, charset: str) -> None:
    content_of(full(part(kind, data, Content_Type=f"{kind}; charset={charset}")))
