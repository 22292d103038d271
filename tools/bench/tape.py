"""A tape of the gateway calls of a run, from which the floor makes them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.gateways.gmail import GmailMailbox
from tools.bench.stage import Stage

PORTS = ("documents", "blobs", "secrets", "topics", "google")
_BUILDS_ONLY = ("google", "gmail")
"""Asks nothing of anybody: it gives the object that asks."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a gateway."""

    port: str
    method: str
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]


class Recorded:
    """A gateway that writes down what it is asked for."""

    def __init__(self, inner: Any, port: str, tape: list[Call]) -> None:
        """Hand everything on to `inner`."""
        self._inner = inner
        self._port = port
        self._tape = tape

    def __getattr__(self, method: str) -> Any:
        """Give the method, with the tape before it."""
        found = getattr(self._inner, method)
        return self._recorded(method, found) if callable(found) else found

    def _recorded(self, method: str, found: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if (self._port, method) != _BUILDS_ONLY:
                self._tape.append(Call(self._port, method, arguments, named))
            answer = found(*arguments, **named)
            if isinstance(answer, GmailMailbox):
                return Recorded(answer, "gmail", self._tape)
            return answer

        return call


def recording(stage: Stage) -> tuple[Stage, list[Call]]:
    """The stage with all of its gateways on one tape."""
    tape: list[Call] = []
    ports: dict[str, Any] = {
        name: Recorded(getattr(stage.outside, name), name, tape) for name in PORTS
    }
    return replace(stage, outside=replace(stage.outside, **ports)), tape
