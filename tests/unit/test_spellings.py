"""M11, M12: which spellings are one mailbox."""

from __future__ import annotations

import pytest

from shared.core.parsing.address import normalise
from shared.core.parsing.spellings import mailbox_key


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("cole@ours.example", "cole@ours.example"),
        ("cole+crm@ours.example", "cole@ours.example"),
        ("cole+a+b@ours.example", "cole@ours.example"),
        ("c.ole@ours.example", "c.ole@ours.example"),
        ("+crm@ours.example", "+crm@ours.example"),
        ("c.o.le@gmail.com", "cole@gmail.com"),
        ("c.ole+x.y@googlemail.com", "cole@gmail.com"),
        ("+@gmail.com", "+@gmail.com"),
        (".@gmail.com", ".@gmail.com"),
        ("c.ole@mail.gmail.com", "c.ole@mail.gmail.com"),
    ],
)
def test_m11_one_mailbox_has_one_key(written: str, key: str) -> None:
    assert mailbox_key(written) == key
    assert mailbox_key(key) == key
    if normalise(written):
        assert normalise(key) == key


def test_m11_m12_a_tag_in_a_quoted_local_part_is_a_tag_too() -> None:
    assert mailbox_key('"ann+x y"@client.example') == "ann@client.example"
    assert mailbox_key('"ann x+y"@client.example') == '"ann x+y"@client.example'
    assert mailbox_key('"+x y"@client.example') == '"+x y"@client.example'
