"""Entries of never-log lists and internal domains, checked when set (M11, M12).

One that could match nothing is refused with what is accepted instead: who relies on a
list must not learn from recorded mail that it hid nothing.
"""

from __future__ import annotations

from shared.core.parsing.addr_spec import normalise, normalise_domain
from shared.core.parsing.public_suffixes import is_public_suffix

DOMAIN_FORM = "a domain such as client.example, which stands for its sub-domains too"
ENTRY_FORM = f"an address such as ann@client.example, or {DOMAIN_FORM}"

_WILDCARDS = "*%?"
"""Legal in an address, and never meant as a letter of one."""

MAILBOX_PROVIDERS = frozenset(
    [
        "126.com",
        "163.com",
        "aol.com",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "hotmail.it",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.co.uk",
        "live.com",
        "live.de",
        "live.fr",
        "live.nl",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "pm.me",
        "posteo.de",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "seznam.cz",
        "sfr.fr",
        "t-online.de",
        "tutanota.com",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "yahoo.ca",
        "yahoo.co.in",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.es",
        "yahoo.fr",
        "yahoo.it",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zohomail.com",
    ]
)
"""Where anybody has an address: as a team's own domain each would make everybody a
colleague. Not all there are, but those that will be tried."""


def never_log_entry(text: str) -> str:
    """Give the canonical form of an entry; raises ValueError.

    An address counts in every spelling of its mailbox, so it needs no wildcard for plus
    tags; a domain may be written with `@` before it, or a dot after it.
    """
    _refuse_wildcards(text, ENTRY_FORM)
    address = normalise(text) if "@" in text.strip().removeprefix("@") else None
    if address is not None:
        _refuse_dotless(address.rpartition("@")[2], ENTRY_FORM)
        return address
    return _domain(text, ENTRY_FORM)


def internal_domain(text: str) -> str:
    """Give the canonical form of a team's own domain; raises ValueError."""
    _refuse_wildcards(text, DOMAIN_FORM)
    domain = _domain(text, DOMAIN_FORM)
    if domain in MAILBOX_PROVIDERS or is_public_suffix(domain):
        raise ValueError(
            "must be the team's own: anybody can have an address there, and would "
            "count as a colleague"
        )
    return domain


def _domain(text: str, form: str) -> str:
    written = text.strip().removeprefix("@").removesuffix(".")
    domain = normalise_domain(written)
    if domain is None:
        raise ValueError(f"must be {form}")
    _refuse_dotless(domain, form)
    return domain


def _refuse_wildcards(text: str, form: str) -> None:
    if any(sign in text for sign in _WILDCARDS):
        raise ValueError(
            f"must have no wildcard: must be {form}; an address covers its plus tags"
        )


def _refuse_dotless(domain: str, form: str) -> None:
    if "." not in domain:
        raise ValueError(f"has no dot in its domain: must be {form}")
