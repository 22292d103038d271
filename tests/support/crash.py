"""Crashing at every gateway call: before it, or after it, one at a time.

    plan = CrashPlan()                      # a dry run counts the calls
    work(documents=Crashing(documents, plan), gmail=Crashing(gmail, plan))
    for point in plan.points():
        plan = CrashPlan(point)
        with contextlib.suppress(Crash):
            work(...)                       # dies at this point
        work(...)                           # and must recover

One plan is shared by all ports of a run, so that the calls are numbered as they come.
A call can also lose its answer: it is done, and the process that lives on cannot know.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.errors import FateUnknown, Transient

When = Literal["before", "after", "lost"]


class Crash(BaseException):
    """The process died here. No `except Exception` catches it."""


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """Die before or after the call with this number (from 1), or lose its answer."""

    number: int
    when: When
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Name it for a test's id."""
        return f"{self.when} {self.number} {self.name}".strip()


class CrashPlan:
    """Numbers gateway calls and says where to die; thread safe.

    After its point is reached every further call dies too: a dead process calls
    nothing, not even from a `finally`.
    """

    def __init__(self, point: CrashPoint | None = None) -> None:
        """Without a point: only count."""
        self._point = point
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.crashed = False

    def points(self) -> list[CrashPoint]:
        """Every point at which the run so far could have died."""
        return [
            CrashPoint(number, when, name)
            for number, name in enumerate(self.calls, start=1)
            for when in ("before", "after")
        ]

    def begin(self, name: str) -> int:
        """Number a call, or die before it."""
        with self._lock:
            if self.crashed:
                raise Crash
            self.calls.append(name)
            number = len(self.calls)
            self._die_at(number, "before")
            return number

    def end(self, number: int) -> None:
        """Die after this call, or lose its answer, if the plan says so."""
        with self._lock:
            self._die_at(number, "after")
            name = self.calls[number - 1]
        if self._point == CrashPoint(number, "lost"):
            # After a lost answer of SMTP nothing can be looked up (ports.Relay).
            raise FateUnknown if name == "MemoryRelay.send" else Transient

    def _die_at(self, number: int, when: When) -> None:
        point = self._point
        if point and (point.number, point.when) == (number, when):
            self.crashed = True
            raise Crash


class Crashing:
    """A port whose calls go through a plan. Wraps any port object.

    A port that a call returns (`google.gmail(...)`) is wrapped as well; what an
    iterator yields is numbered as one call, when it begins.
    """

    def __init__(
        self, inner: Any, plan: CrashPlan, *, ports: tuple[str, ...] = ("gmail",)
    ) -> None:
        """Wrap. `ports` names methods that only make another port."""
        self._inner = inner
        self._plan = plan
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        """Find the port's method and wrap it."""
        found = getattr(self._inner, name)
        if not callable(found) or name.startswith("_"):
            return found
        if name in self._ports:
            return lambda *args, **kwargs: Crashing(
                found(*args, **kwargs), self._plan, ports=self._ports
            )

        def call(*args: Any, **kwargs: Any) -> Any:
            number = self._plan.begin(f"{type(self._inner).__name__}.{name}")
            # A refusal is an answer as well: the process can die just after it.
            try:
                answer = found(*args, **kwargs)
            except Exception:
                self._plan.end(number)
                raise
            if isinstance(answer, Iterator):
                answer = list(answer)
                self._plan.end(number)
                return iter(answer)
            self._plan.end(number)
            return answer

        return call
