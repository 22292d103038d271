"""Inputs that are made to cost a pattern or a parser as much as they can.

Derived from the pattern itself: its literals and classes repeated, after each beginning
of a text that it matches, with an end that lets it fail.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

# The standard library's own parser of patterns; there is no public one.
parse: Callable[..., Any] = re._parser.parse  # type: ignore[attr-defined]

_CATEGORIES = {
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_DIGIT": "0",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_WORD": " ",
}
_ANY = " a0<>\"'=;,.:@-/\\\n"
_ENDS = ("", "\x00", "!", "\n")
_MOST_PUMPS = 10
_MOST_BEGINNINGS = 6


def pumps_of(pattern: re.Pattern[Any]) -> list[str]:
    """Characters that the pattern speaks of, and some that it does not."""
    found: dict[str, None] = {}
    for character in _characters(parse(pattern.pattern, pattern.flags)):
        found[character] = None
    return list(islice({**found, **dict.fromkeys(_ANY)}, _MOST_PUMPS))


def texts_for(pattern: re.Pattern[Any], size: int) -> Iterator[str]:
    """Texts of about this size that a backtracking pattern takes long to refuse."""
    example = _example(parse(pattern.pattern, pattern.flags))
    pumps = pumps_of(pattern)
    step = max(1, len(example) // _MOST_BEGINNINGS)
    for beginning in dict.fromkeys(
        example[:n] for n in range(0, len(example) + 1, step)
    ):
        for pump in pumps:
            for end in _ENDS[:2]:
                yield beginning + pump * (size - len(beginning)) + end
        yield (beginning or "a") * (size // max(1, len(beginning)))
    for item in pumps:
        for other in pumps:
            if item < other:
                yield (item + other) * (size // 2)
                yield item * (size // 2) + other * (size // 2)
    for end in _ENDS:
        yield example * (size // max(1, len(example))) + end


def cost(work: Callable[[], object], tries: int = 3) -> float:
    """Seconds of the processor, the least of some tries."""
    least = float("inf")
    for _ in range(tries):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least


def grows_linearly(
    work: Callable[[int], Callable[[], object]], size: int, *, fast: float
) -> bool:
    """Whether the work at four times the size costs about four times as much.

    What takes less than `fast` seconds at four times the size is not worth measuring;
    a quadratic growth would show 16, which noise does not bring down to 9 three times.
    """
    big = work(4 * size)
    if cost(big, 1) < fast or cost(big) < fast:
        return True
    return any(cost(big) < 9 * cost(work(size), 5) for _ in range(3))


def _characters(parsed: Any) -> Iterator[str]:
    for operator, argument in parsed:
        yield from _of(str(operator), argument)


def _of(operator: str, argument: Any) -> Iterator[str]:  # noqa: C901
    match operator:
        case "LITERAL" | "NOT_LITERAL":
            yield chr(argument)
        case "IN":
            for kind, value in argument:
                yield from _of(str(kind), value)
        case "RANGE":
            yield chr(argument[0])
        case "CATEGORY":
            yield _CATEGORIES.get(str(argument), "a")
        case "BRANCH":
            for branch in argument[1]:
                yield from _characters(branch)
        case "SUBPATTERN":
            yield from _characters(argument[-1])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            yield from _characters(argument[2])
        case "ASSERT" | "ASSERT_NOT":
            yield from _characters(argument[1])
        case _:
            pass


def _example(parsed: Any) -> str:
    """A text that the pattern matches, or nearly; each repetition once at least."""
    text = ""
    for operator, argument in parsed:
        match str(operator):
            case "LITERAL":
                text += chr(argument)
            case "NOT_LITERAL" | "ANY":
                text += "a"
            case "IN":
                text += _member(argument)
            case "BRANCH":
                text += _example(argument[1][0])
            case "SUBPATTERN":
                text += _example(argument[-1])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                text += _example(argument[2]) * min(max(1, argument[0]), 40)
            case _:
                pass
    return text


def _member(members: Any) -> str:
    negated = str(members[0][0]) == "NEGATE"
    if not negated:
        return next(_of(str(members[0][0]), members[0][1]), "a")
    named = set(_of("IN", members[1:]))
    return next(character for character in "a0 <x" if character not in named)
