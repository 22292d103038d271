"""One part of Gmail's payload tree: what it says, and nothing more than that."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.parsing.gmail_part import Part, read_part


def test_a_part_that_says_nothing_is_nothing() -> None:
    assert read_part({}, stands_alone=False) == Part(
        part_id="0",
        content_type="application/octet-stream",
        disposition="",
        filename=None,
        charset=None,
        content_id=None,
        size=0,
        attachment_id=None,
        encoded=None,
        children=(),
        stands_alone=False,
    )
    assert read_part({}, stands_alone=True).data(10) == (b"", False)


@pytest.mark.parametrize(
    ("size", "read"), [(7, 7), (1, 1), (0, 0), (-1, 0), ("7", 0), (None, 0)]
)
def test_a_size_is_a_number_and_never_below_nothing(size: Any, read: int) -> None:
    assert read_part({"body": {"size": size}}, stands_alone=False).size == read


@pytest.mark.parametrize(
    ("encoded", "limit", "data", "cut"),
    [
        ("YWJjZGVm", 6, b"abcdef", False),
        ("YWJjZGVm", 5, b"abcde", True),
        ("YW!Jj\r\nZGVm", 6, b"abcdef", False),
        ("--__", 3, b"\xfb\xef\xff", False),
        ("YWJj" + "!" * 8, 3, b"abc", False),
        ("YWJj" + "!" * 9, 3, b"abc", True),
        ("YWJj" + "!" * 9, 6, b"abc", False),
    ],
)
def test_data_is_decoded_up_to_a_limit(
    encoded: str, limit: int, data: bytes, cut: bool
) -> None:
    """Junk counts as what it stands in for; two groups more than needed are read."""
    part = read_part({"body": {"data": encoded}}, stands_alone=False)
    assert part.data(limit) == (data, cut)
