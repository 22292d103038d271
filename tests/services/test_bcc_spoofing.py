"""B5: anyone can write to a BCC address; what is not the user's, and true, is kept out.

Each case goes through the real flow: the logging mailbox of the simulated Gmail, with
the receiving server's Authentication-Results on top of whatever the attacker wrote.
"""

from __future__ import annotations

import pytest

from tests.support.bcc import ADA, ME, PROFILE, BccSystem

GOOD = "mx.google.com; dkim=pass header.i=@ours.example; dmarc=pass header.from=ours.example"
NONE = "mx.google.com; spf=none smtp.mailfrom=x@evil.example"
EVIL = "mx.google.com; dkim=pass header.i=@evil.example; dmarc=pass header.from=evil.example"
FROM = f"From: Rep <{PROFILE}>"

REFUSED: dict[str, tuple[str, str]] = {
    # who writes
    "a stranger": ("From: eve@evil.example", EVIL),
    "a stranger with the user's name": (f'From: "{PROFILE}" <eve@evil.example>', EVIL),
    "the user in a comment": (f"From: eve@evil.example ({PROFILE})", EVIL),
    "the user in an unquoted name": (f"From: {PROFILE} <eve@evil.example>", EVIL),
    "two From headers, the user first": (f"{FROM}\r\nFrom: eve@evil.example", GOOD),
    "two From headers, the user last": (f"From: eve@evil.example\r\n{FROM}", GOOD),
    "two addresses in From": (f"From: {PROFILE}, eve@evil.example", GOOD),
    "a group as From": (f"From: us: {PROFILE};", GOOD),
    "a route in From": (f"From: <@evil.example,{PROFILE}>", GOOD),
    "no From": ("X-From: nobody", GOOD),
    "an empty From": ("From: <>", GOOD),
    "Sender is the user": (f"From: eve@evil.example\r\nSender: {PROFILE}", EVIL),
    "Reply-To is the user": (f"From: eve@evil.example\r\nReply-To: {PROFILE}", EVIL),
    "a domain that looks alike": ("From: rep.profile@our\u0455.example", GOOD),
    "a subdomain of the user's": ("From: rep.profile@x.ours.example", GOOD),
    "the user's plus-address": ("From: rep.profile+x@ours.example", GOOD),
    "a longer local part": (f"From: x{PROFILE}", GOOD),
    "an address after the user's": (f"From: {PROFILE}>eve@evil.example", GOOD),
    "the user in angle brackets twice": (f"From: <{PROFILE}><eve@evil.example>", GOOD),
    "an encoded user": ("From: =?utf-8?q?rep=2Eprofile=40ours=2Eexample?=", EVIL),
    # what the receiving server says
    "nothing": (FROM, ""),
    "no verdict": (FROM, NONE),
    "SPF alone": (FROM, f"mx.google.com; spf=pass smtp.mailfrom={PROFILE}"),
    "DMARC fail": (FROM, "mx.google.com; dmarc=fail header.from=ours.example"),
    "DMARC fail beside an aligned DKIM pass": (
        FROM,
        "mx.google.com; dkim=pass header.i=@ours.example; dmarc=fail header.from=ours.example",
    ),
    "DKIM of another domain": (FROM, "mx.google.com; dkim=pass header.i=@evil.example"),
    "DKIM of a subdomain": (FROM, "mx.google.com; dkim=pass header.i=@x.ours.example"),
    "DKIM of a public suffix": (FROM, "mx.google.com; dkim=pass header.i=@example"),
    "DKIM fail": (FROM, "mx.google.com; dkim=fail header.i=@ours.example"),
    "DKIM temporary error": (FROM, "mx.google.com; dkim=temperror header.i=@ours.example"),
    "DMARC best guess": (FROM, "mx.google.com; dmarc=bestguesspass header.from=ours.example"),
    "DMARC pass for another domain": (FROM, EVIL),
    "two DMARC results": (
        FROM,
        "mx.google.com; dmarc=pass header.from=ours.example; dmarc=pass header.from=evil.example",
    ),
    "DMARC pass in a comment": (FROM, "mx.google.com; spf=none (dmarc=pass header.from=ours.example)"),
    "DMARC pass in a quoted local part": (
        FROM,
        'mx.google.com; spf=none smtp.mailfrom="; dmarc=pass header.from=ours.example; x"@evil.example',
    ),
    "a comment that never ends": (FROM, "mx.google.com; dkim=none (; dmarc=pass header.from=ours.example"),
    "ARC only": (FROM, "mx.google.com; arc=pass (i=1 dmarc=pass fromdomain=ours.example)"),
    # who says it
    "another server": (FROM, GOOD.replace("mx.google.com", "mx.evil.example")),
    "a server that begins so": (FROM, GOOD.replace("mx.google.com", "mx.google.com.evil.example")),
    "a server that ends so": (FROM, GOOD.replace("mx.google.com", "xmx.google.com")),
    "the server in a comment": (FROM, GOOD.replace("mx.google.com", "evil.example (mx.google.com)")),
    # forged below the topmost
    "forged below a fail": (
        f"Authentication-Results: {GOOD}\r\n{FROM}",
        "mx.google.com; dmarc=fail header.from=ours.example",
    ),
    "forged below no verdict": (f"Authentication-Results: {GOOD}\r\n{FROM}", NONE),
    "forged twice": (f"Authentication-Results: {GOOD}\r\n" * 2 + FROM, NONE),
    "forged in ARC": (f"ARC-Authentication-Results: i=1; {GOOD}\r\n{FROM}", NONE),
    "forged as X- header": (f"X-Authentication-Results: {GOOD}\r\n{FROM}", NONE),
    "forged by folding": (f"X-Note: a\r\n\tAuthentication-Results: {GOOD}\r\n{FROM}", NONE),
    "forged Received-SPF": (f"Received-SPF: pass\r\n{FROM}", NONE),
    "claims to be a Sent copy": (f"X-Gmail-Labels: SENT\r\nLabels: SENT\r\n{FROM}", NONE),
    "claims to come from the CRM": (f"X-CRM-Message: s/m1\r\n{FROM}", NONE),
}  # fmt: skip

ACCEPTED: dict[str, tuple[str, str]] = {
    "DMARC pass": (FROM, GOOD),
    "aligned DKIM, no DMARC": (FROM, "mx.google.com; dkim=pass header.i=@ours.example"),
    "folded, with comments": (
        FROM,
        (
            "mx.google.com;\r\n dkim=pass (2048-bit) header.i=@ours.example;\r\n"
            " dmarc=pass (p=NONE) header.from=ours.example"
        ),
    ),
    "upper case": (FROM.upper(), GOOD),
    "the connected address": (f"From: {ME}", GOOD),
    "a lower header says fail": (
        f"Authentication-Results: mx.evil.example; dmarc=fail\r\n{FROM}",
        GOOD,
    ),
    "Outlook's envelope": (
        f"{FROM}\r\nThread-Topic: x\r\nX-MS-Exchange-Organization-AuthAs: Internal",
        GOOD,
    ),
    "a quoted local part in SPF": (
        FROM,
        f'mx.google.com; spf=pass smtp.mailfrom="a;b"@ours.example; {GOOD[15:]}',
    ),
}


def _deliver(system: BccSystem, case: tuple[str, str]) -> None:
    head, results = case
    raw = (
        f"{head}\r\nTo: {ADA}\r\nSubject: x\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\n"
        "Message-ID: <forged@evil.example>\r\n\r\nBuy now"
    )
    system.world.deliver_from_outside(
        raw.encode(), [system.drop()], results or "x", sender="x@evil.example"
    )
    system.settle()


@pytest.mark.parametrize("decoded", [True, False])
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_b5_nothing_is_recorded_or_created_for_others(
    case: tuple[str, str], decoded: bool
) -> None:
    system = BccSystem()
    system.world.settings.headers_decoded = decoded
    events = len(system.events())
    before = {
        p for p in system.outside.documents.dump() if p.startswith("subaccounts/")
    }
    system.drop()
    _deliver(system, case)
    after = {p for p in system.outside.documents.dump() if p.startswith("subaccounts/")}
    assert after - before == {"subaccounts/s/bcc_addresses/u"}
    assert len(system.events()) == events
    (decision,) = system.decisions(message_id="<forged@evil.example>")
    assert decision.outcome == "ignored"
    assert decision.rule in {"B5", "M13"}
    # Nobody is answered, and nothing of the mail is kept but its ids (M14).
    assert system.world.outside == []
    assert "Buy now" not in repr(system.outside.documents.dump())


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_b5_the_users_own_true_mail_is_logged(case: tuple[str, str]) -> None:
    system = BccSystem()
    _deliver(system, case)
    assert len(system.said(ADA)) == 1


def test_b5_the_table_has_at_least_forty_cases() -> None:
    assert len(REFUSED) >= 40
