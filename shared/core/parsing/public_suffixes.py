"""Domains below which anybody may register: they speak for nobody below them (B5).

The Public Suffix List as its library carries it, the part of private companies
(`github.io`) included. Nothing is fetched: the list is as old as the locked version.
"""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """Whether a normalised domain is one; an unknown top-level domain counts as one."""
    return bool(_known().is_public(domain))


@cache
def _known() -> PublicSuffixList:
    # Only mail without a DMARC verdict asks for it: no start pays for reading the list.
    return PublicSuffixList()
