"""Charsets in which escapes switch the meaning of 7-bit bytes, read run by run.

What cannot be read in one run is U+FFFD and spoils no other one; a line end closes a
run that was left open, as all of their standards want it. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_BAD = "\ufffd"

# ESC and what it designates; ISO-2022-JP by WHATWG Encoding §12.2, and the sets that
# RFC 1554, RFC 2237 and JIS X 0213 add to it in mail.
_ESCAPE = re.compile(
    rb"\x1b(?:\([BIJ]|\$[@AB]|\$\([CDOPQ])|\x1b\$\)C|[\x0e\x0f]|[\r\n]++"
)
_PAIRS = re.compile(rb"[\x21-\x7e]{2}|.", re.DOTALL)
_ROMAN = str.maketrans("\\~", "\u00a5\u203e")
_KATAKANA = range(0x21, 0x60)
_UTF_7_RUN = re.compile(rb"\+([A-Za-z0-9+/]*+)-?")
_HZ_STEP = re.compile(rb"~[{}~]|~\r?\n|[\r\n]++")


def iso_2022_jp(data: bytes) -> str:
    """Decode ISO-2022-JP with its extensions of mail."""
    text: list[str] = []
    read: Callable[[bytes], str] = _ascii
    for piece, escape in _runs(_ESCAPE, data):
        text.append(read(piece))
        if escape[:1] in {b"\r", b"\n", b""}:
            text.append(escape.decode())
            read = _ascii
        else:
            read = _SETS.get(escape, _ascii)
            if escape not in _SETS:
                text.append(_BAD)
    return "".join(text)


def iso_2022_kr(data: bytes) -> str:
    """Decode ISO-2022-KR (RFC 1557): shift out to Korean, shift in to ASCII."""
    text: list[str] = []
    read: Callable[[bytes], str] = _ascii
    for piece, escape in _runs(_ESCAPE, data):
        text.append(read(piece))
        if escape == b"\x0e":
            read = _korean
        elif not escape.startswith(b"\x1b"):
            read = _ascii
            text.append(escape.replace(b"\x0f", b"").decode())
    return "".join(text)


def hz(data: bytes) -> str:
    """Decode HZ (RFC 1843): Chinese between `~{` and `~}`."""
    text: list[str] = []
    read: Callable[[bytes], str] = _ascii
    for piece, step in _runs(_HZ_STEP, data):
        text.append(read(piece))
        if step == b"~~":
            text.append("~")
        elif step in {b"~{", b"~}"}:
            read = _chinese if step == b"~{" else _ascii
        elif not step.startswith(b"~"):
            read = _ascii
            text.append(step.decode())
    return "".join(text)


def utf_7(data: bytes) -> str:
    """Decode UTF-7 (RFC 2152): base64 of UTF-16 between `+` and `-`."""
    text: list[str] = []
    for piece, run in _runs(_UTF_7_RUN, data):
        text.append(_ascii(piece))
        if run:
            try:
                text.append(run.decode("utf-7"))
            except ValueError:
                text.append(_BAD)
    return "".join(text)


def jis_pair(pair: bytes) -> str:
    """A character of JIS X 0208 with NEC's and IBM's rows, as Windows has them."""
    row, cell = pair[0] - 0x21, pair[1] - 0x21
    lead = row // 2 + (0x81 if row < 0x3E else 0xC1)  # noqa: PLR2004
    even = cell + (0x40 if cell < 0x3F else 0x41)  # noqa: PLR2004
    trail = cell + 0x9F if row % 2 else even
    return bytes((lead, trail)).decode("cp932", "replace")[:1]


def _runs(pattern: re.Pattern[bytes], data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What stands before each match, and the match; at the end an empty one."""
    position = 0
    for found in pattern.finditer(data):
        yield data[position : found.start()], found[0]
        position = found.end()
    yield data[position:], b""


def _ascii(run: bytes) -> str:
    return run.decode("ascii", "replace").replace("\x1b", _BAD)


def _katakana(run: bytes) -> str:
    return "".join(chr(0xFF40 + byte) if byte in _KATAKANA else _BAD for byte in run)


def _pairs(read: Callable[[bytes], str]) -> Callable[[bytes], str]:
    def decode(run: bytes) -> str:
        return "".join(
            read(pair) if len(pair) > 1 else _BAD for pair in _PAIRS.findall(run)
        )

    return decode


def _by(codec: str, prefix: bytes = b"") -> Callable[[bytes], str]:
    """Read pairs by the 8-bit form of the same set."""
    high = bytes(byte | 0x80 for byte in range(256))

    def read(pair: bytes) -> str:
        text = (prefix + pair.translate(high)).decode(codec, "replace")
        return _BAD if _BAD in text else text

    return _pairs(read)


_korean = _by("euc_kr")
_chinese = _by("gb2312")
_jis = _pairs(jis_pair)
_SETS: dict[bytes, Callable[[bytes], str]] = {
    b"\x1b(B": _ascii,
    b"\x1b(J": lambda run: _ascii(run).translate(_ROMAN),
    b"\x1b(I": _katakana,
    b"\x1b$@": _jis,
    b"\x1b$B": _jis,
    b"\x1b$A": _chinese,
    b"\x1b$(C": _korean,
    b"\x1b$(D": _by("euc_jp", b"\x8f"),
    b"\x1b$(O": _by("euc_jis_2004"),
    b"\x1b$(P": _by("euc_jis_2004", b"\x8f"),
    b"\x1b$(Q": _by("euc_jis_2004"),
}
