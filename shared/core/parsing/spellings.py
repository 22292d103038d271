"""Other spellings of one mailbox: whose mail it is, whatever is written (M11, M12)."""

from __future__ import annotations

_GMAIL = frozenset({"gmail.com", "googlemail.com"})


def mailbox_key(address: str) -> str:
    """The one spelling by which a mailbox is known; itself a normalised address.

    A plus tag is taken off at any domain; at Gmail's, which ignores dots and has two
    names, those count for nothing either. For privacy only: whom an email is from, and
    to which contact it belongs, goes by the address as it is.
    """
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _GMAIL:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"
