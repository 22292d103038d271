"""A mail's HTML never covers the page that shows it, whatever lengths it asks for.

Hundreds of vectors, each property with each bad value, go into a page with a header, a
menu, a side bar and a footer; outside of the mail's own box only these answer.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from shared.core.parsing.sanitise import safe_html

pytestmark = pytest.mark.browser

LENGTHS = (
    "font-size", "line-height", "letter-spacing", "word-spacing", "text-indent", "margin",
    "margin-top", "margin-left", "margin-right", "margin-bottom", "padding", "padding-top",
    "padding-left", "width", "min-width", "max-width", "height", "min-height", "top",
    "left", "vertical-align", "border-width", "border", "outline", "outline-offset",
    "border-spacing", "inset", "translate", "box-shadow", "text-shadow", "scale", "zoom",
    "font", "columns", "gap", "-webkit-text-stroke", "border-image-outset",
)  # fmt: skip
AMOUNTS = ("3000px", "-3000px", "200em", "-200em", "900%", "-900%", "500vw", "99in")
STYLES = (
    "position:fixed;top:0;left:0;width:100vw;height:100vh",
    "position:absolute;inset:0",
    "position:relative;top:-300px;left:-300px;font-size:100px",
    "float:left;margin-left:-2000px",
    "display:block;width:1200px;height:1200px;margin:0 0 0 -200px",
    "transform:translate(-300px,-300px) scale(9)",
    "white-space:nowrap;font-size:100px;direction:rtl",
    "line-height:0;font-size:100px",
    "letter-spacing:-2px;word-spacing:-2px;font-size:100px;line-height:0",
    "font-size:300%;line-height:0",
    "padding:200px;width:1200px;height:1200px",
    "border:20px solid red;width:1200px;margin:200px",
    "unicode-bidi:bidi-override;direction:rtl;white-space:pre",
)
RAW = (
    '<table width="1200" height="1200" cellpadding="200"><tr><td>{}</td></tr></table>',
    "<pre>" + "{}" * 40 + "</pre>",
    '<p dir="rtl">' + "{}" * 60 + "</p>",
    '<bdo dir="rtl">' + "\u2588" * 400 + "</bdo>",
    "<p>" + "z" + "\u0301\u0489\u20dd" * 300 + "{}</p>",
    "<big>" * 60 + "{}",
    '<font size="7">{}</font>' * 30,
    '<ol start="99999"><li>{}</li></ol>',
    '<img src="cid:a" width="1200" height="1200" alt="x">{}',
    '<hr width="1200" size="20">{}',
    "<h1>" + "<sup>" * 300 + "{}",
    "<h1>" + "<sub>" * 300 + "{}",
    "<blockquote>" * 300 + "{}",
    "</div></div></main></section></body>{}",
    "<table><tr>" + "<td>{}</td>" * 90 + "</tr></table>",
)
LINK = '<a href="https://evil.example">\u2588\u2588\u2588\u2588\u2588\u2588</a>'
VECTORS = (
    *(
        f'<{tag} style="{name}:{amount};color:red">{LINK}</{tag}>'
        for (name, amount), tag in zip(
            product(LENGTHS, AMOUNTS), ("p", "span", "div") * 999, strict=False
        )
    ),
    *(f'<div style="{style}">{LINK}</div>' for style in STYLES),
    *(f'<span style="{style}">{LINK}</span>' for style in STYLES),
    *(
        f'<a style="{style}" href="https://evil.example">\u2588\u2588\u2588</a>'
        for style in STYLES
    ),
    *(raw.replace("{}", LINK) for raw in RAW),
)

PAGE = """<!doctype html><title>CRM</title><style>
body { margin: 0; } header { height: 150px; } nav { float: left; width: 200px; }
aside { float: right; width: 200px; } nav, aside { height: 500px; }
main { margin: 0 210px; } footer { clear: both; height: 100px; }
</style><header>Contact</header><nav>Menu</nav><aside>Deals</aside>
<main>%s</main><footer>Delete</footer>"""

# Whatever of the mail answers at a place outside of the box that shows it.
COVERED = """html => {
  const main = document.querySelector("main");
  main.innerHTML = html;
  const box = main.getBoundingClientRect(), found = [];
  for (let x = 5; x < innerWidth; x += 25)
    for (let y = 5; y < innerHeight; y += 25) {
      const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
      const top = document.elementFromPoint(x, y);
      if (!inside && top && top !== main && main.contains(top))
        found.push(`${top.localName} at ${x},${y}`);
    }
  return found;
}"""


@pytest.fixture(scope="module")
def tab(chromium: Any) -> Any:
    context = chromium.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    page.set_content(PAGE % "")
    yield page
    context.close()


@pytest.mark.parametrize(
    "style", ["", "height:100px"], ids=["as high as it needs", "low"]
)
def test_only_the_page_answers_outside_of_the_mails_box(tab: Any, style: str) -> None:
    assert len(set(VECTORS)) > 300
    tab.evaluate("style => document.querySelector('main').style = style", style)
    covered = {
        vector[:120]: found[:3]
        for vector in VECTORS
        if (found := tab.evaluate(COVERED, safe_html(vector)))
    }
    assert covered == {}


@pytest.mark.parametrize(
    "raw",
    [
        f'<p style="position:fixed;top:0;left:0;font-size:90px">{LINK}</p>',
        f'<div style="float:left;margin-left:-150px;font-size:60px">{LINK}</div>x',
        f'<p>x</p><p style="position:absolute;top:40px;left:40px;font-size:60px">{LINK}</p>',
        f'<div style="float:left;position:relative;top:-90px;font-size:60px">{LINK}</div>x',
    ],
)
def test_what_covers_the_page_would_be_noticed(tab: Any, raw: str) -> None:
    assert tab.evaluate(COVERED, raw)


def test_m16_words_of_blocks_stay_apart_and_hidden_ones_unseen(tab: Any) -> None:
    words = tab.evaluate(
        "html => { const main = document.querySelector('main');"
        " main.innerHTML = html; return main.innerText; }",
        safe_html(
            "<div style='display:none;max-height:0'>PRE</div><section>One</section>"
            "<article>Two</article><details><summary>Three</summary>Four</details>"
            "<div style='visibility:hidden'>PRE</div>"
        ),
    )
    assert words.split("\n") == ["One", "Two", "Three", "Four", ""] or (
        words.split() == ["One", "Two", "Three", "Four"]
    )
