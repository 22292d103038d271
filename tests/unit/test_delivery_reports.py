"""S12: what of a message says that it is a bounce, and odd forms of reports."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.limits import MAX_BOUNCED_RECIPIENTS
from shared.core.mail import Address
from shared.core.parsing import bounce_text, delivery_reports
from shared.core.parsing.bounce_signs import is_daemon, may_be_bounce, tells_delay
from shared.core.parsing.bounce_text import Said
from shared.core.parsing.delivery_reports import held_back_reports, report_of

ADA = "ada@client.example"
REPORT = "multipart/report; report-type=delivery-status"
ANN = Address("Ann", "ann@client.example")


def part(kind: str, text: str = "", **more: Any) -> dict[str, Any]:
    data = base64.urlsafe_b64encode(text.encode()).decode()
    body = {"data": data, "size": len(text)}
    headers = [{"name": "Content-Type", "value": kind}]
    return {"mimeType": kind.partition(";")[0], "headers": headers, "body": body} | more


def message(*parts: Any, kind: str = REPORT, **headers: str) -> dict[str, Any]:
    named = [{"name": "Content-Type", "value": kind}]
    named += [
        {"name": name.replace("_", "-"), "value": value}
        for name, value in headers.items()
    ]
    payload = part(kind) | {"headers": named, "parts": list(parts), "body": {}}
    return {"payload": payload}


def plain(text: str, **headers: str) -> dict[str, Any]:
    named = [{"name": k.replace("_", "-"), "value": v} for k, v in headers.items()]
    return {"payload": part("text/plain", text) | {"headers": named}}


def status(*lines: str) -> dict[str, Any]:
    return part("message/delivery-status", "\n".join(lines))


def read(resource: dict[str, Any]) -> list[tuple[Any, ...]]:
    report = report_of(resource)
    assert report is not None
    return [(*f.addresses, f.code, f.permanent) for f in report.failures]


# --- by its headers --------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "sender", "may"),
    [
        ([], None, False),
        ([("Content-Type", REPORT)], ANN, True),
        ([("Content-Type", "multipart/report")], ANN, True),
        ([("Content-Type", 'multipart/REPORT; report-type="x"')], ANN, False),
        ([("Content-Type", "text/plain")], ANN, False),
        ([("X-Failed-Recipients", ADA)], ANN, True),
        ([], Address(None, "MAILER-DAEMON@x.example"), True),
        ([], Address("Mail Delivery Subsystem", "noreply@x.example"), True),
        ([("From", "Mail Delivery System <>")], None, True),
        ([("From", "Ann, Bob")], None, False),
        ([("Return-Path", "<>")], ANN, False),
        ([("Return-Path", "<>"), ("Subject", "Undeliverable: x")], ANN, True),
        ([("Return-Path", "<a@x>"), ("Subject", "Undeliverable: x")], ANN, False),
        ([("Return-Path", "<>"), ("Subject", "Automatic reply: x")], ANN, False),
    ],
)
def test_s12_what_may_be_a_bounce(
    headers: list[tuple[str, str]], sender: Address | None, may: bool
) -> None:
    assert bool(may_be_bounce(headers, sender)) == may


@pytest.mark.parametrize(
    ("address", "daemon"),
    [
        ("mailer-daemon@x.example", True),
        ("postmaster@x.example", True),
        ("postmaster+1@x.example", True),
        ("microsoftexchange329e71ec88ae4615bbc36ab6ce41109e@x.example", True),
        ("daemon@x.example", False),
        ("postmasters@x.example", False),
        ("ann@x.example", False),
    ],
)
def test_s12_who_is_a_mail_server(address: str, daemon: bool) -> None:
    assert is_daemon(address) == daemon


def test_s12_words_of_a_delay() -> None:
    assert tells_delay("Warning: message DELAYED 24 hours")
    assert not tells_delay("no such user")


# --- fields ----------------------------------------------------------------------


def test_s12_gmail_may_take_the_fields_apart_itself() -> None:
    """The report's blocks and the returned email are then parts with headers."""
    block = part("text/plain")
    block["headers"] = [
        {"name": "Final-Recipient", "value": f"rfc822; {ADA}"},
        {"name": "Action", "value": "failed"},
        {"name": "Status", "value": "5.1.1"},
    ]
    apart = {"mimeType": "message/delivery-status", "body": {}, "parts": [block]}
    inner = part("text/plain")
    inner["headers"] = [{"name": "Message-ID", "value": "<sent@x>"}]
    back = {"mimeType": "message/rfc822", "body": {}, "parts": [inner]}
    resource = message(part("text/plain", "gone"), apart, back)
    assert held_back_reports(resource) == ()
    assert read(resource) == [(ADA, "5.1.1", True)]
    report = report_of(resource)
    assert report is not None
    assert report.message_ids == ("<sent@x>",)


def test_s12_what_is_too_big_or_has_been_read_is_not_asked_for() -> None:
    def kept(kind: str, size: int, name: str) -> dict[str, Any]:
        return part(kind) | {"body": {"attachmentId": name, "size": size}}

    resource = message(
        kept("message/delivery-status", 900, "a1"),
        kept("message/rfc822", 10_000_000, "a2"),
        kept("text/rfc822-headers", 900, "a3"),
        kept("message/delivery-status", 10_000_000, "a4"),
    )
    assert held_back_reports(resource) == ("a1", "a3")
    fields = f"Final-Recipient: rfc822; {ADA}\nAction: failed\n".encode()
    report = report_of(resource, {"a1": fields, "a3": b"Message-ID: <sent@x>\n"})
    assert report is not None
    assert report.message_ids == ("<sent@x>",)
    assert [f.addresses for f in report.failures] == [(ADA,)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Action: failed", "Status: 5.1.1"], (ADA, "5.1.1", True)),
        (["Action: failed", "Status: 4.4.7"], (ADA, "4.4.7", True)),
        (["Action: delayed", "Status: 4.4.7"], (ADA, "4.4.7", False)),
        (["Action: failed (final)", "Status: 5.1.1 (bad)"], (ADA, "5.1.1", True)),
        (["Status: 5.2.0"], (ADA, "5.2.0", True)),
        (["Status: 4.2.0"], (ADA, "4.2.0", False)),
        (["Action: failed"], (ADA, None, True)),
        (["Action: failed", "Diagnostic-Code: smtp; 550 no"], (ADA, "550", True)),
        (
            ["Action: failed", "Status: 5.0.0", "Diagnostic-Code: 550 5.7.1 no"],
            (ADA, "5.7.1", True),
        ),
        (
            ["Action: failed", "Status: 5.0.0", "Diagnostic-Code: 550 no"],
            (ADA, "5.0.0", True),
        ),
        (
            ["Action: failed", "Status: 5.1.1", "Diagnostic-Code: 550 5.7.1 no"],
            (ADA, "5.1.1", True),
        ),
        (
            ["Action: failed", "Diagnostic-Code: smtp; x [5.1.1.2] y"],
            (ADA, None, True),
        ),
    ],
)
def test_s12_the_fields_of_a_recipient(
    lines: list[str], expected: tuple[Any, ...]
) -> None:
    resource = message(status(f"Final-Recipient: rfc822; {ADA}", *lines))
    assert read(resource) == [expected]


@pytest.mark.parametrize(
    "lines",
    [
        ["Action: delivered", "Status: 2.0.0"],
        ["Action: expanded"],
        ["Status: 2.1.5"],
        ["Action: perhaps"],
    ],
)
def test_s12_a_report_without_a_failure_names_nobody(lines: list[str]) -> None:
    resource = message(status(f"Final-Recipient: rfc822; {ADA}", *lines))
    assert read(resource) == []


@pytest.mark.parametrize(
    "recipient",
    [
        f"rfc822;{ADA}",
        f"RFC822 ; <{ADA}>",
        ADA,
        f"rfc822; Ada Lee <{ADA}>",
    ],
)
def test_s12_how_a_recipient_is_written(recipient: str) -> None:
    resource = message(status(f"Final-Recipient: {recipient}", "Action: failed"))
    assert read(resource) == [(ADA, None, True)]


def test_s12_one_that_has_no_address_is_left_out() -> None:
    resource = message(status("Final-Recipient: x400; /c=us/", "Action: failed"))
    assert read(resource) == []


def test_s12_a_recipient_is_named_once() -> None:
    block = [f"Final-Recipient: rfc822; {ADA}", "Action: failed", ""]
    assert read(message(status(*block, *block))) == [(ADA, None, True)]


def test_s12_no_more_recipients_than_a_message_shows() -> None:
    blocks = [
        line
        for n in range(300)
        for line in (f"Final-Recipient: rfc822; a{n}@x.example", "Action: failed", "")
    ]
    assert len(read(message(status(*blocks)))) == MAX_BOUNCED_RECIPIENTS


def test_s12_the_message_id_may_stand_in_the_fields() -> None:
    fields = status("Original-Message-ID: <sent@x>", "", f"Final-Recipient: {ADA}")
    report = report_of(message(fields))
    assert report is not None
    assert report.message_ids == ("<sent@x>",)


def test_s12_gmail_keeps_the_message_id_that_it_replaces() -> None:
    back = part(
        "text/rfc822-headers",
        "Message-ID: <new@mail.gmail.com>\nX-Google-Original-Message-ID: <own@x>\n"
        "X-CRM-Message: no mark\n",
    )
    second = part("message/rfc822", "Message-ID: <other@x>\n")
    report = report_of(message(status(f"Final-Recipient: {ADA}"), back, second))
    assert report is not None
    assert report.message_ids == ("<new@mail.gmail.com>", "<own@x>")
    assert report.crm_message is None


# --- text ------------------------------------------------------------------------


def test_s12_text_of_a_server_that_says_nothing_of_a_failure_is_no_bounce() -> None:
    hello = plain(f"Hello {ADA}", From="postmaster@x.example", Subject="Hi")
    assert report_of(hello) is None
    failed = plain("It failed.", From="postmaster@x.example", Subject="Undeliverable")
    assert report_of(failed) is None


def test_s12_addresses_in_the_middle_of_a_text_count_where_no_line_begins_so() -> None:
    text = "We could not deliver what you sent (ada@client.example) today."
    resource = plain(text, From="postmaster@x.example", To="rep@ours.example")
    assert read(resource) == [(ADA, None, True)]


def test_s12_sender_and_addressee_of_the_bounce_are_not_who_failed() -> None:
    text = f"rep@ours.example: could not be delivered to\n\n{ADA}\n\npostmaster@y.org\n"
    resource = plain(text, From="noreply@x.example", To="rep@ours.example")
    assert read(resource) == [(ADA, None, True)]


def test_s12_a_final_code_tells_more_than_words_of_a_delay() -> None:
    text = f"{ADA}: 550 5.1.1 gone\n\nIt was delayed before.\n"
    resource = plain(text, From="postmaster@x.example", Subject="Undelivered mail")
    assert read(resource) == [(ADA, "5.1.1", True)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("550 5.1.1 no", "5.1.1"),
        ("(#5.1.1)", "5.1.1"),
        ("said: 550-no", "550"),
        ("552: full", "552"),
        ("host [5.1.1.1] 192.4.2.1", None),
        ("550", "550"),
        ("2026-03-02 09:45:51, 4500 bytes, port:587", None),
        ("on 550-12 street", None),
    ],
)
def test_s12_a_code_in_a_text(text: str, code: str | None) -> None:
    assert bounce_text.code_in(text) == code


def test_s12_a_text_without_a_reason_has_no_detail() -> None:
    assert bounce_text.passage_about(Said(f"failed:\n\n{ADA}\n"), [ADA]) == ""
    assert bounce_text.passage_about(Said(""), [ADA]) == ""
    assert bounce_text.passage_about(Said("x\n\n550 5.1.1 gone\n\ny"), [ADA]) == (
        "550 5.1.1 gone"
    )
    assert bounce_text.passage_about(Said("one\n\nlast words"), [ADA]) == "last words"


def test_s12_the_next_recipients_line_ends_a_passage() -> None:
    text = f"{ADA}\ngone\nbob@client.example\nfull"
    assert bounce_text.passage_about(Said(text), [ADA]) == "gone"


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_s12_nothing_that_gmail_could_answer_makes_it_fail(odd: Any) -> None:
    for resource in (
        {"payload": odd},
        {"payload": {"headers": odd, "parts": odd, "mimeType": odd}},
        message(odd, {"mimeType": "message/delivery-status", "parts": odd}),
        message({"mimeType": "message/rfc822", "parts": odd, "body": odd}),
    ):
        assert held_back_reports(resource) == ()
        report_of(resource)


@given(st.text(max_size=400))
def test_s12_no_text_makes_it_fail(text: str) -> None:
    resource = message(part("text/plain", text), status(text), part("text/html", text))
    report_of(resource)
    report_of(plain(text, From=text, To=text, Subject=text, X_Failed_Recipients=text))


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        ("s/m1", "s/m1"),
        ("m1", None),
        ("s/..", None),
        ("../m1", None),
        ("s/__all__", None),
        ("s/m1/more", None),
    ],
)
def test_s12_our_own_header_must_name_what_can_be(
    written: str, mark: str | None
) -> None:
    """It becomes a document's path, and the store refuses some names."""
    back = part("text/rfc822-headers", f"X-CRM-Message: {written}\n")
    report = report_of(message(status(f"Final-Recipient: {ADA}"), back))
    assert report is not None
    assert report.crm_message == mark


def test_s12_thousands_of_recipients_are_read_no_further_than_the_first_hundred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For each of them the whole text is looked through."""
    looked: list[object] = []
    monkeypatch.setattr(
        delivery_reports, "passage_about", lambda *of: looked.append(of) or ""
    )
    lines = [f"a{n}@x.example" for n in range(9_000)]
    text = plain("\n".join(lines), From="postmaster@x.example", Subject="Undelivered")
    fields = [f"Final-Recipient: {line}\nAction: failed\n" for line in lines]
    for resource in (text, message(part("text/plain", "x"), status(*fields))):
        looked.clear()
        assert len(read(resource)) == MAX_BOUNCED_RECIPIENTS
        assert len(looked) == MAX_BOUNCED_RECIPIENTS
