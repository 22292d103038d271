"""Authenticity: only what Google's own server found, and only about the sender (B5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.mail import Address
from shared.core.parsing.authentication import authenticity
from shared.core.parsing.authentication_results import read_results

ALICE = Address("Alice", "alice@example.org")
G = "mx.google.com; "
PASS = "dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org"
GOOGLE = (
    "mx.google.com;\r\n       dkim=pass header.i=@example.org header.s=s1"
    " header.b=AbC/d+E=;\r\n       spf=pass (google.com: domain of alice@example.org"
    " designates 192.0.2.1 as permitted sender) smtp.mailfrom=alice@example.org;\r\n"
    "       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=example.org"
)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        # as Google writes it
        (GOOGLE, "pass"),
        (G + PASS, "pass"),
        (G + "DMARC=Pass header.From=EXAMPLE.org", "pass"),
        (G + "dmarc = pass header.from = example.org", "pass"),
        (G + "dmarc/1=pass header.from=example.org", "pass"),
        ("mx.google.com 1; dmarc=pass header.from=example.org", "pass"),
        ("mx.google.com (x;dmarc=fail) ;dmarc=pass header.from=example.org", "pass"),
        (G + 'dmarc=pass header.from="example.org"', "pass"),
        (G + 'dmarc=pass header.from="EXAMPLE.org"', "pass"),
        (G + PASS + " " * (16 * 1024 - len(G + PASS)), "pass"),
        (G + "(" * 20 + ")" * 20 + PASS, "pass"),
        (G + 'x="a\\\nb"; ' + PASS, "pass"),
        (G + "dmarc=pass (a (nested \\) comment)) header.from=example.org;", "pass"),
        (G + "dmarc=fail (p=NONE) header.from=example.org", "fail"),
        (G + "dkim=pass header.d=example.org; dmarc=fail header.from=example.org", "fail"),
        (G + "dmarc=fail header.from=other.example", "fail"),
        # DMARC pass, but not for this sender
        (G + "dmarc=pass header.from=evil.example", "unknown"),
        (G + "dmarc=pass header.from=mail.example.org", "unknown"),
        (G + "dmarc=pass header.from=org", "unknown"),
        (G + "dmarc=pass", "unknown"),
        (G + "dmarc=pass header.from=", "unknown"),
        (G + "dmarc=pass header.from=example.org header.from=evil.example", "unknown"),
        (G + "dmarc=pass header.from=evil.example header.from=example.org", "unknown"),
        (G + 'dmarc=pass x="a header.from=example.org"', "unknown"),
        (G + "dmarc=pass header.from=evil.example; dkim=pass header.d=example.org", "unknown"),
        (G + PASS + "; " + PASS, "unknown"),
        (G + "dmarc=pass header.from=evil.example; " + PASS, "unknown"),
        (G + PASS + "; dmarc=fail", "fail"),
        # no DMARC policy: DKIM of the sender's domain or a parent
        (G + "dkim=pass header.d=example.org", "pass"),
        (G + "dkim=pass header.i=@example.org header.s=s header.b=x", "pass"),
        (G + "dkim=pass header.i=alice@example.org", "pass"),
        (G + "dkim=fail header.d=example.org; dkim=pass header.i=@example.org", "pass"),
        (G + "dkim=pass header.d=evil.example; dkim=pass header.d=Example.ORG", "pass"),
        (G + "dmarc=none header.from=example.org; dkim=pass header.d=example.org", "pass"),
        (G + "dmarc=temperror; dkim=pass header.d=example.org", "pass"),
        (G + "dkim=pass header.d=evil.example header.i=@example.org", "unknown"),
        (G + "dkim=pass header.d=mail.example.org", "unknown"),
        (G + "dkim=pass header.d=badexample.org", "unknown"),
        (G + "dkim=pass header.d=org", "unknown"),
        (G + "dkim=pass header.i=@", "unknown"),
        (G + "dkim=pass", "unknown"),
        (G + "dkim=pass header.d=example.org header.d=evil.example", "unknown"),
        (G + "dkim=neutral header.d=example.org", "unknown"),
        (G + "dkim=none", "unknown"),
        (G + "none", "unknown"),
        # SPF alone is not enough
        (G + "spf=pass smtp.mailfrom=alice@example.org", "unknown"),
        (G + "spf=fail smtp.mailfrom=alice@example.org", "fail"),
        (G + "dkim=fail header.d=example.org; spf=softfail", "fail"),
        (G + "dkim=fail header.d=example.org; spf=pass", "unknown"),
        (G + "spf=softfail", "unknown"),
        # what the sender chose, repeated in the header
        (G + 'spf=pass smtp.mailfrom="a;dmarc=pass header.from=example.org"@evil.example', "unknown"),
        (G + 'spf=pass smtp.mailfrom="a\\";dmarc=pass header.from=example.org;x=\\""@evil.example', "unknown"),
        (G + "spf=pass (dmarc=pass header.from=example.org)", "unknown"),
        (G + "spf=pass (a; dmarc=pass header.from=example.org)", "unknown"),
        (G + "spf=pass ((a) ; dmarc=pass header.from=example.org)", "unknown"),
        (G + 'spf=pass (domain of "a); dmarc=pass header.from=example.org (b"@evil.example)', "unknown"),
        (G + 'spf=pass (domain of "a) ; dmarc=pass header.from=example.org', "unknown"),
        (G + "spf=pass smtp.mailfrom=dmarc=pass@evil.example", "unknown"),
        (G + "dkim=pass header.i=header.d=example.org@evil.example", "unknown"),
        (G + "spf=pass header.d=example.org", "unknown"),
        (G + "dmarc=fail (header.from=example.org) " + PASS, "fail"),
        # another server, or none that can be read
        ("mx.evil.example; " + PASS, "unknown"),
        ("mx.google.com.evil.example; " + PASS, "unknown"),
        ("evil.mx.google.com; " + PASS, "unknown"),
        ("MX.GOOGLE.COM; " + PASS, "unknown"),
        ('"mx.google.com"@evil.example; ' + PASS, "unknown"),
        ("mx.google.com extra; " + PASS, "unknown"),
        ("(mx.google.com) mx.evil.example; " + PASS, "unknown"),
        ("mx.google.com " + PASS, "unknown"),
        ("; " + PASS, "unknown"),
        ("", "unknown"),
        ("mx.google.com", "unknown"),
        # malformed: not read at all
        (G + "(open " + PASS, "unknown"),
        (G + '"open ' + PASS, "unknown"),
        (G + ") " + PASS, "unknown"),
        (G + "a\\; " + PASS, "unknown"),
        (G + "a\\\n; " + PASS, "unknown"),
        (G + PASS + " " * (16 * 1024 + 1 - len(G + PASS)), "unknown"),
        (G + "(" * 21 + ")" * 21 + PASS, "unknown"),
        (G + "(" * 50 + ")" * 50 + PASS, "unknown"),
        (G + "x" * 20_000 + "; " + PASS, "unknown"),
        (G + "=pass; ; dmarc; dmarc==pass header.from=example.org", "unknown"),
    ],
)  # fmt: skip
def test_verdict(results: str, expected: str) -> None:
    headers = [("Authentication-Results", results)]
    assert authenticity(headers, ALICE) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "unknown"),
        ([("authentication-results", GOOGLE)], "pass"),
        ([("Received", "x"), ("Authentication-Results", GOOGLE), ("Authentication-Results", "mx.google.com; dmarc=fail")], "pass"),
        ([("Authentication-Results", "mx.google.com; dmarc=fail"), ("Authentication-Results", GOOGLE)], "fail"),
        ([("Authentication-Results", "mx.other.example; spf=none"), ("Authentication-Results", GOOGLE)], "unknown"),
        ([("Authentication-Results", ""), ("Authentication-Results", GOOGLE)], "unknown"),
        ([("ARC-Authentication-Results", "i=1; " + GOOGLE)], "unknown"),
        ([("X-Authentication-Results", GOOGLE)], "unknown"),
        ([("X-Google-Authentication-Results", GOOGLE)], "unknown"),
        ([("Authentication-Results-Original", GOOGLE)], "unknown"),
    ],
)  # fmt: skip
def test_only_the_topmost_header_of_that_name_counts(
    headers: list[tuple[str, str]], expected: str
) -> None:
    assert authenticity(headers, ALICE) == expected


@pytest.mark.parametrize("results", ["dmarc=pass", "dkim=pass", "dkim=pass header.i="])
@pytest.mark.parametrize("domain", ["none", "localhost", "xxxx"])
def test_a_pass_that_names_no_domain_is_nobodys(results: str, domain: str) -> None:
    """No word stands for a domain that is not named, and mail may come from any."""
    sender = Address(None, f"ada@{domain}")
    headers = [("Authentication-Results", G + results)]
    assert authenticity(headers, sender) == "unknown"


def test_nobody_is_authenticated_without_a_sender() -> None:
    assert authenticity([("Authentication-Results", GOOGLE)], None) == "unknown"


@pytest.mark.parametrize(
    ("sender", "signer", "expected"),
    [
        ("a@eu.example.org", "example.org", "pass"),
        ("a@x.eu.example.org", "eu.example.org", "pass"),
        ("a@shop.example.co.uk", "example.co.uk", "pass"),
        ("a@example.co.uk", "co.uk", "unknown"),
        ("a@example.com.br", "com.br", "unknown"),
        ("a@example.uk", "uk", "unknown"),
        ("a@mail.bbc.uk", "bbc.uk", "pass"),
        ("a@mail.sap.de", "sap.de", "pass"),
        ("a@mail.kai.jp", "kai.jp", "pass"),
        ("a@evil.github.io", "github.io", "unknown"),
        ("a@www.evil.github.io", "evil.github.io", "pass"),
        ("a@shop.kobe.jp", "kobe.jp", "unknown"),
        ("a@x.xn--p1ai", "xn--p1ai", "unknown"),
        ("a@host.intern", "intern", "unknown"),
        ("a@mail.firm.uk", "firm.uk", "pass"),
        ("a@co.uk", "co.uk", "pass"),
        ("a@github.io", "evil.github.io", "unknown"),
        ("a@mail.firma.de", "firma.de", "pass"),
        ("a@bücher.example", "xn--bcher-kva.example", "pass"),
        ("a@bücher.example", "bücher.example", "pass"),
    ],
)
def test_who_may_sign_for_whom(sender: str, signer: str, expected: str) -> None:
    address = Address(None, sender.replace("bücher", "xn--bcher-kva"))
    headers = [
        ("Authentication-Results", f"mx.google.com; dkim=pass header.d={signer}")
    ]
    assert authenticity(headers, address) == expected


def test_properties_are_read_to_their_end() -> None:
    checked = read_results(GOOGLE)
    assert checked is not None
    assert checked.results[0].properties == {
        "header.i": "@example.org",
        "header.s": "s1",
        "header.b": "AbC/d+E=",
    }


@given(st.text() | st.text(st.sampled_from('ad();"\\= \r\nkimpass./1')))
def test_no_header_raises(value: str) -> None:
    read_results(value)
    authenticity([("Authentication-Results", value)], ALICE)


quoted = st.text(st.sampled_from('ab;=()"\\ @.,<>\t')).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)


@given(st.text(st.sampled_from("ab;= @.,<>\t\\")), quoted)
def test_nothing_in_quotes_or_comments_can_authenticate(
    comment: str, local: str
) -> None:
    """The sender's words appear only where Google puts them, quoted or commented."""
    evil = "; dmarc=pass header.from=example.org ;"
    comment = comment.replace("\\", "")
    inner = local[:-1] + evil + '"'
    value = f"{G}spf=pass ({comment}{evil}) smtp.mailfrom={inner}@evil.example"
    assert authenticity([("Authentication-Results", value)], ALICE) == "unknown"
