"""The kinds of fields that requests and answers are made of."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from shared.core.access import BACKEND
from shared.core.ids import is_id
from shared.core.limits import MAX_ADDRESS_CHARS
from shared.core.parsing.address import normalise
from shared.core.parsing.list_entries import internal_domain, never_log_entry

MAX_NAME_CHARS = 256
ID_PATTERN = r"^[A-Za-z0-9._~-]{1,128}$"
USER_PATTERN = r"^(?!crm$)[A-Za-z0-9._~-]{1,128}$"
KEY_PATTERN = r"^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$"
"""An Idempotency-Key."""
ID_RULE = (
    "must be 1 to 128 of A-Z a-z 0-9 . _ ~ -, and not '.', '..' or of the form __x__"
)
USER_RULE = f"must not be {BACKEND!r}, which is the backend itself"
# C0, DEL, C1 and Unicode's line ends.
NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_id(value: str) -> str:
    """Give an id back; raises ValueError."""
    if not is_id(value):
        raise ValueError(ID_RULE)
    return value


def check_user_id(value: str) -> str:
    """Give a user's id back; raises ValueError."""
    if value == BACKEND:
        raise ValueError(USER_RULE)
    return check_id(value)


def _check_address(value: str) -> str:
    given = value.strip()
    if normalise(given) is None:
        raise ValueError("must be an email address")
    return given


def to_milliseconds(value: str) -> int:
    """Read an RFC 3339 time with its offset; raises ValueError."""
    if not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with an offset or Z")
    try:
        # Python reads at most microseconds.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper()))
        since = moment - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists") from None
    return since // _MILLISECOND


_MILLISECOND = (_EPOCH.replace(microsecond=1000)) - _EPOCH


def to_rfc3339(value: Any) -> Any:
    """Write milliseconds or a datetime as RFC 3339 in UTC; text stays as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = _EPOCH + value * _MILLISECOND
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"  # noqa: PLR2004
        text = moment.isoformat(timespec=precision)
        return text.removesuffix("+00:00") + "Z"
    return value


def _check_time(value: str) -> str:
    to_milliseconds(value)
    return value


Id = Annotated[
    str,
    Field(examples=["c-17"]),
    AfterValidator(check_id),
    WithJsonSchema({"type": "string", "pattern": ID_PATTERN}),
]
"""One of the CRM's own ids."""

User = Annotated[
    str,
    Field(examples=["u-7"]),
    AfterValidator(check_user_id),
    WithJsonSchema({"type": "string", "pattern": USER_PATTERN}),
]
"""The id of a user."""

Name = Annotated[str, Field(max_length=MAX_NAME_CHARS, pattern=NO_CONTROLS)]
"""A name for people, on one line."""

Email = Annotated[
    str,
    Field(min_length=3, max_length=MAX_ADDRESS_CHARS + 64, pattern=NO_CONTROLS),
    AfterValidator(_check_address),
    WithJsonSchema(
        {"type": "string", "format": "email", "maxLength": MAX_ADDRESS_CHARS}
    ),
]
"""One address, without a display name; kept as it was written."""

ListEntry = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ADDRESS_CHARS + 64, pattern=NO_CONTROLS),
    AfterValidator(never_log_entry),
]
"""An address, or a domain with its sub-domains; kept normalised."""

Domain = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ADDRESS_CHARS + 64, pattern=NO_CONTROLS),
    AfterValidator(internal_domain),
]
"""A team's own domain, with its sub-domains; kept normalised."""

TimeIn = Annotated[
    str,
    Field(max_length=40, examples=["2026-11-02T09:30:00Z"]),
    AfterValidator(_check_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment, with its offset."""

Time = Annotated[
    str,
    BeforeValidator(to_rfc3339),
    Field(examples=["2026-11-02T09:30:00Z"]),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC."""
