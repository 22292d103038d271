"""The first call of a function loads it; what garbage collection does meanwhile."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest
from flask import Request

from tests.support.api import ROOT


@pytest.fixture
def main() -> Iterator[ModuleType]:
    """`main.py`, executed anew as the framework does."""
    before = gc.get_threshold()
    spec = importlib.util.spec_from_file_location("main_again", ROOT / "main.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    gc.set_threshold(*before)


def test_garbage_is_looked_for_as_usual_from_the_first_call_on(
    main: ModuleType,
) -> None:
    assert gc.get_threshold() == main._WHILE_LOADING
    request = Request({"REQUEST_METHOD": "POST", "wsgi.input": None})
    main.inbound(request)
    assert gc.get_threshold() == (700, 10, 10)


def test_a_first_call_that_fails_ends_the_loading_too(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_request: Request) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("functions.inbound.inbound", fails)
    with pytest.raises(ZeroDivisionError):
        main.inbound(Request({}))
    assert gc.get_threshold() == (700, 10, 10)
