"""One address in angle brackets at the end is the sender (M13)."""

from __future__ import annotations

import pytest

from shared.core.parsing.lone_sender import lone_sender

A = "ann@lee.example"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"Lee, Ann <{A}>", "Lee, Ann"),
        (f"  Lee, Ann\t<{A}>  ", "Lee, Ann"),
        (f"X Lee, Ann X <{A}>", "X Lee, Ann X"),
        (f"Lee, Ann <<{A}>>", "Lee, Ann"),
        (f"Lee, Ann < \t<{A}> >", "Lee, Ann"),
        (f'"Lee, Ann" <{A}>', "Lee, Ann"),
        (f"< Lee, Ann <{A}>", "< Lee, Ann"),
        (f"Ann @acme.example, Inc <{A}>", "Ann @acme.example, Inc"),
        (f"'{A}', Ann <{A}>", f"'{A}', Ann"),
        (f"`{A}` Ann, <{A}>", f"`{A}` Ann,"),
    ],
)
def test_m13_the_name_is_what_stands_before(header: str, name: str) -> None:
    assert lone_sender(header) == (name, A)


@pytest.mark.parametrize(
    "header",
    [
        f"Lee, Ann {A}",
        f"Lee, Ann <{A}> x",
        f"Lee, Ann <{A}X>X",
        "Lee, Ann <nobody>",
        f"bob@boss.example, Ann <{A}>",
        f"'bob@boss.example' Ann, <{A}>",
        f"Xbob@boss.exampleX, Ann <{A}>",
        f"bob @ boss.example, Ann <{A}>",
        f"Lee, bob@[192.0.2.1] <{A}>",
        f'Lee, Ann <"a"@lee.example> <{A}", <x>',
    ],
)
def test_m13_in_doubt_it_is_nobody(header: str) -> None:
    assert lone_sender(header) is None
