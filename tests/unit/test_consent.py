"""C1, C3: what must be granted, and where the browser may go."""

from __future__ import annotations

import pytest

from shared.core.consent import is_consumer, may_return_to, missing_scopes

ALLOWED = ("https://crm.example.com", "http://localhost:3000")
LONG = "https://www.googleapis.com/auth/userinfo."


@pytest.mark.parametrize(
    ("address", "consumer"),
    [
        ("rep@gmail.com", True),
        ("rep@googlemail.com", True),
        ("rep@ours.example", False),
        ("rep@mail.gmail.com", False),
        ("rep@gmail.com.example", False),
        ('"a@gmail.com"@ours.example', False),
        ('"a@b"@gmail.com', True),
    ],
)
def test_c3_a_free_consumer_address(address: str, consumer: bool) -> None:
    assert is_consumer(address) is consumer


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ({"openid", "email", "profile", "gmail"}, ()),
        ({"openid", f"{LONG}email", f"{LONG}profile", "gmail"}, ()),
        ({"openid", f"{LONG}email", "profile"}, ("gmail",)),
        ({"gmail", "openid"}, ("email", "profile")),
        ({f"{LONG}openid", "email", "profile", "gmail"}, ("openid",)),
        (set(), ("openid", "email", "profile", "gmail")),
    ],
)
def test_c1_every_permission_asked_for_must_be_granted(
    granted: set[str], missing: tuple[str, ...]
) -> None:
    wanted = ["openid", "email", "profile", "gmail"]
    assert missing_scopes(wanted, frozenset(granted)) == missing


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://crm.example.com", True),
        ("https://crm.example.com/settings?x=1#y", True),
        ("http://localhost:3000/", True),
        ("http://localhost:3001/", False),
        ("http://crm.example.com/", False),
        ("https://crm.example.com:443/", False),
        ("https://evil.example/https://crm.example.com", False),
        ("https://crm.example.com.evil.example/", False),
        ("https://crm.example.com@evil.example/", False),
        ("https://evil@crm.example.com/", False),
        ("https://crm.example.com\\@evil.example/", False),
        ("https://crm.example.com/a b", False),
        ("https://crm.example.com/a!b", True),
        ("https://crm.example.com/a\\b", False),
        ("https://crm.example.com/a\x7fb", False),
        ("https://crm.example.com/a\tb", False),
        ("//crm.example.com/", False),
        ("javascript:alert(1)", False),
        ("https://[crm.example.com/", False),
        ("", False),
    ],
)
def test_c1_the_browser_returns_to_allow_listed_origins_only(
    url: str, allowed: bool
) -> None:
    assert may_return_to(url, ALLOWED) is allowed


@pytest.mark.parametrize(("port", "allowed"), [(0, False), (1, True), (65_535, True)])
def test_c1_a_port_is_one(port: int, allowed: bool) -> None:
    origin = f"https://crm.example.com:{port}"
    assert may_return_to(f"{origin}/", [origin]) is allowed


@pytest.mark.parametrize(
    "origin", ["https://user@crm.example.com", "https://crm.example.com:99999"]
)
def test_c1_no_allow_list_makes_a_misleading_url_good(origin: str) -> None:
    assert not may_return_to(f"{origin}/", [origin])
