"""When a message that alone cannot be read is given up (E3)."""

from __future__ import annotations

import pytest

from shared.core.ids import GmailMessageId
from shared.core.syncing.trouble import Trouble, failed_again, is_given_up

M, N = GmailMessageId("m"), GmailMessageId("n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Trouble(M, 1, 9)),
        (Trouble(M, 1, 5), Trouble(M, 2, 5)),
        (Trouble(N, 4, 5), Trouble(M, 1, 9)),
    ],
)
def test_tries_are_counted_for_one_message(
    before: Trouble | None, after: Trouble
) -> None:
    assert failed_again(before, M, 9) == after


@pytest.mark.parametrize(
    ("tries", "now", "given_up"),
    [
        (5, 60_000, True),
        (6, 70_000, True),
        (4, 60_000, False),
        (5, 59_999, False),
        (50, 0, False),
    ],
)
def test_e3_it_is_given_up_after_five_tries_and_a_minute(
    tries: int, now: int, given_up: bool
) -> None:
    assert is_given_up(Trouble(M, tries, 0), now) is given_up
