"""Whatever dies or is not answered, the end is that of a run without faults.

`python -m tests.faults` shows the flows with their calls, and tells one fault again.
"""

from __future__ import annotations

import pytest

from tests.faults.flows import FLOWS
from tests.faults.registry import Flow
from tests.faults.run import tell, wrong

SHOWN = 3


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_crash_or_a_lost_answer_at_any_gateway_call_changes_nothing(
    flow: Flow,
) -> None:
    untroubled = tell(flow)
    points = list(untroubled.points())
    assert points
    found = {str(point): wrong(flow, untroubled, point) for point in points}
    failed = {point: lines for point, lines in found.items() if lines}
    assert not failed, _report(flow, len(points), failed)


def _report(flow: Flow, points: int, failed: dict[str, list[str]]) -> str:
    told = [f"{len(failed)} of {points} faults change how {flow.name!r} ends:"]
    for point, lines in list(failed.items())[:SHOWN]:
        told += [point, *(f"    {line}" for line in lines)]
    return "\n".join(told)
