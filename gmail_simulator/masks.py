"""The `fields` parameter: which parts of an answer a client asks for."""

from __future__ import annotations

import re
from typing import Any

from .errors import bad_request

Mask = dict[str, Any]
_TOKEN = re.compile(r"[\w$*-]+|[/(),]")


def parse_mask(text: str) -> Mask:
    """Turn `a,b(c,d),e/f` into nested dictionaries; an empty one means everything."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise bad_request(f"Invalid field selection {text}")
    root: Mask = {}
    # the list a name is added to, and where its own children go
    stack, here, fresh = [root], root, True
    for token in tokens:
        if token == ",":
            here = stack[-1]
        elif token == "(":
            stack.append(here)
        elif token == ")":
            if len(stack) == 1:
                raise bad_request(f"Invalid field selection {text}")
            stack.pop()
        elif token != "/":
            here = (stack[-1] if fresh else here).setdefault(token, {})
        fresh = token in (",", "(")
    if len(stack) != 1:
        raise bad_request(f"Invalid field selection {text}")
    return root


def apply_mask(value: Any, mask: Mask) -> Any:
    """Return the part of an answer that a mask asks for."""
    if not mask or "*" in mask:
        inner = mask.get("*", {}) if mask else {}
        return value if not inner else _each(value, inner)
    if isinstance(value, list):
        return [apply_mask(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: apply_mask(item, mask[key]) for key, item in value.items() if key in mask
    }


def _each(value: Any, mask: Mask) -> Any:
    if isinstance(value, dict):
        return {key: apply_mask(item, mask) for key, item in value.items()}
    return apply_mask(value, mask)
