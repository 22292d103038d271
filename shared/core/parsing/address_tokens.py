"""Cut an address header into tokens (RFC 5322 §3.2), in one pass and without recursion.

Structure comes first: encoded words are tokens like any other and are decoded only in
names, so that an encoded comma or bracket never splits anything (RFC 2047 §6.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from shared.core.parsing.encoded_words import WORD

_MAX_COMMENT_DEPTH = 50

_ATOM = re.compile(r'[^ \t\r\n()<>\[\]:;@\\,"]+')
_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*)"', re.DOTALL)
_LITERAL = re.compile(r"\[[^\[\]\\\r\n<>@,;]*\]")
_COMMENT_STEP = re.compile(r"\\.|[()]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_HIDING = re.compile(r'[<>:;@,()\\"\[\]]')


class Token(NamedTuple):
    """A piece of an address header.

    `kind` is `atom`, `quoted`, `comment`, `bad`, or one of `< > : ; @ ,` for itself.
    `text` has its quoting removed; `end` is where the token ends in the header.
    `odd` marks what other parsers may read otherwise.
    """

    kind: str
    text: str
    end: int
    odd: bool = False
    blank_before: bool = False


def tokens_of(header: str, position: int = 0) -> Iterator[Token]:
    """Cut a header value into tokens; what fits nowhere is a `bad` token.

    An open quoted string or comment swallows the rest of the header as one bad token:
    guessing where it ended is how parsers come to disagree.
    """
    blank = False
    while position < len(header):
        char = header[position]
        if char in " \t\r\n":
            position += 1
            blank = True
            continue
        if char in "<>:;@,":
            token = Token(char, char, position + 1)
        elif char == '"':
            token = _quoted(header, position)
        elif char == "(":
            token = _comment(header, position)
        elif char in "[])\\":
            token = _literal(header, position)
        else:
            token = _atom(header, position)
        yield token._replace(blank_before=True) if blank else token
        position = token.end
        blank = False


def _atom(header: str, position: int) -> Token:
    # Mailers forget to encode specials inside Q words; the word is still one token,
    # but one that others may cut.
    word = WORD.match(header, position)
    if word:
        return Token("atom", word[0], word.end(), odd=bool(_HIDING.search(word[0])))
    # The pattern takes at least one character: all others have been dealt with.
    end = _ATOM.match(header, position).end()  # type: ignore[union-attr]
    return Token("atom", header[position:end], end)


def _quoted(header: str, position: int) -> Token:
    match = _QUOTED.match(header, position)
    if match is None:
        return Token("bad", header[position:], len(header))
    return Token("quoted", _ESCAPED.sub(r"\1", match[1]), match.end())


def _literal(header: str, position: int) -> Token:
    # "[EXT] Bob <bob@…>" is common; the brackets are harmless in a name, and
    # `normalise` refuses them in an address.
    match = _LITERAL.match(header, position)
    if match is None:
        return Token("bad", header[position], position + 1)
    return Token("atom", match[0], match.end())


def _comment(header: str, position: int) -> Token:
    depth = 0
    for step in _COMMENT_STEP.finditer(header, position):
        depth += {"(": 1, ")": -1}.get(step[0], 0)
        if depth == 0:
            text = _ESCAPED.sub(r"\1", header[position + 1 : step.start()])
            return Token("comment", text, step.end())
        if depth > _MAX_COMMENT_DEPTH:
            break
    return Token("bad", header[position:], len(header))
