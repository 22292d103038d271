"""What a sender writes never makes his mail authenticated, and never unmakes it (B5).

The receiving Google server puts one header on top. Everything below it is the sender's,
and so are the envelope's sender and the comment that repeat him within it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.parsing.gmail_message import headers_of
from tests.support.gmail_resource import resource_of

OURS = "From: Rep <rep@ours.example>\r\n"
VERDICT = "dkim=pass header.i=@ours.example; dmarc=pass header.from=ours.example"
NAME = "Authentication-Results"

# Pieces of what an attacker would write, and any text.
WORDS = st.sampled_from(
    [
        VERDICT, "dmarc=pass", "header.from=ours.example", "mx.google.com", "spf=pass",
        "; ", ";", '"', "\\", "(", ")", "\\)", '\\"', "@", " ", "\t", "=", "\0", "ours.example",
    ]
)  # fmt: skip
PIECES = st.lists(WORDS | st.text(max_size=4), max_size=8).map("".join)
FORGED = st.sampled_from(
    [
        f"{NAME}: mx.google.com; {VERDICT}",
        f"{NAME.lower()}: mx.google.com; {VERDICT}",
        f"{NAME} : mx.google.com; {VERDICT}",
        f"ARC-{NAME}: i=1; mx.google.com; {VERDICT}",
        f"X-{NAME}: mx.google.com; {VERDICT}",
        f"X-Note: a\r\n\t{NAME}: mx.google.com; {VERDICT}",
        f"{NAME}: mx.evil.example; dmarc=fail header.from=ours.example",
        "Received-SPF: pass",
        "X-Gmail-Labels: SENT",
    ]
)
LINES = st.lists(
    FORGED | PIECES.map(lambda text: f"X-A: {one_line(text)}"), max_size=5
).map("\r\n".join)


def one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", " ")


def quoted(text: str) -> str:
    """A quoted string of any content, as a server writes it down."""
    plain = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def verdict(top: str, below: str) -> Any:
    lines = [f"{NAME}: {one_line(top)}", *([below] if below else []), OURS, "Hello"]
    raw = "\r\n".join(lines).encode("utf-8", "replace")
    return headers_of(resource_of(raw)).authenticity


@settings(max_examples=150, deadline=None)
@given(
    local=PIECES,
    said=st.sampled_from(["none", "softfail", "pass", "fail", "temperror"]),
    dmarc=st.sampled_from(["", "; dmarc=fail header.from=ours.example"]),
    below=LINES,
)
def test_nothing_a_sender_writes_authenticates_him(
    local: str, said: str, dmarc: str, below: str
) -> None:
    envelope = f"{quoted(local)}@evil.example"
    top = f"mx.google.com; spf={said} smtp.mailfrom={envelope}{dmarc}"
    assert verdict(top, below) != "pass"
    noted = f"mx.google.com; spf={said} (domain of {envelope}) smtp.mailfrom=x{dmarc}"
    assert verdict(noted, below) != "pass"


@settings(max_examples=80, deadline=None)
@given(below=LINES)
def test_nothing_below_takes_a_true_verdict_away(below: str) -> None:
    assert verdict(f"mx.google.com; {VERDICT}", below) == "pass"


@settings(max_examples=80, deadline=None)
@given(server=PIECES.map(one_line), below=LINES)
def test_only_the_receiving_server_itself_is_believed(server: str, below: str) -> None:
    # A semicolon would end the server's name: then it is Google's, with a result more.
    top = f"{server.replace(';', '')}.evil.example; {VERDICT}"
    assert verdict(top, below) != "pass"
