"""S12: bounces of many servers, in many languages, read as they should be.

The samples are made up in the form of each server's own; `expected.json` says who was
not reached, the code, whether that is final, and the server's words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gmail_simulator import parts
from shared.core.mail import DeliveryReport
from shared.core.parsing.delivery_reports import held_back_reports, report_of
from shared.core.parsing.gmail_message import headers_of

SAMPLES = Path(__file__).parent / "bounces"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
BOUNCES = sorted(name for name in EXPECTED if "failures" in EXPECTED[name])
OTHERS = sorted(EXPECTED.keys() - set(BOUNCES))


def resource(name: str, *, apart: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The sample as Gmail answers it, and what it hands out apart.

    Without `apart` everything is in the answer itself, as other servers have it.
    """
    root = parts.parse((SAMPLES / f"{name}.eml").read_bytes())
    payload = parts.to_json(
        root, decode_headers=True, text_as_utf8=True, attachment_id=lambda part: part
    )
    bytes_of = {part.part_id: part.data for part in parts.walk(root)}
    if not apart:
        waiting = [payload]
        while waiting:
            part = waiting.pop()
            waiting += part.get("parts", ())
            if part["body"].pop("attachmentId", None):
                part["body"]["data"] = parts.encode(bytes_of[part["partId"]])
    found = {"id": "a1", "threadId": "a1", "internalDate": "1772442300000"}
    return {**found, "labelIds": ["INBOX"], "payload": payload}, bytes_of


def read(name: str, *, apart: bool) -> DeliveryReport | None:
    message, bytes_of = resource(name, apart=apart)
    wanted = held_back_reports(message)
    return report_of(message, {part: bytes_of[part] for part in wanted})


def test_s12_there_are_many_samples() -> None:
    assert len(BOUNCES) >= 60
    assert {path.stem for path in SAMPLES.glob("*.eml")} == EXPECTED.keys()


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("name", BOUNCES)
def test_s12_a_bounce_is_read(name: str, apart: bool) -> None:
    message, _ = resource(name, apart=apart)
    assert headers_of(message).may_be_bounce
    report = read(name, apart=apart)
    assert report is not None
    expected = EXPECTED[name]
    assert [[f.addresses[0], f.code, f.permanent] for f in report.failures] == [
        failure[:3] for failure in expected["failures"]
    ]
    for failure, (*_, detail) in zip(
        report.failures, expected["failures"], strict=True
    ):
        assert failure.detail == detail
    assert list(report.message_ids) == expected["message_ids"]
    assert report.crm_message == expected.get("crm_message")


@pytest.mark.parametrize("name", OTHERS)
def test_s12_what_is_no_bounce_is_not_read_as_one(name: str) -> None:
    message, _ = resource(name, apart=True)
    candidate = headers_of(message).may_be_bounce
    assert candidate == EXPECTED[name]["candidate"]
    if candidate:
        assert read(name, apart=True) is None
