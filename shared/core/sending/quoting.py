"""Quoting what Gmail or a provider said about a mail (S8).

Foreign text: one line of bounded length that holds no secret of ours and no address
but those that everybody on the mail can see.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from shared.core.parsing.address import normalise

MAX_QUOTED_CHARS = 200
# Beyond that nothing is looked at: the hidden parts could not be told any more.
_MAX_READ = 4000
_HIDDEN = "…"
_BLANKS = re.compile(r"\s+")
# An @, also in the spellings that servers and URLs give it.
_ATS = ("@", "\uff20", "%40")
# How tokens begin or are introduced: Google's, JWTs, and what is called a secret.
_TOKEN = re.compile(
    r"\bbearer\s+\S+|\b(?:ya29\.|GOCSPX-|1//|eyJ[\w-]{8})\S+"
    r"|(?<=password|passcode)[=:]\S+|(?<=secret|_token)[=:]\S+",
    re.IGNORECASE,
)
_AROUND = "<>()[]{}\"'`:;,.!?="
_LEAST_PART = 4


def on_one_line(text: str) -> str:
    """The text without control, format and other characters that are not shown."""
    shown = (
        " " if char.isspace() or unicodedata.category(char)[0] in "CZ" else char
        for char in text[:_MAX_READ]
    )
    return _BLANKS.sub(" ", "".join(shown)).strip()


def without(text: str, secrets: Collection[str]) -> str:
    """The text with each of these taken out, in whatever case it is written.

    One that is a few characters long is only looked for as a word: else the holes would
    spell it.
    """
    spelt = {
        spelling for secret in secrets for spelling in (secret, on_one_line(secret))
    }
    for secret in sorted(spelt - {""}, key=len, reverse=True):
        text = _hide(text, secret, alone=len(secret) < _LEAST_PART)
    return text


def quoted(text: str, visible: Collection[str], hidden: Collection[str] = ()) -> str:
    """What may be shown of foreign words; empty when nothing is left.

    `visible` are the addresses that stay; `hidden` are others, whose local part goes
    too where it stands alone as a word.
    """
    seen = {normalise(address) for address in visible} - {None}
    words = [
        word if _is_shown(word, seen) else _HIDDEN
        for word in on_one_line(text).split(" ")
    ]
    shown = _TOKEN.sub(_HIDDEN, " ".join(words))
    parts = {address.rpartition("@")[0] for address in hidden} - {""}
    for part in sorted(parts, key=len, reverse=True):
        shown = _hide(shown, part, alone=True)
    if len(shown) > MAX_QUOTED_CHARS:
        shown = shown[: MAX_QUOTED_CHARS - 1].rstrip() + _HIDDEN
    return shown if shown.strip(f"{_HIDDEN} ") else ""


def _is_shown(word: str, seen: Collection[str | None]) -> bool:
    has_at = any(at in word for at in _ATS)
    return not has_at or normalise(word.strip(_AROUND)) in seen


def _hide(text: str, part: str, *, alone: bool) -> str:
    """Replace a part of the text, whatever its case; `alone`: only where it is a word.

    Without a pattern: the part is foreign, too.
    """
    lower, wanted = _lower(text), _lower(part)
    pieces: list[str] = []
    done = at = 0
    while (at := lower.find(wanted, at)) >= 0:
        end = at + len(wanted)
        if alone and (_goes_on(text[at - 1 : at]) or _goes_on(text[end : end + 1])):
            at += 1
            continue
        pieces += [text[done:at], _HIDDEN]
        done = at = end
    return "".join([*pieces, text[done:]])


def _goes_on(neighbour: str) -> bool:
    return neighbour.isalnum() or neighbour in {"_", "+", "-"}


def _lower(text: str) -> str:
    """In lower case, and as long as it was."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
