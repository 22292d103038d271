"""Nothing private can be logged, whoever hands it in."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import logs
from shared.errors import NeedsReauth
from shared.logs import FIELDS, allow_listed, log

CANARIES = [
    "canary@example.org",
    "Canary subject of a mail",
    "<p>canary</p>",
    "Bearer canary",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    "1//0gcanaryRefreshToken_x-y",
    "ya29.canaryAccessToken",
    "GOCSPX-canaryClientSecret",
    "canary\n{}",
    "ünïcode-canary",
]


def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    return [json.loads(item) for item in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize(
    "field", [*sorted(FIELDS), "subject", "body", "email", "trace"]
)
def test_a_canary_never_passes_in_any_field(
    capsys: pytest.CaptureFixture[str], canary: Any, field: Any
) -> None:
    log.info("happened", **{field: canary})
    log.info("happened", **{field: [canary, {"x": canary}]})
    log.info("happened", **{field: {canary: canary}})
    assert "canary" not in capsys.readouterr().out.lower()


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_never_passes_as_the_event(
    capsys: pytest.CaptureFixture[str], canary: Any
) -> None:
    log.info(canary)
    assert [line["message"] for line in lines(capsys)] == ["withheld"]


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.binary(), st.integers())))
def test_only_known_fields_come_out(event: Any) -> None:
    line = allow_listed(None, "info", event)
    assert set(line) <= FIELDS | {"severity", "message", logs.TRACE}
    json.dumps(line)


def test_ids_codes_and_numbers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    log.warning(
        "happened", mailbox="0f" * 16, code="rate_limited", count=3, frames=["a.py:1"]
    )
    assert lines(capsys) == [
        {
            "severity": "WARNING",
            "message": "happened",
            "code": "rate_limited",
            "count": 3,
            "frames": ["a.py:1"],
            "mailbox": "0f" * 16,
        }
    ]


def test_an_exception_is_told_without_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        try:
            raise ValueError("canary@example.org")  # noqa: TRY301
        except ValueError as error:
            raise NeedsReauth("canary") from error
    except NeedsReauth as error:
        log.error("failed", exc_info=error)
        log.error("failed", exc_info=True)
    first, second = lines(capsys)
    assert first == second
    assert first["error"] == ["NeedsReauth", "ValueError"]
    assert first["code"] == "reauth_required"
    assert first["frames"][-1].startswith("test_logs.py:")
    assert "canary" not in json.dumps(first)


def test_context_is_on_every_line_within(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.context(mailbox="b1", trace=f"projects/p/traces/{'0' * 32}"):
        log.info("one")
    log.info("two")
    first, two = lines(capsys)
    assert first["mailbox"] == "b1"
    assert first[logs.TRACE] == f"projects/p/traces/{'0' * 32}"
    assert set(two) == {"severity", "message"}


def test_libraries_lines_say_only_where_they_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.quiet_libraries()
    logging.getLogger("googleapiclient.http").warning("url?q=%s", "canary@example.org")
    logging.getLogger("werkzeug").info("GET /settings?token=canary")
    (line,) = lines(capsys)
    assert line["message"] == "library_message"
    assert line["logger"] == "googleapiclient.http"
    assert "canary" not in json.dumps(line)
