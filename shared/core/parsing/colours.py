"""Colours of CSS (CSS Color 4) and of old HTML: which are real, and which are equal."""

from __future__ import annotations

import re

from shared.core.parsing.plain_text import word_set

_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_OLD = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}")
_FUNCTION = re.compile(
    r"(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch)\([0-9a-z.,%/+ -]{1,60}\)"
)
_CLEAR = re.compile(r"(?:#[0-9a-f]{3}0|#[0-9a-f]{6}00|.*[,/] ?0?\.?0{1,4}%?\))")
_INHERITED = frozenset({"currentcolor", "inherit", "initial", "revert", "unset"})
_NAMED = word_set(
    "aliceblue antiquewhite aqua aquamarine azure beige bisque black "
    "blanchedalmond blue blueviolet brown burlywood cadetblue chartreuse "
    "chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan "
    "darkgoldenrod darkgray darkgreen darkgrey darkkhaki darkmagenta "
    "darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen "
    "darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink "
    "deepskyblue dimgray dimgrey dodgerblue firebrick floralwhite forestgreen "
    "fuchsia gainsboro ghostwhite gold goldenrod gray green greenyellow grey "
    "honeydew hotpink indianred indigo ivory khaki lavender lavenderblush "
    "lawngreen lemonchiffon lightblue lightcoral lightcyan lightgoldenrodyellow "
    "lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen "
    "lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime "
    "limegreen linen magenta maroon mediumaquamarine mediumblue mediumorchid "
    "mediumpurple mediumseagreen mediumslateblue mediumspringgreen "
    "mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin "
    "navajowhite navy oldlace olive olivedrab orange orangered orchid "
    "palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff "
    "peru pink plum powderblue purple rebeccapurple red rosybrown royalblue "
    "saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue "
    "slateblue slategray slategrey snow springgreen steelblue tan teal thistle "
    "tomato transparent turquoise violet wheat white whitesmoke yellow "
    "yellowgreen"
)
_SAME = {"white": "#ffffff", "black": "#000000"}


def is_colour(value: str) -> bool:
    """Whether every browser understands this, in lower case, as a colour."""
    return bool(
        value in _NAMED
        or value in _INHERITED
        or _HEX.fullmatch(value)
        or _FUNCTION.fullmatch(value)
    )


def old_colour(value: str) -> str:
    """Read a colour of old HTML, which leaves the number sign out, as one of CSS."""
    value = value.strip().lower()
    return f"#{value}" if _OLD.fullmatch(value) else value


def is_clear(colour: str) -> bool:
    """Whether one sees through it."""
    return colour == "transparent" or bool(_CLEAR.fullmatch(colour))


def normal_colour(colour: str) -> str:
    """Write a colour so that usual spellings of the same one are equal."""
    colour = _SAME.get(colour, colour).replace(" ", "")
    if len(colour) == len("#fff") and colour.startswith("#"):
        return "#" + "".join(2 * digit for digit in colour[1:])
    if colour in {"rgb(255,255,255)", "rgba(255,255,255,1)"}:
        return "#ffffff"
    return colour
