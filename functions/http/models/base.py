"""What every model of the API is made of.

Unknown fields are refused and nothing is converted silently.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_LIST_ENTRIES = 1000
MAX_PAGE = 100
DEFAULT_PAGE = 25
PRINTABLE = r"^[\x20-\x7e]*$"


class In(BaseModel):
    """What a caller sends."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        # Validators are made at the first use: a call needs two or three of them.
        defer_build=True,
    )


class Out(BaseModel):
    """What we answer; a mistake of ours fails here and not at the caller."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True, defer_build=True)


class NoFields(In):
    """An empty object, or no body at all."""


def _number(value: Any) -> Any:
    """Read a number of a query string; digits only."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:10])
    return value


class PageQuery(In):
    """Which part of a list."""

    page_size: Annotated[int, BeforeValidator(_number), Field(ge=1, le=MAX_PAGE)] = (
        DEFAULT_PAGE
    )
    page_token: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
