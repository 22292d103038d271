"""Inline CSS from strangers: what it hides, and what of it is harmless to show.

Promises: `safe_style` gives nothing that fetches, moves, or makes anything bigger than
a mail needs; a colour and its background stay together or go together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.core.parsing.colours import is_clear, is_colour, normal_colour
from shared.core.parsing.style_values import SHOWN, is_image, length, pixels, words

Style = Mapping[str, str]
"""Declarations by property, both in lower case, without `!important`."""

GONE = "display:none"
"""All that is left of the style of an element that is not shown."""
LOST = "-lost:1"
"""Mark of a background that is not kept: what stands on it keeps no colour."""

_DELIMITERS = re.compile(r"[;\"'()]")
_IMPORTANT = re.compile(r"! ?important\Z")
_FONT_SIZE = re.compile(r"(?:\A| )([0-9.]{1,8}[a-z%]{0,3})(?:/| )")
_MAX_STYLE_CHARS = 4096
_TINY = 4 / 3  # 1pt: nobody can read it, and preview text is hidden like that
_FAR = -100
_INVISIBLE = 0.02
_CLIPPED = frozenset({"hidden", "clip"})
_NO_BACKGROUND = frozenset({"none", "initial", "unset", "inherit", "revert"})


def declarations(style: str) -> Style:
    """Read a style attribute as browsers do: the last one counts, or an important one.

    One with a backslash, by which a value can be written so that only browsers
    understand it, is not read at all.
    """
    found: dict[str, str] = {}
    important: set[str] = set()
    if len(style) > _MAX_STYLE_CHARS or "\\" in style:
        return found
    for declaration in _split(_without_comments(style)):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), " ".join(value.lower().split())
        matters = _IMPORTANT.search(value)
        if matters:
            value = value[: matters.start()].rstrip()
            important.add(name)
        if value and (matters or name not in important):
            found.pop(name, None)
            found[name] = value
    return found


def is_gone(style: Style) -> bool:
    """Whether an element with this style is not shown, whatever is in it.

    Outlook's `mso-hide` hides from Outlook only, often what all others shall see.
    """
    opacity = pixels(style.get("opacity", ""))
    indent = pixels(style.get("text-indent", ""))
    return (
        style.get("display") == "none"
        or (opacity is not None and opacity < _INVISIBLE)
        or (indent is not None and indent <= _FAR)
        or (_is_clipped(style) and _has_no_room(style))
    )


class Hiding(NamedTuple):
    """Why the words straight in an element are hidden; elements in it may differ."""

    tiny: bool = False
    invisible: bool = False
    faded: bool = False

    def within(self, style: Style) -> Hiding:
        """How it is in a child with this style."""
        now = (_is_tiny(style), _is_invisible(style), _is_faded(style))
        return Hiding(
            *(
                before if here is None else here
                for here, before in zip(now, self, strict=True)
            )
        )


def safe_style(style: Style) -> str:
    """Write what of it is harmless, with `LOST` where a background is not kept."""
    if is_gone(style):
        return GONE
    kept = {
        name: value
        for name, value in style.items()
        if name in SHOWN and SHOWN[name](value)
    }
    background, lost = _background(style)
    if "color" in style and "color" not in kept and background is not None:
        background, lost = None, True
    if background is not None:
        kept["background-color"] = background
    if lost:
        kept.pop("color", None)
    written = [f"{name}:{value}" for name, value in kept.items()]
    return ";".join([LOST, *written] if lost else written)


def _background(style: Style) -> tuple[str | None, bool]:
    """The colour behind; and whether something else is there that is not kept."""
    colour: str | None = None
    lost = is_image(style.get("background-image", ""))
    for name, value in style.items():
        if name == "background-color":
            parts = [value]
        elif name == "background":
            parts = words(value)
            lost = lost or is_image(value)
        else:
            continue
        colour = next(filter(is_colour, parts), None)
        lost = lost or (colour is None and value not in _NO_BACKGROUND)
    return colour, lost and (colour is None or is_clear(colour))


def _is_tiny(style: Style) -> bool | None:
    value = style.get("font-size", "")
    if not value and (shorthand := _FONT_SIZE.search(style.get("font", ""))):
        value = shorthand[1]
    size = length(value)
    if size is None:
        # A keyword is a size to read; "inherit" and "smaller" follow the parent.
        return None if value in {"", "inherit", "smaller", "larger"} else False
    if size[0] != 0 and size[1] in {"em", "%", "ex", "ch"}:
        return None
    return (pixels(value) or 0) <= _TINY


def _is_invisible(style: Style) -> bool | None:
    value = style.get("visibility")
    if value in {"hidden", "collapse"}:
        return True
    return None if value in {None, "inherit"} else False


def _is_faded(style: Style) -> bool | None:
    colour = style.get("color")
    background = _background(style)[0]
    if colour in {None, "inherit", "currentcolor"}:
        return None if background is None else False
    if any(name.endswith("background-clip") for name in style):
        return False
    if is_clear(colour):
        return True
    return background is not None and normal_colour(colour) == normal_colour(background)


def _is_clipped(style: Style) -> bool:
    return any(
        _CLIPPED.intersection(style.get(name, "").split())
        for name in ("overflow", "overflow-x", "overflow-y")
    )


def _has_no_room(style: Style) -> bool:
    sizes = (
        pixels(style.get(name, ""))
        for name in ("height", "max-height", "width", "max-width")
    )
    return any(size is not None and size <= _TINY for size in sizes)


def _without_comments(style: str) -> str:
    first, *rest = style.split("/*")
    return " ".join([first, *(part.partition("*/")[2] for part in rest)])


def _split(style: str) -> Iterator[str]:
    """Cut at semicolons that are in no quotes and no parentheses."""
    start = 0
    within = ""
    for found in _DELIMITERS.finditer(style):
        mark = found[0]
        if within:
            if mark == within:
                within = ""
        elif mark == ";":
            yield style[start : found.start()]
            start = found.end()
        elif mark != ")":
            within = ")" if mark == "(" else mark
    yield style[start:]
