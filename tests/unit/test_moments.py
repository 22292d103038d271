from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from shared.core.moments import MAX_MOMENT, to_epoch_ms


def test_a_moment_is_the_same_number_in_every_time_zone() -> None:
    at = datetime(2026, 11, 2, 6, 13, 20, 7_999, tzinfo=UTC)
    assert to_epoch_ms(at) == 1_793_600_000_007
    assert to_epoch_ms(at.astimezone(timezone(timedelta(hours=5)))) == to_epoch_ms(at)


def test_the_last_moment_is_that_of_the_year_9999() -> None:
    last = datetime.max.replace(microsecond=999_000, tzinfo=UTC)
    assert to_epoch_ms(last) == MAX_MOMENT
