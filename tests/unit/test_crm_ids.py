"""What can be one of the CRM's own ids."""

from __future__ import annotations

import pytest

from shared.core.ids import is_id


@pytest.mark.parametrize(
    "value",
    ["a", "Z", "0", "aZ09._~-", "x" * 128, "...", ".a", "__a", "a__", "_.__", "crm"],
)
def test_an_id_is_up_to_128_of_these_characters(value: str) -> None:
    assert is_id(value)


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "____", "__a__", "x" * 129, "a b", "a/b", "ä", "a\n", "@x", "a:b"],
)
def test_an_id_is_nothing_that_a_path_or_the_store_keeps_for_itself(value: str) -> None:
    assert not is_id(value)
