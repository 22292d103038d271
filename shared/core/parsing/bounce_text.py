"""What the text of a bounce says: addresses, the server's words, a code.

Servers write in any language and in any order, so nothing here depends on words but
where the returned email begins.
"""

# ruff: noqa: RUF001  (other alphabets have letters that look like ours)
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from shared.core.parsing.address import normalise

_PASSAGE_LINES = 12

# The line from which on the email that came back is quoted.
_ORIGINAL = re.compile(
    r"^[ \t>*_=-]{0,80}(?:"
    r"(?:original|returned|undelivered|unsent|the original) (?:mail|message|email)"
    r"(?: header| text)?s?(?: (?:follows|headers|is (?:attached|included))(?: below)?)?"
    r"|(?:this is |here is |below (?:this line )?is )?a copy of (?:the|your) (?:message"
    r"|mail|original)[^\n]{0,80}|below this line is a copy of the message"
    r"|message header(?:s)? follow|included is a copy of[^\n]{0,60}"
    r"|(?:message|mail) headers?|start of (?:returned|original) message"
    r"|ursprüngliche nachricht(?:enkopfzeilen)?|message (?:d.origine|original)"
    r"|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht"
    r"|исходное сообщение|原始邮件|元のメッセージ"
    r")[ \t:.*_=-]{0,80}$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADERS = re.compile(
    r"^(?:Return-Path|Received|Message-ID|MIME-Version|DKIM-Signature):",
    re.IGNORECASE | re.MULTILINE,
)
_LOCAL = r"[^\s<>()\[\],;:\"@'`“”„«»（）＜＞：；，、。【】「」]"
_ADDRESS = re.compile(rf"(?<!{_LOCAL})({_LOCAL}{{1,64}}@{_LOCAL}{{1,253}})")
# A line that begins with an address says what became of it.
_LINE = re.compile(
    rf"^[ \t*•>\-]{{0,20}}(?:\d{{1,3}}[.)] )?(?:(?:failed )?recipients?(?: address)?"
    rf"(?:\(s\))?:|to:|rcpt to:|e-?mail:)?[ \t]{{0,20}}['\"]?"
    rf"<?(?:mailto:)?({_LOCAL}{{1,64}}@{_LOCAL}{{1,253}})",
    re.IGNORECASE | re.MULTILINE,
)
_ENHANCED = re.compile(r"(?<![\d.\[])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.,:/\w-])([45][0-5]\d)(?=[ \-:,\n]|\Z)(?!-\d)")


def before_original(text: str) -> tuple[str, str]:
    """The server's own words, and the returned email that follows them, if any."""
    found = [
        match for pattern in (_ORIGINAL, _HEADERS) if (match := pattern.search(text))
    ]
    if not found:
        return text, ""
    first = min(found, key=lambda match: match.start())
    begins = first.end() if first.re is _ORIGINAL else first.start()
    return text[: first.start()], text[begins:]


def addresses_in(text: str) -> Iterator[str]:
    """Normalised addresses anywhere in a text, each once."""
    found = (_normalised(match[1]) for match in _ADDRESS.finditer(text))
    yield from dict.fromkeys(address for address in found if address)


def recipients_in(text: str) -> list[str]:
    """Addresses that a bounce is about: those that begin a line, else all."""
    first = dict.fromkeys(
        address for m in _LINE.finditer(text) if (address := _normalised(m[1]))
    )
    return list(first or dict.fromkeys(addresses_in(text)))


class Said:
    """A server's own words, looked through once for all the recipients.

    `code` is the first in it, and `coded` the line where that is.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = code_in(text)
        self.lines = text.split("\n")
        self.folded = [line.lower() for line in self.lines]
        self.coded = next((n for n, li in enumerate(self.lines) if code_in(li)), None)


def passage_about(said: Said, addresses: Sequence[str]) -> str:
    """The paragraph that says why this address was not reached.

    From a place where it is named up to another address's line or an empty one; where
    nothing with a code is found so, from the first line that has one; where no line
    has, from the last place where it is named, or the last paragraph.
    """
    lines = said.lines
    named = [
        number
        for number, line in enumerate(said.folded)
        if any(address in line for address in addresses)
    ]
    best = ""
    for number in named:
        passage = _from_line(lines, number, addresses)
        if code_in(passage):
            return passage
        best = passage or best
    if said.coded is not None:
        return _from_line(lines, said.coded, addresses)
    if named:
        return best
    return said.text.strip().rpartition("\n\n")[2]


def code_in(text: str) -> str | None:
    """The enhanced status code (RFC 3463) in a text, else an SMTP reply code."""
    found = _ENHANCED.search(text) or _REPLY.search(text)
    return found[1] if found else None


def _names(line: str, addresses: Sequence[str]) -> bool:
    folded = line.lower()
    return any(address in folded for address in addresses)


def _from_line(lines: Sequence[str], start: int, addresses: Sequence[str]) -> str:
    taken: list[str] = []
    for line in lines[start : start + _PASSAGE_LINES]:
        other = _LINE.match(line)
        if taken and other is not None and not _names(line, addresses):
            break
        if not line.strip() and _without_address("\n".join(taken), addresses):
            break
        taken.append(line)
    return _without_address("\n".join(taken), addresses)


def _without_address(text: str, addresses: Sequence[str]) -> str:
    """Take off the address at the beginning: the entry names it already."""
    text = text.strip().rstrip("*=-_ \n")
    match = _LINE.match(text)
    if match is None or not _names(match[0], addresses):
        return text
    return text[match.end() :].lstrip(" \t\r\n>:;,'\")(-")


def _normalised(raw: str) -> str | None:
    return normalise(raw.strip(".!?…。、，*_|"))
