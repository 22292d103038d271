"""Other spellings of one mailbox: whose mail it is, whatever is written (M11, M12)."""

from __future__ import annotations

import functools
import re

_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*/=?^_`{|}~-][^\s\"\\]*+")
_GMAIL = frozenset({"gmail.com", "googlemail.com"})


@functools.lru_cache(maxsize=1024)
def mailbox_keys(addresses: frozenset[str]) -> frozenset[str]:
    """The same for all of a mailbox's own addresses, which are asked for again."""
    return frozenset(map(mailbox_key, addresses))


def mailbox_key(address: str) -> str:
    """The one spelling by which a mailbox is known; itself a normalised address.

    A plus tag is taken off at any domain; at Gmail's, which ignores dots and has two
    names, those count for nothing either. For privacy only: whom an email is from, and
    to which contact it belongs, goes by the address as it is.
    """
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        # What is quoted for the sake of its tag is known without it.
        plain = local[1:].partition("+")[0]
        local = plain if _ATOM.fullmatch(plain) else local
    else:
        local = local.partition("+")[0] or local
    if domain in _GMAIL:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"
