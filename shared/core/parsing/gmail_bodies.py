"""The texts of a mail put together as a person reads them (M16).

Side by side they are shown together, in order; of alternatives the best one counts.
"""

from __future__ import annotations

import html as html_entities
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from shared.core.parsing.text_from_html import text_from_html

Path = tuple[tuple[int, int], ...]
"""The alternatives around a part, outermost first: their number, and the child's."""


class Body(NamedTuple):
    """One text of a mail, and which alternatives it is a part of."""

    is_html: bool
    text: str
    path: Path


class Shown(NamedTuple):
    """What is shown, as text and as HTML; None where nobody wrote any."""

    text: str | None
    html: str | None


def shown(bodies: Sequence[Body], level: int = 0) -> Shown:
    """Put texts together, those of the alternatives of this level chosen already.

    Goes as deep as alternatives are in each other, which the cap on depth bounds.
    """
    pieces: list[Shown] = []
    for alternative, group in groupby(bodies, lambda body: _number(body, level)):
        if alternative is None:
            pieces += map(_alone, group)
        else:
            pieces.append(_best(list(group), level))
    return _side_by_side(pieces)


def _number(body: Body, level: int) -> int | None:
    return body.path[level][0] if len(body.path) > level else None


def _alone(body: Body) -> Shown:
    return Shown(None, body.text) if body.is_html else Shown(body.text, None)


def _best(bodies: Sequence[Body], level: int) -> Shown:
    """The last alternative of each kind is the richest (RFC 2046 §5.1.4)."""
    children = [
        shown(list(group), level + 1)
        for _, group in groupby(bodies, lambda body: body.path[level][1])
    ]
    html = next(
        (child.html for child in reversed(children) if child.html is not None), None
    )
    texts = [child for child in children if child.text is not None]
    # What was written as text counts before what was made from HTML.
    texts.sort(key=lambda text: text.html is None)
    return Shown(texts[-1].text if texts else None, html)


def _side_by_side(pieces: list[Shown]) -> Shown:
    if any(piece.html is not None for piece in pieces):
        # Gateways put empty texts around what they pass on.
        pieces = [
            piece for piece in pieces if piece.html is not None or _has_words(piece)
        ]
    if len(pieces) < 2:  # noqa: PLR2004
        return pieces[0] if pieces else Shown(None, None)
    text = html = None
    if any(piece.text is not None for piece in pieces):
        texts = [
            text_from_html(piece.html or "") if piece.text is None else piece.text
            for piece in pieces
        ]
        text = "\n".join([*(t.removesuffix("\n") for t in texts[:-1]), texts[-1]])
    if any(piece.html is not None for piece in pieces):
        html = "\n".join(
            _as_html(piece.text or "") if piece.html is None else piece.html
            for piece in pieces
        )
    return Shown(text, html)


def _has_words(piece: Shown) -> bool:
    return bool(piece.text and piece.text.strip())


def _as_html(text: str) -> str:
    lines = html_entities.escape(text).replace("\n", "<br>\n")
    return f"<div>{lines}</div>"
