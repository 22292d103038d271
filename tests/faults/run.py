"""Tell a flow without a fault, then with one at each gateway call of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest import mock

from tests.faults.deployment import Entry
from tests.faults.leaks import leaks
from tests.faults.observed import Observed, differences, observe
from tests.faults.registry import Flow
from tests.faults.strays import strays
from tests.faults.world import World
from tests.support.crash import CrashPlan, CrashPoint

READS = {
    *("get", "query", "read", "read_all", "stream"),
    *("authorization_url", "profile", "send_as", "history", "list_messages"),
    *("headers", "contents", "attachment", "draft_exists", "find_drafts", "find_sent"),
}
"""Gateway calls that change nothing. One that is not named here may change something."""

FEW_SHARDS = {
    "shared.services.syncing.sweep.SHARDS": 2,
    "shared.services.syncing.watches.SHARDS": 2,
    "shared.core.syncing.watches.SHARDS": 2,
}
"""Each is asked in the same way: two show as much as all. The core's comes last: who
imported it while it is two would keep that for all other tests."""


@dataclass(frozen=True)
class Told:
    """A flow that was told: what it called, and what came of it."""

    entries: tuple[Entry, ...]
    calls: tuple[str, ...]
    observed: Observed

    def points(self) -> Iterator[CrashPoint]:
        """Every place where a fault can strike, each of them once.

        A crash is told by what is done when it strikes: to die after a call, or before
        and after one that only reads, is to die before the next one; but after the last
        call of an entry point all is done, and only its caller does not know. Every
        call loses its answer: who asked may take each loss in another way.
        """
        ends = {entry.before for entry in self.entries[1:]} | {len(self.calls)}
        fresh = True
        for number, name in enumerate(self.calls, start=1):
            reads = name.partition(".")[2] in READS
            fresh = fresh or number - 1 in ends
            if fresh or not reads:
                yield CrashPoint(number, "before", name)
            yield CrashPoint(number, "lost", name)
            if number in ends:
                yield CrashPoint(number, "after", name)
            fresh = not reads


def tell(flow: Flow, point: CrashPoint | None = None) -> Told:
    """Tell a flow, with a fault at this point, and then let the sweeps come."""
    with ExitStack() as stack:
        for target, value in (FEW_SHARDS | flow.patches).items():
            stack.enter_context(mock.patch(target, value))
        logged = stack.enter_context(redirect_stdout(StringIO()))
        world = stack.enter_context(World(**flow.settings).running())
        flow.given(world)
        world.settle()
        world.clock.advance(seconds=1)
        began = world.clock.now()
        plan = CrashPlan(point)
        world.restart(plan)
        world.entries.clear()
        flow.tell(world)
        world.settle()
        entries, calls = tuple(world.entries), tuple(plan.calls)
        assert point is None or point.number <= len(calls), "the fault never struck"
        world.restart()
        # The sweep that finds what was left, when every mailbox has been silent long.
        world.clock.advance(hours=2)
        world.job("sweep")
        world.settle()
        left = strays(world)
        assert not left, f"nothing leads to {left}"
        seen = leaks(world, logged.getvalue())
        assert not seen, f"not to be seen: {seen}"
        return Told(entries, calls, observe(world, began))


def wrong(flow: Flow, untroubled: Told, point: CrashPoint) -> list[str]:
    """What a fault at this point has changed."""
    try:
        found = tell(flow, point)
    except AssertionError as error:
        return [str(error) or "an assertion of the flow"]
    differ = differences(untroubled.observed, found.observed, flow.more)
    return [] if flow.accept(differ) else differ
