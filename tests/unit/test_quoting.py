"""S8: Gmail's and a provider's own words, made fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.sending.quoting import MAX_QUOTED_CHARS, on_one_line, quoted, without

ANN, EVE = "ann@customer.test", "eve.secret@hidden.test"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Invalid To header", "Invalid To header"),
        ("550 policy says no", "550 policy says no"),
        ("550\r\n no\t\x00\x1b[31m now", "550 no [31m now"),
        ("a\u2028b\u202ec\u200bd\x85e\ud800f", "a b c d e f"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_s8_the_words_stay_on_one_line(said: str, shown: str) -> None:
    assert quoted(said, [ANN]) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("550 <ann@customer.test>: unknown", "550 <ann@customer.test>: unknown"),
        ("550 Ann@Customer.test... unknown", "550 Ann@Customer.test... unknown"),
        (f"550 <{EVE}>: unknown", "550 … unknown"),
        (f"550 rcpt=<{EVE.upper()}> unknown", "550 … unknown"),
        ("550 eve.secret%40hidden.test no", "550 … no"),
        ("550 eve.secret\uff20hidden.test no", "550 … no"),
        (f"550 {ANN},{EVE} no", "550 … no"),
        ("550 other@elsewhere.test no", "550 … no"),
        ("550 5.1.1 eve.secret... User unknown", "550 5.1.1 …... User unknown"),
        ("550 Eve.Secret, no", "550 …, no"),
        ("550 eve.secretary no", "550 eve.secretary no"),
        (f"{EVE}", ""),
        ("401 Bearer abc.def is bad, ya29.a0Af-x too", "401 … is bad, … too"),
        ("400 Password=Sesame42, refresh_token:x1", "400 Password… refresh_token…"),
        ("535 Bad password: try again", "535 Bad password: try again"),
    ],
)
def test_s8_only_addresses_that_all_can_see_are_quoted(said: str, shown: str) -> None:
    assert quoted(said, [ANN], [EVE]) == shown


def test_s8_the_words_are_bounded() -> None:
    shown = quoted("no " * 100_000, [])
    assert len(shown) <= MAX_QUOTED_CHARS
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("text", "secret", "left"),
    [
        ("535 Sesame42 is wrong", "sesame42", "535 … is wrong"),
        ("535 a  b is wrong", "a  b", "535 … is wrong"),
        ("535 a b is wrong", "a  b", "535 … is wrong"),
        ("535 5 authentication failed", "5", "535 … authentication failed"),
        ("535 (failed)", "", "535 (failed)"),
        ("x.*y", ".*yz", "x.*y"),
    ],
)
def test_a_secret_is_taken_out(text: str, secret: str, left: str) -> None:
    assert without(text, [secret]) == left


@given(st.text(), st.text())
def test_any_words_are_one_short_line(said: str, hidden: str) -> None:
    shown = quoted(said, [ANN], [hidden])
    assert len(shown) <= MAX_QUOTED_CHARS
    assert on_one_line(shown) == shown
    assert "@" not in shown or ANN in shown.lower()
