"""M16: charsets of mail, decoded as the WHATWG Encoding Standard does."""

from __future__ import annotations

import base64
import codecs
from urllib.parse import quote

import pytest
from webencodings.labels import LABELS

from shared.core.parsing.charsets import codec_of, decode, decode_body
from shared.core.parsing.encoded_words import decode_words
from shared.core.parsing.mime_parameters import parameters

OWN = {
    "hz", "iso_2022_jp", "iso_2022_kr", "utf_7", "replacement", "x_user_defined",
}  # fmt: skip

KOREAN = "한국".encode("euc_kr").translate(bytes(b & 0x7F for b in range(256)))
CHINESE = "你好".encode("gb2312").translate(bytes(b & 0x7F for b in range(256)))


def test_all_labels_of_the_standard_are_known() -> None:
    assert len(LABELS) == 228
    for label in LABELS:
        codec = codec_of(label)
        assert codec is not None, label
        assert codec in OWN or codecs.lookup(codec), label
        assert decode(b"ab", label)[:1] in {"a", "\ufffd", "\u6261", "\u6162"}, label


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("ks_c_5601-1989", b"\xc7\xd1\xb1\xb9", "한국"),
        ("cn-big5", b"\xa4\xa4\xa4\xe5", "中文"),
        ("ibm866", b"\xaf\xe0\xa8\xa2\xa5\xe2", "привет"),
        ("iso_8859-2:1987", b"\xe8aj", "čaj"),
        ("gb_2312-80", b"\xd6\xd0\xce\xc4", "中文"),
        ("hebrew", b"\xe0\xe1", "אב"),
        ("csisolatin9", b"\xa4", "€"),
        ("ibm850", b"Gr\x81\xe1e", "Grüße"),
        # ISO-2022-JP by the standard, and what mail adds to it
        ("iso-2022-jp", b"\x1b(BKK \x1b$B-j\x1b(B", "KK ㈱"),
        ("iso-2022-jp", b"\x1b$@F|K\\\x1b(B", "日本"),
        ("csISO2022JP", b"\x1b$BF|K\\\x1b(B", "日本"),
        ("iso-2022-jp", b"\x1b(J\\~a\x1b(B\\", "¥‾a\\"),
        ("iso-2022-jp", b"\x1b(I126\x1b(B1", "ｱｲｶ1"),
        ("iso-2022-jp", b"\x1b(I1`\x1b(B", "ｱ\ufffd"),
        ("iso-2022-jp", b"\x1b$BF|\nK\\\x1b(B", "日\nK\\"),
        ("iso-2022-jp", b"\x1b$BF|K", "日\ufffd"),
        ("iso-2022-jp", b"\x1b$B\x7f\x7fF|\x1b(Bx", "\ufffd\ufffd日x"),
        ("iso-2022-jp", b"a\x1bzb", "a\ufffdzb"),
        ("iso-2022-jp", b"a\x0eb", "a\ufffdb"),
        ("iso-2022-jp-1", b"\x1b$(D0!\x1b(B", "丂"),
        ("iso-2022-jp-2", b"\x1b$A" + CHINESE + b"\x1b$(C" + KOREAN + b"\x1b(B!", "你好한국!"),
        ("iso-2022-jp-3", b"\x1b$(O.!\x1b(B", "俱"),
        ("iso-2022-jp", b"\x1b$(D!!\x1b(B", "\ufffd"),
        # other stateful ones
        ("iso-2022-kr", b"\x1b$)C\x0e" + KOREAN + b"\x0f!\n\x0e" + KOREAN, "한국!\n한국"),
        ("iso-2022-kr", b"\x1b$)C\x0e" + KOREAN + b"\x7f\x7f\x0fok", "한국\ufffd\ufffdok"),
        ("iso-2022-kr", b"\x0e" + KOREAN + b"\nab", "한국\nab"),
        ("hz-gb-2312", b"a~~~{" + CHINESE + b"~}b~\nc\n~{" + CHINESE, "a~你好bc\n你好"),
        ("hz", b"~{" + CHINESE + b"\nab", "你好\nab"),
        ("utf-7", b"90+ACU- off +AOk-", "90% off é"),
        ("utf-7", b"90+ACU- off +/w-", "90% off \ufffd"),
        ("utf-7", b"1 +- 1", "1 + 1"),
        # single bytes and pairs that Python's codecs leave out
        ("windows-1252", b"a\x81b", "a\x81b"),
        ("windows-1255", b"\xca", "\u05ba"),
        ("windows-1253", b"\xaa!", "\ufffd!"),
        ("windows-874", b"\x80\xdb", "€\ufffd"),
        ("koi8-u", b"\xae\xbe", "ўЎ"),
        ("euc-jp", b"\xad\xea\xc6\xfc", "㈱日"),
        ("euc-jp", b"\xc6\xfc\xff\xc6", "日\ufffd\ufffd"),
        ("shift_jis", b"\x80\xa0\x87\x8a", "\x80\ufffd㈱"),
        ("gbk", b"\x80\xa3\xa0", "€\u3000"),
        ("big5", b"\xa4\xa4\x80", "中\ufffd"),
        ("x-user-defined", b"a\xff", "a\uf7ff"),
        ("replacement", b"", ""),
        ("replacement", b"\xff", "\ufffd"),
        ("iso-2022-jp", "日本".encode(), "日本"),
        ("iso-2022-jp", b"\xff\x1b$BF|\x1b(B", "\ufffd日"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("utf-16", b"a\0b\0", "ab"),
        ("utf-16le", b"\xfe\xff\0a", "a"),
    ],
)  # fmt: skip
def test_m16_one_bad_run_spoils_one_run(charset: str, data: bytes, text: str) -> None:
    assert decode(data, charset) == text


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("iso-2022-jp", b"\x1b(BKK \x1b$B-j\x1b(B", "KK ㈱"),
        ("utf-7", b"90+ACU- off +/w-", "90% off \ufffd"),
        ("iso-2022-kr", b"\x1b$)C\x0e" + KOREAN + b"\x0f", "한국"),
        ("ks_c_5601-1989", b"\xc7\xd1\xb1\xb9", "한국"),
        ("gb_2312-80", b"\xd6\xd0\xce\xc4", "中文"),
        ("csisolatin9", b"\xa4", "€"),
    ],
)
def test_m16_charsets_are_read_in_headers_file_names_and_bodies(
    charset: str, data: bytes, text: str
) -> None:
    word = f"=?{charset}?B?{base64.b64encode(data).decode()}?="
    assert decode_words(f"Re: {word}") == f"Re: {text}"
    named = parameters(f"attachment; filename*={charset}''{quote(data)}")
    assert named["filename"] == text
    assert decode_body(data, charset) == text


def test_an_error_that_is_none_of_decoding_is_raised_on() -> None:
    with pytest.raises(UnicodeEncodeError):
        "\ud800".encode("utf-8", "gmail-sync-utf_8")
