"""Turn bytes of a mail into text, whatever its charset claims.

Labels and what they stand for are those of the WHATWG Encoding Standard, with some more
names that only mail uses. Never raises: what cannot be read becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from webencodings.labels import LABELS

from shared.core.parsing import stateful_charsets

# Python's codecs for the standard's encodings, where the names differ. A closed table:
# Python's own lookup also knows codecs that are no charsets (`punycode` and `idna` take
# quadratic time, `unicode_escape` makes characters out of thin air), and keeps every
# unknown name for ever.
_STANDARD = {
    "big5": "big5hkscs",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "ibm866": "cp866",
    "iso-8859-8-i": "iso8859_8",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "macintosh": "mac_roman",
    "shift_jis": "cp932",
    "utf-16be": "utf_16_be",
    "utf-16le": "utf_16",  # by its byte order mark, if there is one
    "utf-8": "utf_8",
    "x-mac-cyrillic": "mac_cyrillic",
}
_MAIL_ONLY = {
    **{
        f"{maker}{n}": f"cp{n}"
        for maker in ("cp", "ibm", "dos")
        for n in (437, 737, 775, *range(850, 870), 874, 932, 949)
        if n not in {851, 853, 854, 856, 859, 867, 868}
    },
    "cp936": "gb18030",
    "cp65001": "utf_8",
    # No encoding of the standard, which reads them as nothing at all because scripts
    # can hide in them. Here all HTML is sanitised after it is decoded.
    "csiso2022kr": "iso_2022_kr",
    "iso2022kr": "iso_2022_kr",
    "hz": "hz",
    "hzgb2312": "hz",
    "iso2022jp1": "iso_2022_jp",
    "iso2022jp2": "iso_2022_jp",
    "iso2022jp2004": "iso_2022_jp",
    "iso2022jp3": "iso_2022_jp",
    "iso2022jpext": "iso_2022_jp",
    "johab": "johab",
    "ms932": "cp932",
    "ms936": "gb18030",
    "ms949": "cp949",
    "uhc": "cp949",
    "unicode11utf7": "utf_7",
    "unicode20utf7": "utf_7",
    "utf32": "utf_32",
    "utf32be": "utf_32_be",
    "utf32le": "utf_32_le",
    "utf7": "utf_7",
    "windows936": "gb18030",
    "xmacce": "mac_latin2",
    "xmacgreek": "mac_greek",
    "xmacturkish": "mac_turkish",
}
_SEPARATORS = re.compile(r"[-_ .:]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WIDE = ("utf_16", "utf_32")
_STATEFUL: dict[str, Callable[[bytes], str]] = {
    "hz": stateful_charsets.hz,
    "iso_2022_jp": stateful_charsets.iso_2022_jp,
    "iso_2022_kr": stateful_charsets.iso_2022_kr,
    "utf_7": stateful_charsets.utf_7,
}
# Where the standard's tables differ from Python's codecs: bytes that these have no
# character for, and characters that they have instead.
_MORE = {
    "cp1255": {0xCA: "\u05ba"},
    "cp932": {0x80: "\x80"},
    "gb18030": {0x80: "\u20ac"},
}
_INSTEAD = {
    "cp932": dict.fromkeys("\uf8f0\uf8f1\uf8f2\uf8f3", "\ufffd"),
    "gb18030": {"\ue5e5": "\u3000"},
    "koi8_u": {"\u255d": "\u045e", "\u256c": "\u040e"},
}
_ONE_BYTE = ("cp125", "cp874")
_C1 = range(0x80, 0xA0)
_EUC = frozenset(range(0xA1, 0xFF))


def _codec(encoding: str) -> str:
    number = encoding.rpartition("-")[2]
    if encoding.startswith("windows-"):
        return f"cp{number}"
    if encoding in _STANDARD:
        return _STANDARD[encoding]
    return encoding.replace("iso-8859-", "iso8859_").replace("-", "_")


def _squashed(label: str) -> str:
    """Mailers write `utf 8`, `ISO_8859-1` and `iso88591` alike."""
    return _SEPARATORS.sub("", label.strip().lower())


_CODECS = {_squashed(label): _codec(name) for label, name in LABELS.items()}
_CODECS |= _MAIL_ONLY


def codec_of(charset: str | None) -> str | None:
    """Name the decoder of a charset, or None when it is not one that mail uses."""
    return _CODECS.get(_squashed(charset)) if charset else None


def decode(data: bytes, charset: str | None) -> str:
    """Decode by the declared charset, else UTF-8, else windows-1252.

    A known charset that does not fit gives way to UTF-8 if that fits exactly; else what
    does not fit is U+FFFD, and the rest is read.
    """
    codec = codec_of(charset)
    if codec in _STATEFUL and data.isascii():
        return well_formed(_STATEFUL[codec](data))
    for attempt in (codec, "utf_8"):
        text = _exact(data, attempt)
        if text is not None:
            return text
    return _lenient(data, codec or "cp1252")


def decode_body(data: bytes, charset: str | None) -> str:
    """Decode a body as Gmail hands it out; its declared charset is only a hint.

    Gmail re-encodes most bodies to UTF-8 and leaves the Content-Type as it was, so
    8-bit bytes that are exact UTF-8 are UTF-8. Pure 7-bit data tells nothing by
    itself: the declaration stands (ISO-2022-JP is 7-bit), and so it does for NUL-ridden
    UTF-16.
    """
    codec = codec_of(charset) or ""
    stands = (data.isascii() and codec in _STATEFUL) or (
        b"\0" in data and codec.startswith(_WIDE)
    )
    text = None if stands else _exact(data, "utf_8")
    return decode(data, charset) if text is None else text


def well_formed(text: str) -> str:
    """Replace lone surrogates, which no encoder and no database takes."""
    return _SURROGATE.sub("\ufffd", text)


def _exact(data: bytes, codec: str | None) -> str | None:
    if codec is None or codec in _STATEFUL:
        return None
    text = _lenient(data, codec)
    return None if "\ufffd" in text else text


def _lenient(data: bytes, codec: str) -> str:
    if codec in _STATEFUL:
        return well_formed(_STATEFUL[codec](data))
    if codec == "x_user_defined":
        return "".join(chr(b if b < 0x80 else 0xF700 + b) for b in data)  # noqa: PLR2004
    if codec == "replacement":
        return "\ufffd" if data else ""
    text = data.decode(codec, _BY_STANDARD + codec)
    for wrong, right in _INSTEAD.get(codec, {}).items():
        text = text.replace(wrong, right)
    return well_formed(text)


def _reader(codec: str) -> Callable[[UnicodeError], tuple[str, int]]:
    """Read what Python's codec has no character for, as the standard does."""

    def read(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        start, byte = error.start, error.object[error.start]
        pair = error.object[start : start + 2]
        if codec == "euc_jp" and len(pair) > 1 and _EUC.issuperset(pair):
            text = stateful_charsets.jis_pair(bytes(b & 0x7F for b in pair))
            return text, start + 2
        if byte in _MORE.get(codec, {}):
            return _MORE[codec][byte], start + 1
        if byte in _C1 and codec.startswith(_ONE_BYTE):
            return chr(byte), start + 1
        return "\ufffd", error.end

    return read


# Python asks for error handlers by name.
_BY_STANDARD = "gmail-sync-"
for _name in set(_CODECS.values()):
    codecs.register_error(_BY_STANDARD + _name, _reader(_name))
