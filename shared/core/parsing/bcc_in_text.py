"""BCC addresses in running text (B6): found as programs write them, and taken out.

A reply quotes `Cc: log+…@…`; links have it percent-encoded, HTML with entities or with
tags in the middle, and lines are folded. Linear in the text, and never raises.
"""

from __future__ import annotations

import html as html_entities
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import idna

TOKEN_CHARS = 20
"""Base32, so 100 bits; B1 asks for 80. Lower case: a local part may lose its case."""
IN_TEXT = "BCC-address"
"""One word without signs: it can stand in text, in markup and in a link."""

# How often an address is encoded again, as a link in a link is.
_MAX_CODINGS = 6
# Texts below are looked at closely at once.
_SHORT = 2000
# A word of which each letter is encoded, and letters from elsewhere that look alike.
_ENTITIES = re.compile(
    r"&#(?:[0-9]{1,8}|[xX][0-9a-fA-F]{1,8});?(?:&#[0-9xXa-fA-F]{1,9};?){7}"
)
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2}){7}")
_BREAKS = ("<wbr", "&shy;", "\u00ad", "\u200b")
_WIDE = re.compile("[\uff01-\uff5e]")
# A part of a token that has been cut off tells too much from here on.
_TELLING_CHARS = 4

# What is written for one character or for none: entities, percent signs, `=` of
# quoted-printable, a line's fold with its quote marks, and what is not shown.
_ENTITY = r"&(?:#[0-9]{1,8}+|#[xX][0-9a-fA-F]{1,8}+|[a-zA-Z]{2,24}+);?"
_CODED = re.compile(
    _ENTITY
    + r"|%[0-7][0-9a-fA-F]|(?:%[89a-fA-F][0-9a-fA-F])+|=40|=\r?\n|\r?\n[ \t>|]*+"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
_TAG = re.compile(r"<[^<>]*+>")
_CODED_OR_TAG = re.compile(rf"{_TAG.pattern}|{_CODED.pattern}")
_TOKEN_AT = re.compile(
    r"([a-z2-7]{20})[\"'\\]{0,3}+ {0,2}+(?:@|=|\(at\)|\[at\]|\{at\}) {0,2}\Z"
)
_TOKEN_AT_CHARS = TOKEN_CHARS + 11
_TOKEN = re.compile(r"[a-z2-7]{20}(?![a-z2-7])")
_OF_TOKENS = "abcdefghijklmnopqrstuvwxyz234567"
_CUT_TOKEN = re.compile(r"[a-z2-7]{0,20}+")

# What stands between the characters of an address in a file that folds its lines.
_BETWEEN = b"\0\t\n\r >="

# One character for one: lower case, and ASCII for its wide twins.
_FOLDED = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_FOLDED |= {
    0xFEE0 + code: _FOLDED.get(code, code) for code in range(ord("!"), ord("~") + 1)
}


class _Step(NamedTuple):
    """From here on characters stand for those at `source`, or all for what is there."""

    at: int
    source: int
    moves: bool


class _Layer(NamedTuple):
    """A text with its codes resolved, and where its characters were written."""

    text: str
    steps: list[_Step]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where these characters were written in the text below."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        number = bisect_right(self.steps, at, key=lambda step: step.at) - 1
        step = self.steps[number]
        if step.moves:
            begin = step.source + at - step.at
            return begin, begin + 1
        return step.source, self.steps[number + 1].source


def without_bcc_addresses(
    text: str, prefix: str, domain: str, *, cut: bool = False
) -> str:
    """The text with a placeholder for each address of this form, issued or not.

    Where the form begins with letters of its own, such as `log+`, its local part alone
    is one too: it is the secret. Tags in the middle of one stay. With `cut` the text's
    end was cut off, and what is left of an address there goes too.
    """
    if len(text) < _TELLING_CHARS or not _may_hold_some(text, prefix, domain):
        return text
    found = [
        _written(reading, *place)
        for reading in _readings(text)
        for place in _addresses(reading[-1].text, prefix, domain, cut=cut)
    ]
    return _replaced(text, found) if found else text


def bytes_without_bcc_addresses(data: bytes, prefix: str, domain: str) -> bytes:
    """The same for a text in any charset that has ASCII in it, UTF-16 too.

    Files can be long, so only one that has the domain in it is read closely.
    """
    plain = data.translate(None, _BETWEEN).lower()
    if not any(name.encode() in plain for name in _spellings(domain)):
        return data
    text = data.decode("utf-8", "surrogateescape")
    redacted = without_bcc_addresses(text, prefix, domain)
    return data if redacted == text else redacted.encode("utf-8", "surrogateescape")


def _may_hold_some(text: str, prefix: str, domain: str) -> bool:
    """Whether it is worth to look closely, which takes long: hardly any mail has one.

    Programs encode signs and leave letters as they are, unless they encode whole words.
    A short text costs nothing much.
    """
    if len(text) < _SHORT or "\0" in text:
        return True
    lower = text.lower()
    if not text.isascii() and _WIDE.search(text):
        return True
    if sum(map(lower.count, _BREAKS)) >= TOKEN_CHARS:
        return True
    coded = lower.count("&#") >= TOKEN_CHARS or lower.count("%") >= TOKEN_CHARS
    return (
        any(
            all(map(lower.__contains__, name.split("."))) for name in _spellings(domain)
        )
        or bool(prefix and _before_a_sign(prefix).search(lower))
        or bool(coded and (_ENTITIES.search(text) or _PERCENT.search(text)))
    )


@lru_cache(maxsize=16)
def _before_a_sign(prefix: str) -> re.Pattern[str]:
    """The last word of the prefix, and behind it what is no letter."""
    words = re.findall(r"[a-z0-9]+", prefix) or [""]
    return re.compile(rf"{words[-1]}[^a-z0-9\s]")


def _replaced(text: str, found: Iterable[tuple[int, int]]) -> str:
    out: list[str] = []
    done = 0
    # Of one that several readings show the longest counts.
    for start, end in sorted(found, key=lambda place: (place[0], -place[1])):
        if start < done:
            out += _tags(text[done:end])
        else:
            written = text[start:end]
            # In UTF-16 each character has a zero beside it.
            shown = "\0".join(IN_TEXT) if "\0" in written else IN_TEXT
            out += [text[done:start], shown, *_tags(written)]
        done = max(done, end)
    return "".join([*out, text[done:]])


def _tags(text: str) -> list[str]:
    """The tags that something else may need, which a place to break a word is not."""
    return [tag for tag in _TAG.findall(text) if "wbr" not in tag[:6].lower()]


def _written(reading: Sequence[_Layer], start: int, end: int) -> tuple[int, int]:
    """Where in the text those characters were written that the last layer shows."""
    for layer in reversed(reading):
        start, end = layer.span(start, end)
    return start, end


def _readings(text: str) -> Iterator[list[_Layer]]:
    """The ways to read a text: with its tags, and with them taken out.

    They are taken out as the text has them, and as codes turn out to be.
    """
    kept = _layers(text, _CODED)
    for number in range(len(kept)):
        yield kept[: number + 1]
    if not any("<" in layer.text for layer in kept):
        return
    for number, layer in enumerate(kept[1:], 2):
        without_tags = _resolved(layer.text, _TAG)
        if without_tags is not None:
            yield [*kept[:number], without_tags]
    removed = _layers(text, _CODED_OR_TAG)[1:]
    for number in range(1, len(removed) + 1):
        yield removed[:number]


def _layers(text: str, codes: re.Pattern[str]) -> list[_Layer]:
    """The text, and what comes out of it as codes are resolved again and again."""
    layer = _Layer(text.translate(_FOLDED), [_Step(0, 0, moves=True)])
    layers = [layer]
    for _ in range(_MAX_CODINGS):
        above = _resolved(layer.text, codes)
        if above is None:
            break
        layers.append(above)
        layer = above
    return layers


def _resolved(text: str, codes: re.Pattern[str]) -> _Layer | None:
    """The layer above a text; None where there is nothing to resolve."""
    pieces: list[str] = []
    steps = [_Step(0, 0, moves=True)]
    length = done = 0
    for code in codes.finditer(text):
        meant = _meaning(code[0])
        if meant == code[0]:
            continue
        pieces += [text[done : code.start()], meant]
        length += code.start() - done
        if meant:
            steps.append(_Step(length, code.start(), moves=False))
        length += len(meant)
        done = code.end()
        steps.append(_Step(length, done, moves=True))
    if not pieces:
        return None
    return _Layer("".join([*pieces, text[done:]]), steps)


def _meaning(code: str) -> str:
    """The characters that are meant: none for folds, tags and what is not shown."""
    if code[0] == "&":
        return html_entities.unescape(code).translate(_FOLDED)
    if code[0] == "%":
        return unquote(code).translate(_FOLDED)
    return "@" if code == "=40" else ""


def _addresses(
    read: str, prefix: str, domain: str, *, cut: bool
) -> Iterator[tuple[int, int]]:
    domains = _spellings(domain)
    for name in domains:
        for at in _all(read, name):
            low = max(0, at - _TOKEN_AT_CHARS)
            local = _TOKEN_AT.search(read[low:at])
            start = low + local.start() if local else 0
            if local and _has_prefix(read, prefix, start):
                yield start - len(prefix), at + len(name)
    if prefix and prefix[-1] not in _OF_TOKENS:
        for at in _all(read, prefix):
            token = _TOKEN.match(read, at + len(prefix))
            if token:
                yield at, token.end()
    yield from _at_the_end(read, prefix, domains, cut=cut)


def _all(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


def _has_prefix(read: str, prefix: str, end: int) -> bool:
    # A form's fields have a blank for a plus.
    before = read[max(0, end - len(prefix)) : end]
    return before.replace(" ", "+") == prefix.replace(" ", "+")


def _at_the_end(
    read: str, prefix: str, domains: Sequence[str], *, cut: bool
) -> Iterator[tuple[int, int]]:
    """An address that was cut off within its domain, or even within its token."""
    longest = max(map(len, domains))
    low = max(0, len(read) - len(prefix) - _TOKEN_AT_CHARS - longest)
    tail = read[low:]
    for start in range(len(tail)):
        if not tail.startswith(prefix, start):
            continue
        token = start + len(prefix)
        found = _CUT_TOKEN.match(tail, token)
        end = found.end() if found else token
        left = tail[end:]
        begun = any(
            f"@{name}".startswith(left) and left[1:] != name for name in domains
        )
        whole = end - token == TOKEN_CHARS and left and begun
        part = cut and prefix and not left and end - token >= _TELLING_CHARS
        if whole or part:
            yield low + start, len(read)
            return


@lru_cache(maxsize=16)
def _spellings(domain: str) -> tuple[str, ...]:
    """The domain as it is stored, and as people write it if that differs."""
    try:
        return tuple(dict.fromkeys((domain, idna.decode(domain))))
    except UnicodeError:
        return (domain,)
