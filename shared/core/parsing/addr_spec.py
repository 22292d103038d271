"""One email address: is it valid, and which string stands for it (M13).

The canonical form is `local@domain`, case-folded as a whole, local part in NFC and
quoted only where it must be, domain as A-labels. Nothing here raises.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from shared.core.limits import MAX_ADDRESS_CHARS, MAX_LOCAL_PART_CHARS

_MAX_INPUT = 4 * MAX_ADDRESS_CHARS

_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# No group is possessive here: before Python 3.11.5 one that holds a repetition matches
# what it must not (python/cpython#106052).
_PLAIN = re.compile(
    rf"({_ATEXT}{{1,64}}(?:\.{_ATEXT}{{1,64}})*)@((?:{_LABEL}\.)*{_LABEL})"
)
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+")
_DOT_ATOM = re.compile(
    r"[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+(?:\.[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+)*"
)
_QUOTED_LOCAL = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*)"')
_ESCAPED = re.compile(r"\\(.)")
# What NFC turns into ASCII: Greek question mark, varia, Kelvin sign.
_TWIN = re.compile("([\u037e\u1fef\u212a])")
_BLANKS = " \t\u00a0\u2002\u2003\u2009\u3000"
# Joiners have meaning in Persian and Indic names; idna checks where they stand.
_JOINERS = frozenset("\u200c\u200d")


def normalise(address: str) -> str | None:
    """Give the one string that stands for this address, or None if it is not one.

    Blanks around it go. RFC 5321 lengths and RFC 6531 characters; no comments, display
    names, control characters, or domain literals (`user@[192.0.2.1]` is no CRM
    contact, and parsers disagree about it). Idempotent.
    """
    if len(address) > _MAX_INPUT:
        return None
    address = address.strip(_BLANKS)
    plain = _PLAIN.fullmatch(address.lower()) if address.isascii() else None
    if plain:
        return _checked(plain[1], plain[2])
    local, _, domain = address.rpartition("@")
    quoted = _QUOTED_LOCAL.fullmatch(local)
    if quoted:
        return compose(_ESCAPED.sub(r"\1", quoted[1]), domain, quoted=True)
    return compose(local, domain)


def as_written(address: str) -> str | None:
    """Give an address in its own spelling, where that is not the normalised one.

    Only the domain is put into A-labels where it is not ASCII, for that is how it is
    written to, and how a look-alike can be told. For what `normalise` takes.
    """
    local, _, domain = address.strip(_BLANKS).rpartition("@")
    host = domain if domain.isascii() else normalise_domain(domain)
    written = f"{local}@{host}"
    return written if written != normalise(address) else None


def spell(local: str, domain: str, *, quoted: bool = False) -> str:
    """Put an address together as its parts were written; see `compose`."""
    if quoted and not _DOT_ATOM.fullmatch(local):
        local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    return f"{local}@{domain}"


def compose(local: str, domain: str, *, quoted: bool = False) -> str | None:
    """Put an address together from its parsed parts, or None if they make none.

    `quoted` says that `local` is the content of a quoted string, which may hold more
    than a dot-atom; an empty one is nobody's.
    """
    if len(local) + len(domain) > _MAX_INPUT:
        return None
    folded = fold(local)
    host = normalise_domain(domain)
    if host is None or not _printable(folded):
        return None
    if not _DOT_ATOM.fullmatch(folded):
        if not quoted or not folded:
            return None
        folded = '"' + re.sub(r'(["\\])', r"\\\1", folded) + '"'
    return _checked(folded, host)


def fold(text: str) -> str:
    """Lower case in NFC; folding the result changes nothing.

    Not Unicode's case folding, which takes different letters for one: `straße@` and
    `strasse@` are two mailboxes. Nor is a letter beyond ASCII ever taken for one of
    ASCII, though Unicode calls a few of them the same (the Kelvin sign and K).
    """
    if text.isascii():
        return text.lower()
    parts = _TWIN.split(text)
    return "".join(part if _TWIN.fullmatch(part) else _lowered(part) for part in parts)


def _lowered(text: str) -> str:
    for _ in range(2):  # the second pass settles what normalisation brought up
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).lower())
    return text


def normalise_domain(domain: str) -> str | None:
    """Give a domain in A-labels and lower case, or None if it is not one.

    ASCII domains are taken as they stand: an `xn--` label that IDNA 2008 would refuse
    (an emoji) is still a real, deliverable name.
    """
    if len(domain) > MAX_ADDRESS_CHARS:
        return None
    host = domain.lower()
    if not host.isascii():
        if not _printable(host.translate(dict.fromkeys(map(ord, _JOINERS)))):
            return None
        try:
            # UTS 46 without transitional mapping, as browsers and Gmail do: ß is a
            # letter of its own.
            host = idna.encode(host, uts46=True).decode()
        except (UnicodeError, ValueError, IndexError):
            return None
    if len(host) > MAX_ADDRESS_CHARS - 1 or not _DOMAIN.fullmatch(host):
        return None
    # RFC 3696 §2: the last label is never all digits, so 192.0.2.1 is no domain.
    return None if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def domain_of(address: str) -> str:
    """Domain of a normalised address."""
    return address.rpartition("@")[2]


def is_within(host: str, domain: str) -> bool:
    """Whether a domain is this one or one of its subdomains; both normalised."""
    return host == domain or host.endswith("." + domain)


def _printable(text: str) -> bool:
    return all(
        unicodedata.category(char)[0] not in "CZ" or char == " " for char in text
    )


def _checked(local: str, host: str) -> str | None:
    octets = len(local.encode())
    if octets > MAX_LOCAL_PART_CHARS or octets + 1 + len(host) > MAX_ADDRESS_CHARS:
        return None
    return None if _NUMBER.fullmatch(host.rpartition(".")[2]) else f"{local}@{host}"
