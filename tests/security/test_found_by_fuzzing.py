"""Inputs that the fuzzer found something with, once: each stays a test."""

from __future__ import annotations

import pytest

from tests.security.fuzz.targets import TARGETS

FOUND: dict[str, tuple[str, bytes]] = {
    "0.0.0.0/8 is no provider's network, however it is written": ("provider", b"0x7"),
    "a name that looks like an address without a domain is a name": (
        "address",
        b"t.e@aaxxemple, <b@x.example>",
    ),
    "a space behind the @ is allowed in an address": (
        "address",
        b"te:xa@ ax.elm, <b@x.e>",
    ),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_what_the_fuzzer_found_once(found: tuple[str, bytes]) -> None:
    name, data = found
    TARGETS[name].check(data)
