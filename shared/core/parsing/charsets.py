"""Turn bytes of a mail into text, whatever its charset claims.

Never raises: what cannot be read becomes U+FFFD.
"""

from __future__ import annotations

import re

# The charsets of mail, as a closed table: Python's own lookup also knows codecs that
# are no charsets (`punycode` and `idna` take quadratic time, `unicode_escape` makes
# characters out of thin air), and keeps every unknown name for ever.
# Some names mean a superset in practice (WHATWG Encoding §4.2).
_CODECS = {
    **{f"iso8859{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 16)},
    **{f"windows{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in (*range(1250, 1259), 437, 850, 852, 866, 874)},
    **{f"iso88598{kind}": "iso8859_8" for kind in "ie"},
    **{f"iso88596{kind}": "iso8859_6" for kind in "ie"},
    "ansix341968": "cp1252",
    "ascii": "cp1252",
    "big5": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp932": "cp932",
    "cp936": "gb18030",
    "cp949": "cp949",
    "eucjp": "euc_jp",
    "euckr": "cp949",
    "gb18030": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hzgb2312": "hz",
    "iso2022jp": "iso2022_jp_2004",
    "iso2022jp1": "iso2022_jp_2004",
    "iso2022jp2": "iso2022_jp_2",
    "iso2022jp2004": "iso2022_jp_2004",
    "iso2022jp3": "iso2022_jp_2004",
    "iso2022jpext": "iso2022_jp_ext",
    "iso2022kr": "iso2022_kr",
    "iso88591": "cp1252",
    "iso885911": "cp874",
    "iso885915": "iso8859_15",
    "iso88599": "cp1254",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "ksc56011987": "cp949",
    "ksc5601": "cp949",
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "macintosh": "mac_roman",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "tis620": "cp874",
    "unicode11utf7": "utf_7",
    "unicode11utf8": "utf_8",
    "usascii": "cp1252",
    "utf16": "utf_16",
    "utf16be": "utf_16_be",
    "utf16le": "utf_16_le",
    "utf32": "utf_32",
    "utf32be": "utf_32_be",
    "utf32le": "utf_32_le",
    "utf7": "utf_7",
    "utf8": "utf_8",
    "windows31j": "cp932",
    "windows874": "cp874",
    "windows936": "gb18030",
    "windows949": "cp949",
    "xgbk": "gb18030",
    "xmaccyrillic": "mac_cyrillic",
    "xmacroman": "mac_roman",
    "xsjis": "cp932",
}
_WIDE = ("utf_16", "utf_32")
_STATEFUL = ("iso2022", "hz", "utf_7")
_SURROGATE = re.compile("[\ud800-\udfff]")


def codec_of(charset: str | None) -> str | None:
    """Name the codec of a charset, or None when it is not one that mail uses."""
    if not charset:
        return None
    return _CODECS.get(re.sub(r"[-_ .:]", "", charset.strip().lower()))


def decode(data: bytes, charset: str | None) -> str:
    """Decode by the declared charset, else UTF-8, else windows-1252.

    A known charset that does not fit gives way to UTF-8 if that fits exactly.
    """
    codec = codec_of(charset)
    for attempt in (codec, "utf_8"):
        text = _exact(data, attempt)
        if text is not None:
            return text
    return well_formed(data.decode(codec or "cp1252", "replace"))


def decode_body(data: bytes, charset: str | None) -> str:
    """Decode a body as Gmail hands it out; its declared charset is only a hint.

    Gmail re-encodes most bodies to UTF-8 and leaves the Content-Type as it was, so
    8-bit bytes that are exact UTF-8 are UTF-8. Pure 7-bit data tells nothing by
    itself: the declaration stands (ISO-2022-JP is 7-bit), and so it does for NUL-ridden
    UTF-16.
    """
    codec = codec_of(charset) or ""
    stands = (data.isascii() and codec.startswith(_STATEFUL)) or (
        b"\0" in data and codec.startswith(_WIDE)
    )
    text = None if stands else _exact(data, "utf_8")
    return decode(data, charset) if text is None else text


def well_formed(text: str) -> str:
    """Replace lone surrogates, which no encoder and no database takes."""
    return _SURROGATE.sub("\ufffd", text)


def _exact(data: bytes, codec: str | None) -> str | None:
    if codec is None:
        return None
    try:
        return well_formed(data.decode(codec))
    except ValueError:
        return None
