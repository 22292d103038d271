"""The sender of a From whose name is written so that its structure is lost (M13).

Gmail can hand out headers decoded: `=?utf-8?Q?Lee=2C_Ann?= <ann@example.org>` comes as
`Lee, Ann <ann@example.org>`, which by the letter is two mailboxes. Whatever the name
holds, one address at the end and no other one anywhere is one sender.
"""

from __future__ import annotations

import re

from shared.core.parsing.addr_spec import normalise, normalise_domain

_WORD = re.compile(r"[^\s<>(),;:\"\[\]\\@]*+")
_AROUND = "'`\u2018\u2019."


def lone_sender(header: str) -> tuple[str, str] | None:
    """Split a From into name and address as written, or None where there is any doubt.

    In doubt it is without an address in angle brackets at its end, and with anything
    in the name that can be read as another address.
    """
    header = header.strip()
    if not header.endswith(">"):
        return None
    name, _, inside = header.rstrip("> \t").rpartition("<")
    address = None if '"' in inside else normalise(inside)
    if address is None or _names_another(name, address):
        return None
    return name.rstrip("< \t").strip(' \t"'), inside


def _names_another(name: str, address: str) -> bool:
    """Whether a name holds what somebody could read as another address than this."""
    before, *pieces = name.split("@")
    for after in pieces:
        local, apart = before.rstrip(), before[-1:].isspace()
        # "Ann @acme.example": with nothing on the left, and something on the right, it
        # names a company, or a person of some other network.
        if local and (not apart or after[:1].isspace()):
            domain = _first_word(after.lstrip())
            if "." in domain and normalise_domain(domain):
                said = normalise(f"{_first_word(local[::-1])[::-1]}@{domain}")
                if said != address:
                    return True
            elif not apart and after.startswith("["):
                return True
        before = after
    return False


def _first_word(text: str) -> str:
    # The pattern matches anything, if only nothing.
    return _WORD.match(text)[0].strip(_AROUND)  # type: ignore[index]
