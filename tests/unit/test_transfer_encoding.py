"""Text and bytes as lines of ASCII (RFC 2045 §6)."""

from __future__ import annotations

import base64

import pytest

from shared.core.sending.transfer_encoding import (
    base64_lines,
    base64_size,
    encode_text,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", b""),
        ("Hello", b"Hello"),
        ("one\ntwo\rthree\r\nfour", b"one\r\ntwo\r\nthree\r\nfour"),
        ("a = b", b"a =3D b"),
        ("blank at the end \nof a line\t", b"blank at the end=20\r\nof a line=09"),
        ("mostly plain, naïve", b"mostly plain, na=C3=AFve"),
        ("w" * 80, b"w" * 75 + b"=\r\n" + b"w" * 5),
    ],
)
def test_plain_text_stays_readable(text: str, written: bytes) -> None:
    assert encode_text(text) == ("quoted-printable", written)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        # Two bytes of twelve, then two of eleven, are no ASCII.
        ("À" + "a" * 10, "quoted-printable"),
        ("À" + "a" * 9, "base64"),
        ("你好", "base64"),
        ("a\0b", "base64"),
        ("\x7f" * 9, "quoted-printable"),
    ],
)
def test_foreign_text_is_written_the_shorter_way(text: str, encoding: str) -> None:
    assert encode_text(text)[0] == encoding


@pytest.mark.parametrize(
    ("text", "raw"),
    [("你\n好", "你\r\n好".encode()), ("你\ud800", "你?".encode()), ("\0", b"\0")],
)
def test_base64_text_holds_the_same_bytes(text: str, raw: bytes) -> None:
    assert encode_text(text) == ("base64", base64.b64encode(raw) + b"\r\n")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 400])
@pytest.mark.parametrize("cut", [1, 57, 100, 500])
def test_lines_do_not_depend_on_how_the_bytes_come(size: int, cut: int) -> None:
    data = bytes(n % 251 for n in range(size))
    pieces = [data[at : at + cut] for at in range(0, size, cut)]
    written = b"".join(base64_lines(pieces))
    lines = [data[at : at + 57] for at in range(0, size, 57)]
    assert written == b"".join(base64.b64encode(line) + b"\r\n" for line in lines)
    assert base64_size(size) == len(written)


def test_no_more_than_a_piece_and_a_line_is_held() -> None:
    written = base64_lines(iter([b"x" * 57, b"y" * 57]))
    assert next(written) == base64.b64encode(b"x" * 57) + b"\r\n"
