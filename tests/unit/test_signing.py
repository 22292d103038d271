"""S14: the Gmail signature below a mail of the CRM."""

from __future__ import annotations

import pytest

from shared.core.sending.signing import signed

SIGNATURE = "<div>Mia<br>Sales &amp; more</div>"
BELOW = (
    '<br clear="all"><span class="gmail_signature_prefix">-- </span><br>'
    f'<div class="gmail_signature" data-smartmail="gmail_signature">{SIGNATURE}</div>'
)


@pytest.mark.parametrize(
    ("text", "html", "expected"),
    [
        ("Hello\n", None, ("Hello\n\n-- \nMia\nSales & more", None)),
        (None, "<p>Hello</p>", (None, f"<p>Hello</p>{BELOW}")),
        (
            "Hello",
            "<html><body>Hello</body></html>",
            (
                "Hello\n\n-- \nMia\nSales & more",
                f"<html><body>Hello{BELOW}</body></html>",
            ),
        ),
        (None, "</body>x</BODY >", (None, f"</body>x{BELOW}</BODY >")),
        (None, None, (None, BELOW)),
    ],
)
def test_s14_the_signature_stands_below(
    text: str | None, html: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert signed(text, html, SIGNATURE) == expected


@pytest.mark.parametrize("empty", ["", " ", "<div><br></div>"])
def test_s14_an_empty_signature_adds_nothing(empty: str) -> None:
    assert signed("Hello", "<p>Hello", empty) == ("Hello", "<p>Hello")


def test_s14_a_signature_can_be_a_picture() -> None:
    _, html = signed(None, "Hello", '<img src="https://x.example/a.png">')
    assert html is not None
    assert html.endswith('<img src="https://x.example/a.png"></div>')
