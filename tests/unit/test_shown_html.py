"""M16: what is shown of an HTML mail: no hidden text, blocks apart, readable colours."""

from __future__ import annotations

import pytest

from shared.core.parsing.html_box import BOX, finished
from shared.core.parsing.html_scan import tags_of
from shared.core.parsing.sanitise import safe_html
from shared.core.parsing.styles import declarations, safe_style
from shared.core.parsing.text_from_html import text_from_html

HIDING = [
    "display:none",
    "DISPLAY : NONE !important",
    "display:block;display:none",
    "display:none!important;display:block",
    "display:none;max-height:0",
    "opacity:0",
    "opacity:0.0",
    "max-height:0;overflow:hidden",
    "max-height:0px;overflow-y:clip;mso-hide:all",
    "height:1px;overflow:hidden",
    "width:0;overflow:hidden auto",
    "text-indent:-9999px",
    "/* x */display:none",
    "color:red;/* x ; */display:none;",
    'font-family:"a;b";display:none',
    "background:url(a;b);display:none",
]


@pytest.mark.parametrize("style", HIDING)
@pytest.mark.parametrize("around", ["{}", "<blockquote>{}</blockquote>"])
def test_m16_what_the_sender_hid_is_not_shown(style: str, around: str) -> None:
    hidden = f"<div style='{style}'>PRE<b>HEADER</b><br><img src=cid:a></div>"
    html = around.format(f"{hidden}<p>Words</p>")
    assert safe_html(html) == around.format("<p>Words</p>")
    assert text_from_html(html) == "Words"


@pytest.mark.parametrize(
    "hidden",
    [
        "<div hidden>PRE</div>",
        "<div hidden=until-found><section>PRE</section></div>",
        "<img hidden src=cid:a>",
        "<details hidden><summary>PRE</summary></details>",
    ],
)
def test_m16_the_hidden_attribute_hides(hidden: str) -> None:
    assert safe_html(f"{hidden}<p>Words</p>") == "<p>Words</p>"
    assert text_from_html(f"{hidden}<p>Words</p>") == "Words"


@pytest.mark.parametrize(
    "style",
    [
        "font-size:0",
        "font-size:1px",
        "font-size:0em",
        "font:0/0 a",
        "font: 1px/1px Arial",
        "visibility:hidden",
        "visibility:collapse",
        "color:transparent",
        "color:rgba(0,0,0,0)",
        "color:#FFF;background:white",
        "color:#fff;background-color:rgb(255, 255, 255)",
    ],
)
def test_m16_words_that_nobody_can_see_are_not_in_the_text(style: str) -> None:
    """What it does to the HTML is left: elements within may look otherwise."""
    html = f'<div style="{style}">PRE<i>VIEW</i></div>Words'
    assert text_from_html(html) == "Words"
    kept = safe_html(html)
    assert "Words" in kept
    assert "PRE" not in kept or 'style="' in kept or style.startswith("font:")


@pytest.mark.parametrize(
    "html",
    [
        '<td style="font-size:0"><p style="font-size:14px">Words</p></td>',
        '<td style="font-size:0"><p style="font-size:small">Words</p></td>',
        '<div style="visibility:hidden"><p style="visibility:visible">Words</p></div>',
        '<div style="color:#fff;background:#fff"><p style="color:#333">Words</p></div>',
        '<td bgcolor="fff" style="color:#fff"><p style="background:#000">Words</p></td>',
        '<p style="color:transparent;-webkit-background-clip:text">Words</p>',
        '<div style="mso-hide:all">Words</div>',
        '<div style="max-height:0">Words</div>',
        '<div style="visibility:inherit;font-size:inherit;color:inherit">Words</div>',
        '<div style="font-size:1.2em">Words</div>',
        '<div style="opacity:1;text-indent:2em">Words</div>',
        '<div style="display:none\\9">Words</div>',
        f'<div style="{"x:y;" * 2000}display:none">Words</div>',
    ],
)
def test_m16_what_can_be_seen_is_there(html: str) -> None:
    assert text_from_html(html) == "Words"
    assert "Words" in safe_html(html)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<p style="display:none">a<p>b', "b"),
        ('<ul><li style="display:none">a<li>b</ul>', "b"),
        ('<ul><li style="display:none">a<ul><li>c</ul>d</ul>b', "b"),
        ('<table><tr style="display:none"><td>a<tr><td>b</table>', "b"),
        ('<td style="display:none">a<table><td>c</table>d<td>b', "b"),
        ('<div style="display:none">a<b>c</i></div>b', "b"),
        ('<div><span style="display:none">a</div>b', "b"),
        ('<div style="display:none">' + "<i>" * 60 + "<li>a</div>b", "b"),
        ("<li>" + "<i>" * 60 + "<li>a", "a"),
        ("<pre>a\nb</pre>c\nd", "a\nb\nc d"),
        ("a<plaintext>b<p>c", "ab<p>c"),
        ("a</ x>b</>c", "abc"),
        ("a</ x", "a"),
        ("a<b", "a"),
        ("a<b c='d", "a"),
        ("a<b c=d / e>f", "af"),
        ("a<p c=\"d>\" c='e'>f", "a\nf"),
        ("<title>a", ""),
        ("<p style='display:none' STYLE='color:red'>a</p>b", "b"),
        ("<head><title>a</title><body>b", "b"),
    ],
)
def test_what_is_open_ends_as_in_a_browser(html: str, expected: str) -> None:
    assert text_from_html(html) == expected


@pytest.mark.parametrize(
    "tag",
    [
        "article", "aside", "details", "dialog", "dir", "fieldset", "footer", "form",
        "header", "hgroup", "legend", "main", "menu", "nav", "search", "section",
        "summary",
    ],
)  # fmt: skip
def test_m16_html5_blocks_stay_blocks_and_are_no_landmarks(tag: str) -> None:
    html = f"<{tag}>One</{tag}><{tag} title=x>Two</{tag}>"
    assert safe_html(html) == '<div>One</div><div title="x">Two</div>'
    assert text_from_html(html) == "One\nTwo"


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("background:#0a5;color:#fff", "color:#fff;background-color:#0a5"),
        ("background:#0a5 url(x) no-repeat", "background-color:#0a5"),
        ("background:RGB(1,2,3)", "background-color:rgb(1,2,3)"),
        ("background:url(x);color:#fff", "-lost:1"),
        ("background:none;color:#fff", "color:#fff"),
        ("background:transparent;color:#fff", "color:#fff;background-color:transparent"),
        ("background-color:transparent;background-image:url(x);color:#fff",
         "-lost:1;background-color:transparent"),
        ("background-image:linear-gradient(red,blue);color:#fff", "-lost:1"),
        ("background-color:#0a5;background-image:url(x);color:#fff",
         "color:#fff;background-color:#0a5"),
        ("color:var(--a);background:#000", "-lost:1"),
        ("color:nocolour;background:#000", "-lost:1"),
        ("color:#fff;background:nocolour", "-lost:1"),
        ("color:red;color:blue", "color:blue"),
        ("color:red!important;color:blue", "color:red"),
        ("color:", ""),
        ("nothing", ""),
        ("color:#12345", ""),
        ("font-family:\"A(b\", 'C'", ""),
        ("font-family:\"A b\", 'C'", "font-family:\"a b\", 'c'"),
    ],
)  # fmt: skip
def test_m16_a_colour_and_its_background_stay_together(
    style: str, expected: str
) -> None:
    shown = safe_style(declarations(style))
    assert shown == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a style="background:url(x);color:#fff">t</a>', "<a {}>t</a>"),
        (
            ('<div style="background:url(x)"><b style="color:#fff;font-weight:bold">t</b>'
            '<font color="#fff">u</font><i style="color:#fff">v</i></div>'
            '<b style="color:#fff">w</b>'),
            ('<div><b style="font-weight:bold">t</b><font>u</font><i>v</i></div>'
            '<b style="color:#fff">w</b>'),
        ),
        (
            ('<div style="background:url(x)"><p style="background:#000;color:#fff">t</p>'
            "</div>"),
            '<div><p style="color:#fff;background-color:#000">t</p></div>',
        ),
        ('<p style="background:url(x);text-align:left;color:#fff">t</p>',
         '<p style="text-align:left">t</p>'),
    ],
)  # fmt: skip
def test_m16_text_on_a_background_that_is_lost_keeps_no_colour(
    html: str, expected: str
) -> None:
    rel = 'target="_blank" rel="noopener noreferrer nofollow"'
    assert safe_html(html) == expected.format(rel)


def test_m16_a_table_on_a_picture_keeps_no_colours() -> None:
    shown = safe_html(
        '<table background="x.png"><tr><td><font color="white">a</font></td>'
        '<td bgcolor="000000"><font color="white">b</font></td></tr></table>'
    )
    assert "background=" not in shown
    assert "<font>a</font>" in shown
    assert '<td bgcolor="000000"><font color="white">b</font>' in shown


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<body bgcolor=000000 text="#fff">', "color:#fff;background-color:#000000"),
        ('<body style="background:navy">', "background-color:navy"),
        ('<body style="margin:0;width:9px">', None),
        ("<body>", None),
        ("<!-- <body bgcolor=red> -->", None),
    ],
)
def test_m16_the_colours_of_the_whole_mail_go_with_it(
    body: str, expected: str | None
) -> None:
    shown = safe_html(f'<html>{body}<p style="color:#fff">x</p>')
    inside = '<p style="color:#fff">x</p>'
    box = f'<div style="{BOX};{expected}">{inside}</div>'
    assert shown == (box if expected else inside)


def test_m16_a_picture_behind_the_whole_mail_takes_the_colours_with_it() -> None:
    assert safe_html('<body background=x.png><p style="color:#fff">x') == "<p>x</p>"


@pytest.mark.parametrize(
    "style",
    [
        f"{name}:{value}"
        for name, values in {
            "font-size": "3000px 101px 26em 400% -1px 1e9px calc(9px) 5vw 99999999px",
            "line-height": "-1 50 900px 600%",
            "letter-spacing": "-300px 100px 9em -1em 50%",
            "word-spacing": "-300px 100px",
            "text-indent": "-50px 3000px",
            "margin": "-1px -10px 201px 60% -5%",
            "margin-left": "-1px 999px",
            "padding": "-1px 300px 60%",
            "width": "5000px 101% 100vw -1px 99in",
            "height": "5000px 101% 100vh",
            "min-width": "1201px",
            "border": "999px -1px url(x)",
            "border-width": "21px",
            "border-spacing": "51px",
            "vertical-align": "400px -400px 50%",
            "outline": "9999px",
            "position": "fixed absolute relative sticky",
            "transform": "scale(9)",
            "float": "left",
            "z-index": "9",
            "top": "0",
            "box-shadow": "0",
            "zoom": "9",
            "animation": "x",
            "content": "x",
            "cursor": "none",
            "clip-path": "none",
            "filter": "none",
            "translate": "9px",
            "inset": "0",
            "font-family": "url(x) a@b",
        }.items()
        for value in values.split()
    ],
)
def test_lengths_beyond_what_a_mail_needs_are_dropped(style: str) -> None:
    assert safe_html(f'<p style="{style}">x</p>') == "<p>x</p>"


@pytest.mark.parametrize(
    "style",
    [
        "margin:0 auto",
        "padding:10px 2em 1% 0",
        "border:1px solid #ccc",
        "border-top:thin dashed red",
        "line-height:150%",
        "max-width:600px",
        "letter-spacing:-1px",
        "font-size:1.25em",
        "text-decoration:underline red",
    ],
)
def test_lengths_of_mail_stay(style: str) -> None:
    assert f'<p style="{style}">x</p>' in safe_html(f'<p style="{style}">x</p>')


@pytest.mark.parametrize(
    "attribute",
    ["width=5000", "width=101%", "height=9999", "border=99", "cellpadding=-1",
     "cellspacing=51", "width=1e9", "width=calc(1px)"],
)  # fmt: skip
def test_numbers_of_attributes_are_bounded(attribute: str) -> None:
    shown = safe_html(f"<table {attribute}><tr><td>x</table>")
    assert "<table>" in shown


def test_numbers_of_lists_and_cells_are_bounded() -> None:
    shown = safe_html("<ol start=-5><li value=9999999>x</ol>")
    assert 'start="-5"' in shown
    assert "value" not in shown
    assert "colspan" not in safe_html("<table><tr><td colspan=65000>x</table>")


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td>x</table>",
        "<p>" + "x" * 40,
        "<p dir=rtl>x",
        '<p style="padding:1px">x',
        "<img src=cid:a>",
        "<p>z\u0301\u0301",
        "<pre>x",
        "<div>" * 1001 + "x" * 40,
    ],
)
def test_what_could_reach_out_of_its_place_is_put_in_a_box(html: str) -> None:
    shown = safe_html(html)
    assert shown.startswith(f'<div style="{BOX}">')
    assert shown.endswith("</div>")


@pytest.mark.parametrize("html", ["", "<p>Dear Mia,<br>yes.</p>", "<p>Grüße"])
def test_plain_mail_needs_no_box(html: str) -> None:
    assert BOX not in safe_html(html)


def test_nothing_is_mended_where_nothing_has_to_be() -> None:
    html = '<p style="color:red">x</p>'
    assert finished(html) is html


def test_tags_know_where_they_are() -> None:
    html = "a<B c=d>e</b><!-- f -->"
    assert [(t.start, t.end, t.name, t.closing) for t in tags_of(html)] == [
        (1, 8, "b", False),
        (9, 13, "b", True),
        (13, 23, "", True),
    ]
