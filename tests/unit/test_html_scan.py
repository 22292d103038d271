"""HTML cut into tags: what is bounded."""

from __future__ import annotations

from shared.core.parsing.html_scan import attributes_of, tags_of


def test_of_a_tag_with_very_many_attributes_the_first_are_read() -> None:
    plain = "<p " + " ".join(f"a{n}" for n in range(1500)) + ">x"
    (tag,) = tags_of(plain)
    assert len(list(attributes_of(plain, tag))) == 1000
    quoted = "<p " + " ".join(f'a{n}=">"' for n in range(1500)) + ">x"
    (tag,) = tags_of(quoted)
    assert tag.end == len(quoted)
