"""S14: List-Unsubscribe of bulk and workflow mail."""

from __future__ import annotations

import pytest

from shared.core.ids import ContactId, MessageId
from shared.core.sending.unsubscribe import fields, for_message, is_unsubscribe_uri
from shared.errors import Malformed

WEB = "https://crm.example/end?m={message}&c={contact}"
MAIL = "mailto:end@crm.example?subject=end"


@pytest.mark.parametrize(
    ("uri", "valid"),
    [
        (WEB, True),
        (MAIL, True),
        ("mailto:end@crm.example", True),
        ("https://crm.example:8443/a,b", True),
        ("http://crm.example/", False),
        ("https://", False),
        ("https:///path", False),
        ("https://[crm.example/", False),
        ("mailto:nobody", False),
        ("mailto:?to=end@crm.example", False),
        ("javascript:alert(1)", False),
        ("https://crm.example/{user}", False),
        ("https://crm.example/>,<https://evil.example/", False),
        ("https://crm.example/\r\nBcc: eve@evil.example", False),
        ("https://crm.example/a b", False),
        ("https://crm.example/é", False),
        ("https://crm.example/" + "a" * 500, False),
        ("", False),
    ],
)
def test_s14_a_uri_that_clients_can_follow(uri: str, valid: bool) -> None:
    assert is_unsubscribe_uri(uri) is valid


def test_s14_each_mail_has_its_own() -> None:
    assert for_message(WEB, MessageId("m1"), ContactId("c~1")) == (
        "https://crm.example/end?m=m1&c=c~1"
    )


def test_s14_one_click_is_promised_for_https_only() -> None:
    assert fields(()) == []
    assert fields([MAIL]) == [f"List-Unsubscribe: <{MAIL}>\r\n".encode()]
    listed, once = fields(["https://crm.example/u", MAIL])
    assert (
        listed
        == f"List-Unsubscribe: <https://crm.example/u>,\r\n <{MAIL}>\r\n".encode()
    )
    assert once == b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    with pytest.raises(Malformed):
        fields(["https://crm.example/\r\nBcc: eve@evil.example"])
