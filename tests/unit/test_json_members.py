"""Members of a JSON object, as `json` reads them, without copies of long strings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Transient
from shared.gateways.json_members import json_members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def as_json(members: dict[str, Any]) -> dict[str, Any]:
    return {
        name: bytes(value).decode() if isinstance(value, memoryview) else value
        for name, value in members.items()
    }


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",))), VALUES, max_size=5
    ),
    st.booleans(),
    st.sampled_from([None, 0, 2]),
)
def test_it_reads_what_json_writes(
    value: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert as_json(json_members(text)) == json.loads(text)


@given(st.text() | st.binary())
def test_what_is_no_object_is_refused_and_never_raises_anything_else(
    text: str | bytes,
) -> None:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        json_members(raw)
    except Transient:
        return
    assert isinstance(json.loads(raw), dict)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "}",
        "[]",
        "null",
        '{"a"}',
        '{"a": 1,}',
        '{"a": 1} x',
        '{"a": "b',
        '{"a": "b\\"}',
        "{'a': 1}",
        '{"a": 1 "b": 2}',
        '{"a": ' + "[" * 100_000,
        "{" + ", ".join(f'"a{n}": 1' for n in range(101)) + "}",
    ],
    ids=lambda text: text[:20],
)
def test_it_is_as_strict_as_json(text: str) -> None:
    with pytest.raises(Transient):
        json_members(text.encode())


def test_a_long_string_is_not_copied() -> None:
    content = b'{"data": "' + b"A" * 1_000_000 + b'"}'
    data = json_members(content)["data"]
    assert data.obj is content
    assert len(data) == 1_000_000
