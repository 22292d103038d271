"""RFC 2047 encoded words, as mail really has them.

Never raises, and takes time proportional to the input.
"""

from __future__ import annotations

import binascii
import re

from shared.core.parsing.charsets import decode

# Blanks in the text are forbidden (RFC 2047 §2) but common.
WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*)\?=")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_FOLD = re.compile(r"[\r\n]+[ \t]*")


def unfold(value: str) -> str:
    """Join the lines of a folded header value (RFC 5322 §2.2.3).

    The line breaks go and one blank stands for the indentation.
    """
    return _FOLD.sub(" ", value).strip()


def decode_words(value: str) -> str:
    """Decode every encoded word; text that is decoded already stays as it is.

    The blanks between adjacent words vanish (RFC 2047 §6.2), and adjacent words of one
    charset are decoded together, because mailers split characters across words.
    """
    if "=?" not in value:
        return value
    out: list[str] = []
    waiting = b""
    charset = ""
    position = 0
    for match in WORD.finditer(value):
        between = value[position : match.start()]
        word_charset = match[1].partition("*")[0]  # RFC 2231 §5: "charset*language"
        data = _bytes_of(match[2], match[3])
        if position and not between.strip():
            between = ""
        if between or word_charset.lower() != charset.lower():
            out += (decode(waiting, charset), between)
            waiting = b""
        waiting += data
        charset = word_charset
        position = match.end()
    out += (decode(waiting, charset), value[position:])
    return "".join(out)


def _bytes_of(encoding: str, text: str) -> bytes:
    raw = text.encode(errors="replace")
    if encoding.lower() == "q":
        return _QUOTED.sub(
            lambda match: binascii.unhexlify(match[1]), raw.replace(b"_", b" ")
        )
    return from_base64(raw)


def from_base64(raw: bytes) -> bytes:
    """Decode what can be decoded: foreign characters and a broken end are dropped."""
    digits = re.sub(rb"[^A-Za-z0-9+/]", b"", raw.partition(b"=")[0])
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"==")  # what is too much does no harm
