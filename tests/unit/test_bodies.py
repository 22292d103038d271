"""M16: the email as it was written, out of every shape that mailers give it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.core.limits import MAX_BODY_BYTES
from shared.core.mail import Content
from shared.core.parsing.gmail_message import content_of, held_back_bodies
from shared.core.parsing.sanitise import safe_html
from shared.core.parsing.text_from_html import text_from_html
from tests.support.gmail_resource import resource_of

PNG = (
    "Content-Type: image/png; name=i.png\nContent-ID: <i@x>\n"
    "Content-Transfer-Encoding: base64\n\niVBORw0K"
)


def mixed(*parts: str, kind: str = "mixed", boundary: str = "B") -> str:
    """A multipart of these parts, each with its headers."""
    inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inside}--{boundary}--\n"


def text(words: str, kind: str = "plain", headers: str = "") -> str:
    """A text part."""
    return f"Content-Type: text/{kind}; charset=utf-8\n{headers}\n{words}"


def read(mail: str) -> Content:
    """What is made of a mail with this MIME structure."""
    return content_of(resource_of(mail.encode()))


def apart(*parts: str, boundary: str = "A") -> str:
    """Alternatives."""
    return mixed(*parts, kind="alternative", boundary=boundary)


FOOTER = text("<html><body><p>Confidential.</p></body></html>", "html")


@pytest.mark.parametrize(
    ("mail", "words", "html"),
    [
        pytest.param(
            mixed(text("We accept <4,200> euros."), FOOTER),
            "We accept <4,200> euros.\nConfidential.",
            "We accept <4,200> euros.\nConfidential.",
            id="text with an HTML footer",
        ),
        pytest.param(
            mixed(text("<p>We accept.</p>", "html"), text("____\nSales list")),
            "We accept.\n____\nSales list",
            "We accept.\n____\nSales list",
            id="HTML with a text footer",
        ),
        pytest.param(
            mixed(apart(text("One"), text("<p>One</p>", "html")), text("List")),
            "One\nList",
            "One\nList",
            id="alternatives with a footer",
        ),
        pytest.param(
            mixed(text("<p>One</p>", "html"), text("<p>Two</p>", "html")),
            None,
            "One\nTwo",
            id="several HTML parts",
        ),
        pytest.param(
            apart(
                text("One Two"),
                mixed(text("<p>One</p>", "html"), PNG, text("<p>Two</p>", "html")),
            ),
            "One Two",
            "One\nTwo",
            id="HTML around a picture, as Apple Mail writes it",
        ),
        pytest.param(
            apart(
                text("One"), mixed(text("<p>One</p>", "html"), text("List")),
            ),
            "One",
            "One\nList",
            id="a footer in the richer alternative",
        ),
        pytest.param(
            apart(mixed(text("<p>One</p>", "html"), text("List"))),
            "One\nList",
            "One\nList",
            id="one alternative only",
        ),
        pytest.param(
            mixed(
                apart(text("One"), text("<p>One</p>", "html")),
                "Content-Type: application/pgp-signature\n\nx",
                kind="signed",
            ),
            "One",
            "One",
            id="alternatives that are signed",
        ),
        pytest.param(
            mixed(apart(text("One"), text("<p>One</p>", "html")), PNG, kind="related"),
            "One",
            "One",
            id="alternatives with related pictures",
        ),
        pytest.param(
            apart(
                text("One"),
                mixed(text("<p>One</p>", "html", "X: y\n"), PNG, kind="related"),
            ),
            "One",
            "One",
            id="related pictures in an alternative",
        ),
        pytest.param(
            mixed(text(" \n"), text("<p>One</p>", "html"), text("\n\n")),
            None,
            "One",
            id="empty texts around HTML",
        ),
        pytest.param(
            mixed(apart(text("A"), text("<p>A</p>", "html")),
                  apart(text("B"), text("<p>B</p>", "html"), boundary="C")),
            "A\nB",
            "A\nB",
            id="two sets of alternatives",
        ),
        pytest.param(
            mixed(text("<p>Order 4711</p>", "html",
                       'Content-Disposition: inline; filename="sapform.htm"\n'),
                  PNG, kind="related"),
            None,
            "Order 4711",
            id="a body with a file name",
        ),
        pytest.param(
            mixed(text("Order 4711", headers="Content-Disposition: inline; filename=a.txt\n"),
                  PNG),
            "Order 4711",
            None,
            id="a text body with a file name",
        ),
        pytest.param(mixed(PNG), None, None, id="no text at all"),
    ],
)  # fmt: skip
def test_m16_what_is_written_is_shown_in_order(
    mail: str, words: str | None, html: str | None
) -> None:
    content = read(mail)
    assert content.text == words or (content.text or "").rstrip() == words
    shown = text_from_html(safe_html(content.html)) if content.html else None
    assert shown == html
    assert content.snippet == " ".join((words or html or "").split())
    assert not content.truncated


def test_m16_a_named_text_beside_a_body_is_an_attachment() -> None:
    note = text("a,b", headers="Content-Disposition: inline; filename=a.csv\n")
    content = read(mixed(text("See below."), note))
    assert content.text == "See below."
    assert [a.filename for a in content.attachments] == ["a.csv"]
    alone = text("a,b", headers="Content-Disposition: attachment; filename=a.csv\n")
    assert [a.filename for a in read(mixed(alone)).attachments] == ["a.csv"]
    assert read(mixed(PNG, note)).text is None


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("text/vnd.google.email-reaction+json", 0),
        ("text/x-amp-html", 0),
        ("text/watch-html", 0),
        ("text/calendar", 1),
        ("application/pdf", 1),
        ("text/x-amp-html; name=a.html", 1),
    ],
)
def test_m16_an_alternative_of_the_text_is_no_attachment(kind: str, kept: int) -> None:
    odd = f"Content-Type: {kind}\n\nx"
    content = read(apart(text("👍"), odd, text("<p>👍</p>", "html")))
    assert content.text == "👍"
    assert len(content.attachments) == kept
    assert len(read(apart(odd)).attachments) == 1  # there is nothing else
    assert len(read(mixed(text("x"), odd)).attachments) == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("text/calendar; method=REQUEST", None),
        ("application/ms-tnef; name=winmail.dat", "winmail.dat"),
    ],
)
def test_m16_what_is_no_text_is_an_attachment(kind: str, name: str | None) -> None:
    content = read(f"Content-Type: {kind}\n\nBEGIN:VCALENDAR")
    assert [(a.filename, a.content_type) for a in content.attachments] == [
        (name, kind.partition(";")[0])
    ]
    assert content.text is content.html is None


def test_m16_an_empty_attachment_is_one() -> None:
    content = content_of(
        {
            "payload": {
                "mimeType": "application/pdf",
                "filename": "a.pdf",
                "body": {"size": 0},
            }
        }
    )
    assert [(a.filename, a.size, a.data) for a in content.attachments] == [
        ("a.pdf", 0, b"")
    ]


def test_m16_pictures_of_the_html_are_inline_and_named() -> None:
    html = text('<p>See <img src="cid:i@x"></p>', "html")
    attached = PNG.replace("<i@x>", "<j@x>")
    (shown, other) = read(mixed(html, PNG, attached, kind="related")).attachments
    assert (shown.content_id, shown.inline) == ("i@x", True)
    assert (other.content_id, other.inline) == ("j@x", False)


PICTURE = base64.b64encode(b"\x89PNG" * 300_000).decode()


def test_m16_pasted_pictures_are_attachments_before_any_limit() -> None:
    html = (
        "<p>Dear Mia, screenshot first:</p>"
        f'<img alt=a src="data:image/png;base64,{PICTURE}">'
        f"<div style=\"background:url('data:image/gif;base64,{PICTURE}')\">and</div>"
        f"<IMG SRC = ' data:image/PNG;base64,{PICTURE}'>"
        "<img src=data:image/svg+xml,%3Csvg/%3E><img src=cid:i@x><img alt=x>"
        "<p>IMPORTANT: we cancel the contract.</p>"
    )
    content = read(text(html, "html"))
    assert not content.truncated
    assert [
        (a.content_type, a.data, a.inline, a.filename) for a in content.attachments
    ] == [
        ("image/png", b"\x89PNG" * 300_000, True, None),
        ("image/svg+xml", b"<svg/>", True, None),
    ]
    shown = safe_html(content.html or "")
    assert "we cancel the contract" in shown
    assert shown.count(f'src="cid:{content.attachments[0].content_id}"') == 2
    assert 'src="cid:i@x"' in shown
    assert "cancel" in content.snippet


def test_m16_only_so_many_pictures_are_taken_out() -> None:
    many = "".join(f"<img src=data:image/png,{n}>" for n in range(250))
    assert len(read(text(many, "html")).attachments) == 200


def test_m16_words_about_data_are_words() -> None:
    html = "<p>data:image/png;base64,AAAA</p><img src=data:image/png>"
    assert read(text(html, "html")).html == html


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_m16_what_a_limit_cuts_is_said_and_kept_whole(kind: str) -> None:
    words = "x " * MAX_BODY_BYTES
    content = read(text(words, kind))
    assert content.truncated
    assert len(content.text or content.html or "") == MAX_BODY_BYTES
    (whole,) = content.attachments
    assert whole.data == words.encode()
    assert whole.filename == ("body.txt" if kind == "plain" else "body.html")


def held(kind: str = "text/html", size: int = 9, **fields: Any) -> dict[str, Any]:
    """A mail whose body Gmail hands out apart."""
    body = {"mimeType": kind, "body": {"size": size, "attachmentId": "A1"}, **fields}
    return {"payload": {"mimeType": "multipart/mixed", "parts": [body]}}


def test_m16_a_body_that_gmail_hands_out_apart_is_the_body() -> None:
    for resource in (held(), held(filename="order.html")):
        assert held_back_bodies(resource) == ("A1",)
        content = content_of(resource, {"A1": "<p>Grüße".encode()})
        assert content.html == "<p>Grüße"
        assert content.attachments == ()
        assert content_of(resource, {"A1": b""}).html is None
        assert len(content_of(resource).attachments) == 1


def test_m16_attachments_and_what_is_too_big_are_not_fetched_as_a_body() -> None:
    assert held_back_bodies(held("application/pdf")) == ()
    assert held_back_bodies(held(size=2**40)) == ()
    assert held_back_bodies({}) == ()
