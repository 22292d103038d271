"""A provider's host: which names and addresses can be used, and may be (no SSRF).

The CRM names the host. It must never lead to this machine, to the cloud's metadata
server or, unless the deployment wants it, into a private network: whatever way the
address is written, and whatever IPv4 address an IPv6 one carries.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from shared.core.parsing.addr_spec import normalise_domain

Address = IPv4Address | IPv6Address

MAX_HOST_CHARS = 253
_MAX_LABEL_CHARS = 63
# What a resolver reads as a number: 2130706433, 0x7f.1, 0177.0.0.1 are 127.0.0.1.
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DOTS = re.compile(r"[.\u3002\uff0e\uff61]")  # all that IDNA takes for a dot

# IANA's registries of special-purpose addresses, read 2026-11. Python's own list
# differs from one patch release to the next.
_NEVER: tuple[IPv4Network | IPv6Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
            *("::/128", "fe80::/10", "ff00::/8"),
            # Metadata servers that are not link-local: Google's and Amazon's by IPv6.
            *("fd20:ce::254/128", "fd00:ec2::254/128"),
        ),
    )
)
_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24"),
        ),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
# Here the IPv4 address is the whole meaning: packets end there.
_STANDS_FOR = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_LAST_BITS = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96")))
_ISATAP = frozenset((0x00005EFE, 0x02005EFE))
_ALL_32 = 0xFFFFFFFF


def is_this_machine(host: str) -> bool:
    """Whether it is loopback by its spelling, where nobody listens in."""
    name = host.removesuffix(".").lower()
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def host_to_connect(host: str) -> str:
    """The host in the form in which it is looked up; raises ValueError, saying why.

    A name in A-labels and without its last dot, or an address in its usual spelling.
    """
    if not host or len(host) > MAX_HOST_CHARS + 1:
        raise ValueError(f"must have 1 to {MAX_HOST_CHARS} characters")
    if any(char.isspace() or not char.isprintable() for char in host):
        raise ValueError("must not have blanks or control characters")
    if ":" in host or "[" in host:
        return _ip_v6(host)
    name = host.removesuffix(".")
    labels = _DOTS.split(name)
    if not all(labels):
        raise ValueError("must not have an empty label")
    known = normalise_domain(name)
    if known is not None:
        labels = known.split(".")
    if any(len(label) > _MAX_LABEL_CHARS for label in labels):
        raise ValueError(f"must not have a label over {_MAX_LABEL_CHARS} characters")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ValueError(
                "must be written as four decimal numbers, or be a name"
            ) from None
    if known is None:
        raise ValueError("must be a host name or an IP address")
    return known


def usable(
    address: str, *, allow_loopback: bool = False, allow_private: bool = False
) -> Address | None:
    """The address that packets for this one end at; None when it may not be used."""
    given = ipaddress.ip_address(address)
    ends_at, carried = _read(given)
    for each in (ends_at, *carried):
        if any(
            each in network for network in _NEVER if network.version == each.version
        ):
            return None
        if each.is_loopback:
            if not allow_loopback:
                return None
        elif not (allow_private or _is_public(each)):
            return None
    return ends_at


def _ip_v6(host: str) -> str:
    if "%" in host:
        raise ValueError("must not name a zone")
    try:
        return str(IPv6Address(host))
    except ValueError:
        raise ValueError("must be a host name or an IP address") from None


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(
        address in network for network in _NOT_PUBLIC_V6
    )


def _read(address: Address) -> tuple[Address, tuple[Address, ...]]:
    """Where it ends, and what IPv4 addresses it carries besides."""
    if isinstance(address, IPv4Address):
        return address, ()
    bits = int(address)
    last = IPv4Address(bits & _ALL_32)
    if any(address in network for network in _STANDS_FOR):
        return last, ()
    if address in _SIX_TO_FOUR:
        return IPv4Address(bits >> 80 & _ALL_32), ()
    if address in _TEREDO:
        return address, (IPv4Address(bits >> 64 & _ALL_32), _inverted(last))
    if address in _LOCAL_NAT64:
        # RFC 6052 §2.2: around bits 64 to 71, by the length of the prefix.
        return address, (last, *(_spread(bits, start) for start in (48, 56, 64)))
    is_isatap = bits >> 32 & _ALL_32 in _ISATAP
    embedded = is_isatap or any(address in network for network in _LAST_BITS)
    return address, (last,) if embedded and not address.is_loopback else ()


def _inverted(address: IPv4Address) -> IPv4Address:
    return IPv4Address(int(address) ^ _ALL_32)


def _spread(bits: int, start: int) -> IPv4Address:
    """32 bits from `start` on, without bits 64 to 71."""
    without = (bits >> 64) << 56 | bits & (1 << 56) - 1  # 120 bits
    at = min(start, 64)
    return IPv4Address(without >> (120 - at - 32) & _ALL_32)
