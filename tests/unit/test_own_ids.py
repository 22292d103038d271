"""The Message-ID of the CRM's own email names its record (M9)."""

from __future__ import annotations

import pytest

from shared.core.ids import MessageId
from shared.core.matching.own_ids import own_message_id, record_named_by


def test_m9_our_message_id_names_the_record() -> None:
    written = own_message_id(MessageId("a-B_9"), "ours.example")
    assert written == "<crm.a-B_9@ours.example>"
    assert record_named_by(written) == "a-B_9"


@pytest.mark.parametrize(
    ("rfc822", "record"),
    [
        ("<crm.a@b>", "a"),
        (f"<crm.{'x' * 128}@b>", "x" * 128),
        (f"<crm.{'x' * 129}@b>", None),
        ("<crm.@b>", None),
        ("<crm.a@>", None),
        ("<crma@b>", None),
        ("<xcrm.a@b>", None),
        ("<CRM.a@b>", None),
        ("<crm.a.b@c>", None),
        ("<crm.a@b@c>", None),
        ("<crm.a@b c>", None),
        (" <crm.a@b>", None),
        ("<crm.a@b> ", None),
        ("crm.a@b", None),
        ("", None),
    ],
)
def test_m9_another_message_id_names_none(rfc822: str, record: str | None) -> None:
    assert record_named_by(rfc822) == record
