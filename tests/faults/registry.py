"""Flows: what the outside world does, told once as if nothing could go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.world import World

Step = Callable[[World], object]
Accept = Callable[[list[str]], bool]


def never(_differences: list[str]) -> bool:
    """Every difference is wrong."""
    return False


@dataclass(frozen=True)
class Flow:
    """One flow. `given` happens undisturbed; in `tell` every gateway call can fail.

    `more` is what may be there more often than without a fault, as beginnings of the
    lines of `observed`; the flow's docstring gives the reason. Nothing may be missing.
    `accept` may find that other differences are as they should be.
    """

    name: str
    given: Step
    tell: Step
    more: tuple[str, ...] = ()
    accept: Accept = never
    settings: Mapping[str, Any] = field(default_factory=dict)
    patches: dict[str, Any] = field(default_factory=dict)


FLOWS: list[Flow] = []


def flow(
    given: Step,
    *,
    more: tuple[str, ...] = (),
    accept: Accept = never,
    patches: dict[str, Any] | None = None,
    **settings: Any,
) -> Callable[[Step], Step]:
    """Register a function as a flow, under its own name."""

    def register(tell: Step) -> Step:
        name = tell.__name__.replace("_", " ")
        FLOWS.append(Flow(name, given, tell, more, accept, settings, patches or {}))
        return tell

    return register
