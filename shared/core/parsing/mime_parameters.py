"""Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231).

Never raises, linear, and forgiving: this only names attachments and charsets.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from shared.core.limits import MAX_MIME_PARTS
from shared.core.parsing.charsets import decode
from shared.core.parsing.encoded_words import decode_words

_MAX_CHARS = 8 * 1024

# Unquoted values may hold blanks and specials in the wild (`name=my file.pdf`).
_PARAMETER = re.compile(
    r';\s*([^\s=;"]{1,80}?)\s*=\s*(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"|([^;"]*+))', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,3}))?(\*)?")


def main_value(header: str) -> str:
    """Give what stands before the parameters: `text/plain`, `attachment`."""
    return header.partition(";")[0].strip().lower()


def parameters(header: str) -> dict[str, str]:
    """Read the parameters by lower-case name, decoded.

    RFC 2231 continuations are joined and percent-encoding is resolved; encoded words,
    which do not belong here but are common, are decoded too. The first of several
    plain ones wins, and the RFC 2231 form wins over the plain one.
    """
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(header[:_MAX_CHARS]):
        quoted, bare = match[2], match[3]
        text = bare.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        name = _SECTION.fullmatch(match[1].lower())
        if name is None:
            continue
        if name[2] is None and name[3] is None:
            plain.setdefault(name[1], decode_words(text))
        elif len(sections) < MAX_MIME_PARTS:
            part = sections.setdefault(name[1], {})
            part.setdefault(int(name[2] or 0), (text, bool(name[3])))
    return plain | {name: _joined(parts) for name, parts in sections.items()}


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    """Join the sections in order, up to the first gap (RFC 2231 §4.1)."""
    charset = ""
    data = b""
    for number in range(len(parts)):
        if number not in parts:
            break
        text, encoded = parts[number]
        if encoded and number == 0:
            charset, _, text = text.partition("'")
            text = text.partition("'")[2]
        raw = text.encode(errors="replace")
        data += unquote_to_bytes(raw) if encoded else raw
    return decode(data, charset)
