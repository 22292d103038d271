"""B1, B6: the form of a BCC address, its token, and how it is kept out of sight."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import SubaccountId, UserId
from shared.core.mail import Address
from shared.core.matching import bcc, bcc_redaction
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import BCC_PLACEHOLDER
from tests.support.crm import ME, S, U, mail

ADA, BOB, MATE = "ada@client.example", "bob@client.example", "mate@ours.example"
TOKEN = "a" * 20
FORM = BccAddressFormat.parse("log+{token}@logs.example")


@pytest.mark.parametrize(
    ("address", "token"),
    [
        (f"log+{TOKEN}@logs.example", TOKEN),
        (f"log+{TOKEN}x@logs.example", None),
        (f"log+{TOKEN[:-1]}@logs.example", None),
        (f"log+{TOKEN[:-1]}1@logs.example", None),
        (f"log-{TOKEN}@logs.example", None),
        (f"log+{TOKEN}@sub.logs.example", None),
        ("log@logs.example", None),
    ],
)
def test_b6_an_address_is_recognised_by_its_form(
    address: str, token: str | None
) -> None:
    assert FORM is not None
    assert FORM.token_of(address) == token


@pytest.mark.parametrize("where", ["to", "cc", "bcc", "delivered_to"])
def test_b6_nothing_is_left_of_the_address(where: str) -> None:
    assert FORM is not None
    address = FORM.address(TOKEN)
    value: Any = address if where == "delivered_to" else Address(address, address)
    message = replace(mail(ME, [ADA]), **{where: (value,)})
    veiled = bcc_redaction.redact_bcc_addresses(message, FORM)
    assert veiled.drops == (TOKEN,)
    assert TOKEN not in repr(replace(veiled, drops=()))
    shown = veiled.cc if where in {"to", "cc"} else veiled.bcc
    assert shown == (BCC_PLACEHOLDER,) == (Address("BCC address", ""),)


def test_b6_a_mail_from_the_address_matches_nothing() -> None:
    assert FORM is not None
    message = mail(FORM.address(TOKEN), [ME])
    assert bcc_redaction.redact_bcc_addresses(message, FORM).sender is None
    assert bcc_redaction.redact_bcc_addresses(message, None).sender is not None


def test_b6_a_mail_that_names_no_bcc_address_stays_as_it_is() -> None:
    message = mail(ADA, [ME], [BOB], [MATE])
    assert bcc_redaction.redact_bcc_addresses(message, FORM) == message
    nobodys = replace(message, sender=None)
    assert bcc_redaction.redact_bcc_addresses(nobodys, FORM) == nobodys


@pytest.mark.parametrize("text", [None, ""])
def test_b1_no_format_no_address(text: str | None) -> None:
    assert BccAddressFormat.parse(text) is None
    message = replace(mail(ME, [ADA]), delivered_to=("log+x@logs.example",))
    assert bcc_redaction.redact_bcc_addresses(message, None) == replace(
        message, delivered_to=()
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("log+{token}@example.com", "log+abc@example.com"),
        ("{token}@Logs.Example.COM", "abc@logs.example.com"),
        ("LOG.{token}@bücher.example", "log.abc@xn--bcher-kva.example"),
        ("log+{token}@a_b.Example", "log+abc@a_b.example"),
    ],
)
def test_b1_the_format_is_normalised(text: str, address: str) -> None:
    form = BccAddressFormat.parse(text)
    assert form is not None
    assert form.address("abc") == address


def test_b1_a_token_is_long_and_each_of_its_own() -> None:
    token = bcc.derive_token(b"key", S, U, 0)
    assert token == bcc.derive_token(b"key", S, U, 0)
    assert re.fullmatch("[a-z2-7]{20}", token)
    assert FORM is not None
    assert FORM.token_of(FORM.address(token)) == token
    others = {
        bcc.derive_token(b"another", S, U, 0),
        bcc.derive_token(b"key", SubaccountId("s2"), U, 0),
        bcc.derive_token(b"key", S, UserId("v"), 0),
        bcc.derive_token(b"key", S, U, 1),
        bcc.derive_token(b"key", SubaccountId("su"), UserId(""), 0),
    }
    assert len(others | {token}) == 6


def test_b1_a_token_is_kept_as_its_digest() -> None:
    assert bcc.token_key(TOKEN) == bcc.token_key(TOKEN)
    assert TOKEN not in bcc.token_key(TOKEN)
    assert bcc.token_key(TOKEN) != bcc.token_key("b" * 20)


@pytest.mark.parametrize(
    ("users", "topic"),
    [
        ([], "gmail-notifications"),
        ([U], "gmail-notifications"),
        ([UserId("@logging")], "bcc-notifications"),
        ([U, UserId("@logging")], "bcc-notifications"),
    ],
)
def test_b4_the_logging_mailbox_has_a_topic_of_its_own(
    users: list[UserId], topic: str
) -> None:
    assert bcc.topic_of(users) == topic


def test_b6_what_only_the_envelope_names_is_shown_in_bcc_once() -> None:
    assert FORM is not None
    here, there = FORM.address(TOKEN), FORM.address("b" * 20)
    message = replace(
        mail(ME, [ADA]),
        cc=(Address(None, here), Address(None, BOB)),
        delivered_to=(here, "log@logs.example", there, there),
    )
    veiled = bcc_redaction.redact_bcc_addresses(message, FORM)
    assert veiled.cc == (Address(None, BOB), BCC_PLACEHOLDER)
    assert veiled.bcc == (BCC_PLACEHOLDER,)
    assert (veiled.drops, veiled.delivered_to) == ((TOKEN, "b" * 20), ())
    in_copy = replace(message, delivered_to=(here,))
    assert bcc_redaction.redact_bcc_addresses(in_copy, FORM).bcc == ()


def test_b1_a_mail_to_a_crowd_of_addresses_is_looked_up_for_ten() -> None:
    assert FORM is not None
    tokens = [f"{letter * 20}" for letter in "abcdefghijkl"]
    message = mail(ME, [FORM.address(token) for token in tokens])
    veiled = bcc_redaction.redact_bcc_addresses(message, FORM)
    assert veiled.drops == tuple(tokens[:10])
    assert (veiled.to, veiled.cc) == ((), (BCC_PLACEHOLDER,))
