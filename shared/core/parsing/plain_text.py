"""Text from strangers made fit to show on one line, or as a file name."""

from __future__ import annotations

import re

from shared.core.limits import MAX_FILENAME_CHARS
from shared.core.parsing.charsets import well_formed

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Bidi controls reorder what is shown ("fdp.exe" reads as "exe.pdf"), invisible ones
# hide text in it. Joiners stay: Persian, Indic scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_PATH = re.compile(r'[\\/:*?"<>|]+')


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables of names."""
    return frozenset(text.split())


def one_line(text: str) -> str:
    """Give the text on one line: no control characters, single blanks, trimmed."""
    if not text.isascii():
        text = _INVISIBLE.sub("", well_formed(text))
    return " ".join(_CONTROL.sub(" ", text).split())


def safe_filename(name: str | None) -> str | None:
    """Make a file name harmless, for people only; nothing is ever stored under it.

    No path separators, control or bidi characters, no leading dots; long names keep
    their ending. None when nothing is left.
    """
    if name is None:
        return None
    clean = one_line(_PATH.sub("_", one_line(name))).lstrip(". ")
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending) > MAX_FILENAME_CHARS // 10:
        stem, dot, ending = clean, "", ""
    short = stem[: MAX_FILENAME_CHARS - len(dot + ending)] + dot + ending
    return short.strip() or None
