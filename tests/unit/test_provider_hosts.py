"""Which hosts of a provider can be used, and which addresses may be (no SSRF)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.core.sending.provider_hosts import (
    host_to_connect,
    is_this_machine,
    usable,
)

NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "fe80::1", "fe80::5efe:808:808", "ff02::1",
    "fd20:ce::254", "fd00:ec2::254",
]  # fmt: skip
PRIVATE = [
    "10.0.0.5", "100.64.0.1", "100.127.255.255", "172.16.0.1", "172.31.255.254",
    "192.0.0.1", "192.0.0.200", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "fc00::1",
    "fd12:3456::1", "fec0::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1",
    "2001:10::1",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1"]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111"]


def carriers(address: str) -> list[str]:
    """All IPv6 addresses that stand for an IPv4 one, or carry it."""
    bits = int(ipaddress.IPv4Address(address))
    high, low = bits >> 16, bits & 0xFFFF
    inverted = bits ^ 0xFFFFFFFF
    a, b, c, d = bits.to_bytes(4, "big")
    return [
        f"::ffff:{address}",
        f"::ffff:0:{high:x}:{low:x}",
        f"::{high:x}:{low:x}",
        f"64:ff9b::{high:x}:{low:x}",
        f"64:ff9b:1::{high:x}:{low:x}",
        f"64:ff9b:1:{high:x}:{c:x}:{d:x}00::",
        f"64:ff9b:1:{a:x}:{b:x}:{c:x}{d:02x}::",
        f"64:ff9b:1:0:{a:x}:{b:x}{c:02x}:{d:x}00:0",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7",
        f"2001:0:808:808:0:0:{inverted >> 16:x}:{inverted & 0xFFFF:x}",
        f"2606:4700::5efe:{high:x}:{low:x}",
        f"2606:4700::200:5efe:{high:x}:{low:x}",
    ]


@pytest.mark.parametrize("address", NEVER)
def test_what_is_never_used(address: str) -> None:
    assert usable(address, allow_loopback=True, allow_private=True) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_network_only_when_the_deployment_wants_it(address: str) -> None:
    assert usable(address, allow_loopback=True) is None
    assert usable(address, allow_private=True) is not None


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_only_in_development(address: str) -> None:
    assert usable(address, allow_private=True) is None
    found = usable(address, allow_loopback=True)
    assert found is not None
    assert found.is_loopback


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_used(address: str) -> None:
    assert str(usable(address)) == address


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "10.0.0.5", "0.0.0.0", "100.64.0.1"]
)
def test_no_ipv6_form_leads_around_the_filter(address: str) -> None:
    for form in carriers(address):
        assert usable(form) is None, form
        if address in {"127.0.0.1", "169.254.169.254", "0.0.0.0"}:
            assert usable(form, allow_private=True) is None, form


@pytest.mark.parametrize(
    "form", ["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_what_stands_for_a_public_address_ends_there(form: str) -> None:
    assert str(usable(form)) == "8.8.8.8"


@given(st.ip_addresses(v=6))
@example(ipaddress.IPv6Address("64:ff9b:1::"))
def test_what_is_used_is_public(address: ipaddress.IPv6Address) -> None:
    found = usable(str(address))
    assert found is None or found.is_global


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("smtp.example.com", "smtp.example.com"),
        ("SMTP.Example.COM.", "smtp.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("smtp\u3002example.com", "smtp.example.com"),
        ("relay", "relay"),
        ("8.8.8.8", "8.8.8.8"),
        ("8.8.8.8.", "8.8.8.8"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("a" * 63 + ".x", "a" * 63 + ".x"),
    ],
)
def test_a_host_that_can_be_used(host: str, name: str) -> None:
    assert host_to_connect(host) == name


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("", "1 to 253"),
        ("a." * 127 + "a", "1 to 253"),
        (".".join(["a" * 50] * 5)[:253] + "x.", "1 to 253"),
        ("a b", "blanks"),
        ("a\u00a0b", "blanks"),
        ("a\x00b", "blanks"),
        ("\ud800", "blanks"),
        ("a..b", "empty label"),
        ("a\u3002\u3002b", "empty label"),
        (".a", "empty label"),
        (".", "empty label"),
        ("a" * 64, "63"),
        ("ü" * 63, "host name"),
        ("127.1", "decimal"),
        ("0177.0.0.1", "decimal"),
        ("0x7f.0.0.0x1", "decimal"),
        ("2130706433", "decimal"),
        ("256.1.1.1", "decimal"),
        ("1.2.3.4.5", "decimal"),
        ("\uff11\uff12\uff17.\uff11", "host name"),
        ("smtp_1.x", "host name"),
        ("-a.x", "host name"),
        ("a-.x", "host name"),
        ("a.x:25", "host name"),
        ("[::1]", "host name"),
        ("::1%eth0", "zone"),
        ("a.\u0378", "blanks"),
    ],
)
def test_a_host_that_cannot_be_used(host: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        host_to_connect(host)


@given(st.text(max_size=300))
def test_any_host_is_taken_or_refused(host: str) -> None:
    try:
        name = host_to_connect(host)
    except UnicodeError:
        raise AssertionError("a codec's own words are no reason") from None
    except ValueError:
        return
    assert host_to_connect(name) == name
    assert name.isascii()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("smtp.example", False),
    ],
)
def test_this_machine_is_known_by_its_spelling(host: str, loopback: bool) -> None:
    assert is_this_machine(host) is loopback
