"""Addresses in headers and lists: who wrote to whom (M13, B5, M11, M12).

An own RFC 5322 parser: linear, iterative, and strict where parsers that guess have been
tricked (`alice@example.org)bob@evil.example` is alice to `email.utils.parseaddr`). What
is not exactly an address is skipped, never guessed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shared.core.limits import MAX_ADDRESS_CHARS, MAX_NAME_CHARS
from shared.core.mail import Address
from shared.core.parsing.addr_spec import (
    as_written,
    compose,
    domain_of,
    normalise,
    normalise_domain,
    spell,
)
from shared.core.parsing.address_tokens import Token, tokens_of
from shared.core.parsing.encoded_words import decode_words
from shared.core.parsing.lone_sender import lone_sender
from shared.core.parsing.plain_text import one_line
from shared.core.parsing.spellings import mailbox_key

__all__ = [
    "clean_name",
    "domain_of",
    "format_address",
    "in_domains",
    "is_listed",
    "normalise",
    "normalise_entry",
    "parse_list",
    "parse_sender",
]

# The forms that nearly all mail has, with nothing in them that could be read twice:
# a header of 10,000 recipients costs one match each.
_COMMON = re.compile(
    r"[ \t\r\n]*+"
    r'(?:(?:"([^"\\]*+)"|([^"\\@<>,:;()\[\]\r\n]*+))[ \t]*+'
    r"<([A-Za-z0-9.!#$%&'*+/^_`{|}~-]++@[A-Za-z0-9.-]++)>"
    r"|([A-Za-z0-9.!#$%&'*+/^_`{|}~-]++@[A-Za-z0-9.-]++))"
    r"[ \t\r\n]*+(?:,|\Z)"
)

_PHRASE = frozenset({"atom", "quoted", "@"})
_ADDR_SPEC_TOKENS = 3  # local part, @, domain


class _Entry(NamedTuple):
    """One comma-separated entry; `address` is None when it is not an address.

    `clean` says that no other parser would read it differently.
    """

    address: Address | None
    clean: bool


_BROKEN = _Entry(None, clean=False)


def parse_list(header_values: Sequence[str]) -> tuple[Address, ...]:
    """Read the addresses of To, Cc or Bcc headers, each once, in order.

    Groups are flattened, comments dropped, several headers joined. Entries that are
    not exactly one address are left out. Linear in the length of the headers.
    """
    found: dict[str, Address] = {}
    for value in header_values:
        for entry in _entries(value):
            if entry.address is not None:
                found.setdefault(entry.address.address, entry.address)
    return tuple(found.values())


def parse_sender(from_headers: Sequence[str]) -> Address | None:
    """Read the one sender, or None when there is any doubt (M13).

    Exactly one From header with exactly one address, and nothing else in it that could
    be taken for an address: no group, no route. How the display name is written does
    not matter.
    """
    if len(from_headers) != 1:
        return None
    entries = list(_entries(from_headers[0]))
    if len(entries) == 1 and entries[0].clean:
        return entries[0].address
    found = lone_sender(from_headers[0])
    if found is None:
        return None
    name, written = found
    return _person(clean_name(name), normalise(written), written)


def format_address(address: Address) -> str:
    """Write an address so that `parse_list` reads the same; not encoded for SMTP."""
    if address.name is None:
        return address.address
    return '"' + re.sub(r'(["\\])', r"\\\1", address.name) + f'" <{address.address}>'


def in_domains(address: str, domains: Iterable[str]) -> bool:
    """Whether a normalised address is in one of these domains or a subdomain.

    For internal domains (M11): mail with `bob@eu.example.org` is as private as mail
    with `bob@example.org`, and erring to that side keeps it out of the CRM.
    """
    return not _suffixes(address).isdisjoint(_domains(tuple(domains)))


def is_listed(address: str, entries: Iterable[str]) -> bool:
    """Whether a normalised address is on a never-log list (M12).

    An entry is an address, in whatever spelling of its mailbox, or a domain (with or
    without `@`), which stands for its subdomains too. Entries need not be normalised;
    malformed ones match nothing.
    """
    listed = _listed(tuple(entries))
    return mailbox_key(address) in listed or not _suffixes(address).isdisjoint(listed)


def _suffixes(address: str) -> frozenset[str]:
    """The domain of an address, and all that it is a subdomain of."""
    host = domain_of(address)
    labels = host.split(".") if len(host) <= MAX_ADDRESS_CHARS else []
    return frozenset(".".join(labels[n:]) for n in range(len(labels)))


# A list has up to 1,000 entries, and is asked for each of 10,000 recipients: each list
# is read once.
@functools.lru_cache(maxsize=1024)
def _domains(entries: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(None, map(_domain_entry, entries)))


@functools.lru_cache(maxsize=1024)
def _listed(entries: tuple[str, ...]) -> frozenset[str]:
    """Domains, and addresses in the spelling by which their mailboxes are known."""
    return frozenset(
        mailbox_key(entry) if "@" in entry else entry
        for entry in map(normalise_entry, entries)
        if entry
    )


def normalise_entry(entry: str) -> str | None:
    """Give the canonical form of a list entry: an address, or a domain without `@`.

    None when it is neither.
    """
    return _domain_entry(entry) or normalise(entry)


def clean_name(text: str) -> str | None:
    """Make a display name fit to show: decoded, one line, no control characters."""
    return one_line(decode_words(text))[:MAX_NAME_CHARS].strip() or None


def _domain_entry(entry: str) -> str | None:
    return normalise_domain(entry.strip().removeprefix("@"))


def _entries(header: str) -> Iterator[_Entry]:
    """Read one header, entry by entry; empty ones are left out (RFC 5322 §4.4)."""
    position = 0
    while position < len(header):
        common = _COMMON.match(header, position)
        if common is None:
            entries, position = _uncommon(header, position)
            yield from entries
            continue
        address = normalise(common[3] or common[4])
        name = clean_name(common[1] or common[2] or "")
        yield _Entry(_person(name, address, common[3] or common[4]), clean=True)
        position = common.end()


def _uncommon(header: str, position: int) -> tuple[list[_Entry], int]:
    """Read one entry of any form, with the names of groups before it."""
    names: list[_Entry] = []
    entry: list[Token] = []
    in_angle = False
    for token in tokens_of(header, position):
        if token.kind in {"<", ">"}:
            in_angle = token.kind == "<"
        elif in_angle:
            pass  # the commas and colons of a route (RFC 5322 §4.4) do not separate
        elif token.kind in {",", ";"}:
            # A semicolon ends a group; between addresses it is Outlook's comma.
            return [*names, *_read(entry)], token.end
        elif token.kind == ":":
            # What came before is the group's name, and no address. A group is no
            # sender.
            names.append(_BROKEN)
            entry = []
            continue
        entry.append(token)
    return [*names, *_read(entry)], len(header)


def _read(entry: Sequence[Token]) -> Iterator[_Entry]:
    parts = _without_comments(entry)
    if not parts:
        return
    angle = next((i for i, part in enumerate(parts) if part.kind == "<"), None)
    if angle is None:
        address, written, clean = _addr_spec(parts)
        phrase: Sequence[Token] = ()
    elif parts[-1].kind == ">" and all(t.kind in _PHRASE for t in parts[:angle]):
        phrase = parts[:angle]
        inside = parts[angle + 1 : -1]
        address, written, clean = _addr_spec(_without_route(inside))
        clean = clean and len(inside) == _ADDR_SPEC_TOKENS
    else:
        yield _BROKEN
        return
    if address is None:
        yield _BROKEN
        return
    name = _phrase_text(phrase)
    if any(token.kind == "@" for token in phrase):
        # Unquoted, "alice@example.org <bob@evil.example>" is alice to some parsers.
        clean = clean and normalise(name) == address
    if not name:
        # The old way to name somebody: alice@example.org (Alice).
        name = next((t.text for t in reversed(entry) if t.kind == "comment"), "")
    clean = clean and not any(token.odd for token in entry)
    yield _Entry(_person(clean_name(name), address, written), clean)


def _person(name: str | None, address: str | None, written: str) -> Address | None:
    """Keep how an address was written; most are written as they are compared."""
    if address is None or written == address:
        return Address(name, written) if address else None
    return Address(name, address, as_written(written))


def _without_comments(entry: Iterable[Token]) -> list[Token]:
    parts: list[Token] = []
    blank = False
    for token in entry:
        if token.kind == "comment":
            blank = True
            continue
        parts.append(token._replace(blank_before=True) if blank else token)
        blank = False
    return parts


def _without_route(inside: list[Token]) -> list[Token]:
    """Drop an obsolete route, `@a,@b:`, which means nothing (RFC 5321 §3.6.1)."""
    if not inside or inside[0].kind != "@":
        return inside
    for end, token in enumerate(inside):
        if token.kind == ":":
            hops = "".join(hop.text for hop in inside[:end]).split(",")
            routed = all(normalise_domain(hop.removeprefix("@")) for hop in hops)
            return inside[end + 1 :] if routed else []
    return []


def _addr_spec(parts: Sequence[Token]) -> tuple[str | None, str, bool]:
    """Read `local@domain`, with the blanks that obsolete syntax has around dots.

    Gives its normal form, how it is written, and whether it is clean.
    """
    kinds = [part.kind for part in parts]
    if kinds.count("@") != 1:
        return None, "", False
    at = kinds.index("@")
    left, right = parts[:at], parts[at + 1 :]
    domain = _joined(right)
    clean = len(parts) == _ADDR_SPEC_TOKENS and not any(
        part.blank_before for part in parts[1:]
    )
    if kinds[:at] == ["quoted"]:
        text = left[0].text
        written = spell(text, domain, quoted=True)
        return compose(text, domain, quoted=True), written, clean
    local = _joined(left)
    return compose(local, domain), spell(local, domain), clean


def _joined(words: Sequence[Token]) -> str:
    """Join atoms where a dot stands between them; anything else gives no address."""
    text = ""
    for word in words:
        if word.kind != "atom":
            return ""
        if text and not text.endswith(".") and not word.text.startswith("."):
            return ""
        text += word.text
    return text


def _phrase_text(phrase: Sequence[Token]) -> str:
    return "".join(
        (" " if token.blank_before else "") + token.text for token in phrase
    ).strip()
