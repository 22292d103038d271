"""The CSS properties that mail keeps, each with the values it may have.

Nothing fetches, positions, floats, transforms or animates; every length is bounded on
both sides, and no margin is negative.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shared.core.parsing.colours import is_colour

_LENGTH = re.compile(
    r"([+-]?(?:[0-9]{1,6}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))"
    r"(px|pt|em|rem|ex|ch|in|cm|mm|pc|q|%|)"
)
_PIXELS = {
    "px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "in": 96.0,
    "cm": 37.8, "mm": 3.78, "pc": 16.0, "q": 0.945,
}  # fmt: skip
_WORD = re.compile(r"[a-z-]+\([^()]*\)|[^\s()]+")
_FAMILIES = re.compile(r"[\w ,\"'-]{1,300}")
_IMAGE = re.compile(r"url\(|gradient\(|image\(|image-set\(|element\(")
_MAX_VALUE_CHARS = 300

Check = Callable[[str], bool]


def length(value: str) -> tuple[float, str] | None:
    """Read a length as a number and its unit; percentages and bare numbers too."""
    found = _LENGTH.fullmatch(value)
    return (float(found[1]), found[2]) if found else None


def pixels(value: str) -> float | None:
    """A length in pixels; relative ones at the usual size, a bare number as it is."""
    found = length(value)
    return found[0] * _PIXELS.get(found[1], 1.0) if found else None


def words(value: str) -> list[str]:
    """The words of a shorthand; a function is one word."""
    return _WORD.findall(value[:_MAX_VALUE_CHARS])


def is_image(value: str) -> bool:
    """Whether a background value draws more than a colour."""
    return _IMAGE.search(value) is not None


def _one_of(keywords: str) -> Check:
    return frozenset(keywords.split()).__contains__


def _within(
    low: float, high: float, percent: float, keywords: str = "", bare: float = 0
) -> Check:
    """A length from `low` to `high` pixels, up to `percent`, or a keyword."""
    allowed = frozenset(keywords.split())

    def check(value: str) -> bool:
        found = length(value)
        if found is None:
            return value in allowed
        number, unit = found
        if unit == "%":
            return 0 <= number <= percent
        if not unit:
            return 0 <= number <= bare
        return low <= number * _PIXELS[unit] <= high

    return check


def _up_to_four(each: Check) -> Check:
    def check(value: str) -> bool:
        parts = words(value)
        return 0 < len(parts) <= len("trbl") and all(map(each, parts))

    return check


def _any_of(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


_line_style = _one_of(
    "none hidden dotted dashed solid double groove ridge inset outset"
)
_line_width = _within(0, 20, 0, "thin medium thick")
_space = _within(0, 200, 50)
_margin = _within(0, 200, 50, "auto")
_size = _within(0, 1200, 100, "auto")
_line = _up_to_four(_any_of(_line_width, _line_style, is_colour))
_SIDES = ("", "-top", "-right", "-bottom", "-left")

SHOWN: dict[str, Check] = {
    "border-collapse": _one_of("collapse separate"),
    "border-color": _up_to_four(is_colour),
    "border-radius": _up_to_four(_within(0, 200, 100)),
    "border-spacing": _up_to_four(_within(0, 50, 0)),
    "border-style": _up_to_four(_line_style),
    "border-width": _up_to_four(_line_width),
    "color": is_colour,
    "direction": _one_of("ltr rtl"),
    "font-family": lambda value: bool(_FAMILIES.fullmatch(value)),
    "font-size": _within(
        0,
        100,
        300,
        "xx-small x-small small medium large x-large xx-large smaller larger inherit",
    ),
    "font-style": _one_of("normal italic oblique inherit"),
    "font-variant": _one_of("normal small-caps"),
    "font-weight": _one_of(
        "normal bold bolder lighter inherit 100 200 300 400 500 600 700 800 900"
    ),
    "height": _size,
    "letter-spacing": _within(-2, 30, 0, "normal"),
    "line-height": _within(0, 200, 500, "normal inherit", bare=5),
    "list-style-type": _one_of(
        "none disc circle square decimal lower-alpha upper-alpha lower-roman "
        "upper-roman lower-latin upper-latin"
    ),
    "max-width": _within(0, 1200, 100, "none"),
    "min-width": _within(0, 1200, 100),
    "text-align": _one_of("left right center justify start end inherit"),
    "text-decoration": _up_to_four(
        _any_of(
            _one_of(
                "none underline overline line-through solid double dotted dashed wavy "
                "inherit"
            ),
            is_colour,
        )
    ),
    "text-indent": _within(0, 100, 50),
    "text-transform": _one_of("none capitalize uppercase lowercase"),
    "vertical-align": _one_of(
        "baseline sub super top text-top middle bottom text-bottom"
    ),
    "visibility": _one_of("visible hidden collapse"),
    "white-space": _one_of("normal nowrap pre pre-wrap pre-line"),
    "width": _size,
    "word-break": _one_of("normal break-all keep-all break-word"),
    "word-spacing": _within(-2, 30, 0, "normal"),
    "overflow-wrap": _one_of("normal break-word anywhere"),
    "word-wrap": _one_of("normal break-word"),
    **{f"border{side}": _line for side in _SIDES},
    **{f"padding{side}": _space for side in _SIDES},
    **{f"margin{side}": _margin for side in _SIDES},
    "padding": _up_to_four(_space),
    "margin": _up_to_four(_margin),
}
"""Each property that is kept, and whether it may have this value."""
