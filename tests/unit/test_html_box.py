"""M16: what could reach out of its place is in a box that scrolls."""

from __future__ import annotations

import pytest

from shared.core.parsing.html_box import in_box


@pytest.mark.parametrize(
    "html",
    [
        "W" * 39,
        "\u2014" * 20,
        "\U0001d54e" * 20,
        "W\u2007" * 20,
        "W\u00a0" * 20,
        "\u2003" * 20,
        "<b>WWWWWWWWWWWWWWW</b><i>WWWWWWWWWWWWWWW</i>",
        "W&nbsp;" * 20,
        '<p style="text-transform:uppercase">ßßßßßßßßßßßßßßßß</p>',
        "<ul>" * 3 + "<li>x</li>" + "</ul>" * 3,
        "<dl><dd>" * 3 + "x" + "</dd></dl>" * 3,
        "<li>x</li>",
        "<blockquote>" * 3 + "x" + "</blockquote>" * 3,
        "\ufdfd",
    ],
)
def test_what_may_be_wide_is_in_a_box(html: str) -> None:
    assert in_box(html).startswith("<div")


def test_a_few_plain_words_need_no_box() -> None:
    html = "<p>Hello Ann,<br>see you at 5\u2009\u2026</p>".replace("\u2009", " ")
    assert in_box(html) == html
