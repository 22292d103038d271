"""List the flows, or try one: `python -m tests.faults "a user connects"`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.faults.flows import FLOWS
from tests.faults.registry import Flow
from tests.faults.run import Told, tell, wrong

OUT = Console(file=sys.stdout)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when a fault changes how a flow ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "flow", nargs="?", help="words of a flow's name: try its faults"
    )
    asked = parser.parse_args(arguments)
    chosen = [flow for flow in FLOWS if (asked.flow or "") in flow.name]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        told = {item.name: tell(item) for item in chosen}
        failed = (
            sum(_try(item, told[item.name]) for item in chosen) if asked.flow else 0
        )
    OUT.print(_table(told))
    return 1 if failed else 0


def _try(flow: Flow, untroubled: Told) -> int:
    """Say what each fault changes; counts those that do."""
    failed = 0
    for number, name in enumerate(untroubled.calls, start=1):
        OUT.print(f"{number:4} {name}", highlight=False)
        for point in untroubled.points():
            if point.number == number and (lines := wrong(flow, untroubled, point)):
                failed += 1
                OUT.print(f"     {point.when}", *lines, sep="\n     ", markup=False)
    return failed


def _table(told: dict[str, Told]) -> Table:
    table = Table("flow", "entry points", "calls", "crash", "lost answer")
    total: Counter[str] = Counter()
    for name, item in told.items():
        kinds = Counter(point.when for point in item.points())
        row = Counter(
            entries=len({entry.name for entry in item.entries}),
            calls=len(item.calls),
            crash=kinds["before"] + kinds["after"],
            lost=kinds["lost"],
        )
        total += row
        table.add_row(name, *_cells(row))
    table.add_section()
    total["entries"] = len(
        {entry.name for item in told.values() for entry in item.entries}
    )
    table.add_row(f"{len(told)} flows", *_cells(total))
    return table


def _cells(row: Counter[str]) -> list[str]:
    return [str(row[name]) for name in ("entries", "calls", "crash", "lost")]


if __name__ == "__main__":
    sys.exit(main())
