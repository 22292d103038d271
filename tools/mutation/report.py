"""The report, `docs/mutation.md`, and the list of survivors that nobody has judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tools.mutation.results import Result, Survivor, digest, equivalent

_REPORT = Path(__file__).parents[2] / "docs" / "mutation.md"

_HEAD = """\
# Mutation testing of the core

Written by `make mutate`. It changes `shared/core` in small ways, one at a time (another
number, operator, string or argument), and looks whether a test of `tests/unit` fails. A
change that makes a test run for ever is noticed, too.

*Equivalent* are survivors that no test could notice; the reasons are below, the changes
in `tools/mutation/equivalent.toml`. The score counts them as survivors all the same.
What only a type checker reads, and the case of a header's name, is not tried at all.
*(old)* marks a module that was changed after it was tried.
`make mutate ARGS=--list` shows each survivor that is not judged.

| module | mutants | killed | run for ever | survived | equivalent | score |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def write(results: Mapping[str, Result], sources: Mapping[str, str]) -> None:
    """Write the report about the modules that there are."""
    reasons = equivalent()
    known = {path: results[path] for path in sources if path in results}
    text = _HEAD
    for path, result in known.items():
        old = " (old)" if result.source != digest(sources[path]) else ""
        if result.mutants:
            text += _row(_short(path) + old, [result], reasons)
    text += _row("**all**", list(known.values()), reasons)
    text += "\n## Equivalent\n\n" + "".join(_equivalent(known, reasons))
    unjudged = _unjudged(known, known, reasons)
    lines = "".join(_line(path, survivor) for path, survivor in unjudged)
    text += "\n## Survived\n\n" + (lines or "Only what is named above.\n")
    _REPORT.write_text(text, encoding="utf-8")


def unjudged(results: Mapping[str, Result], paths: Iterable[str]) -> str:
    """Show survivors of these modules that are not known to be equivalent."""
    return "".join(
        f"{path}  {survivor.where}  {survivor.id}\n{survivor.change}\n\n"
        for path, survivor in _unjudged(results, paths, equivalent())
    )


LEAST_OF_A_MODULE, LEAST_IN_ALL = 90, 94
"""What the score has to be, in percent."""
LOWER = {
    "access.py": 88,  # members of an Enum, whose values nobody reads
    "parsing/bounce_text.py": 84,  # words of servers, many to a pattern
    "parsing/charsets.py": 60,  # tables of labels, tested one label of a kind
    "parsing/colours.py": 56,  # the table of named colours
    "parsing/data_pictures.py": 85,
    "parsing/html_scan.py": 87,
}
"""Modules that are not there yet. A number here may only rise."""
MOST_OLD = 55
"""So much of the source may be new or changed since it was tried, in percent.

It was 50, and is again when `make mutate` has tried what December 2026 has changed.
"""


def complaints(results: Mapping[str, Result], sources: Mapping[str, str]) -> list[str]:
    """Say what is too low, and what was not tried since it was changed."""
    known = {path: results[path] for path in sources if path in results}
    low = {
        _short(path): score([result])
        for path, result in known.items()
        if result.mutants
        and score([result]) < LOWER.get(_short(path), LEAST_OF_A_MODULE)
    }
    found = [f"{path} has only {percent:.1f} %" for path, percent in low.items()]
    if score(list(known.values())) < LEAST_IN_ALL:
        found.append(f"the whole has less than {LEAST_IN_ALL} %")
    old = [
        path
        for path, source in sources.items()
        if path not in known or known[path].source != digest(source)
    ]
    size = sum(map(len, sources.values()))
    if sum(len(sources[path]) for path in old) * 100 > MOST_OLD * size:
        found.append(f"old: {', '.join(map(_short, old))}")
    return found


def score(results: Sequence[Result]) -> float:
    """How many of a hundred mutants were noticed."""
    mutants = sum(result.mutants for result in results)
    return 100 * sum(result.noticed for result in results) / max(mutants, 1)


def _unjudged(
    results: Mapping[str, Result], paths: Iterable[str], reasons: Mapping[str, str]
) -> Iterator[tuple[str, Survivor]]:
    for path in paths:
        if path in results:
            for survivor in results[path].survivors:
                if survivor.id not in reasons:
                    yield path, survivor


def _row(name: str, results: Sequence[Result], reasons: Mapping[str, str]) -> str:
    survivors = [survivor for result in results for survivor in result.survivors]
    timeouts = sum(result.timeouts for result in results)
    cells = (
        name,
        sum(result.mutants for result in results),
        sum(result.noticed for result in results) - timeouts,
        timeouts,
        len(survivors),
        sum(survivor.id in reasons for survivor in survivors),
        f"{score(results):.1f} %",
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _equivalent(
    results: Mapping[str, Result], reasons: Mapping[str, str]
) -> Iterator[str]:
    """One line for each reason: where, and how often where it is more than once."""
    places: dict[str, dict[str, Counter[str]]] = defaultdict(dict)
    for path, result in results.items():
        for survivor in result.survivors:
            if survivor.id in reasons:
                of_path = places[reasons[survivor.id]].setdefault(
                    _short(path), Counter()
                )
                of_path[survivor.where] += 1
    for reason, by_path in places.items():
        where = (f"{path} {_counted(names)}" for path, names in by_path.items())
        yield f"- {reason} ({'; '.join(where)})\n"


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"`{item}`" + f" {n}x" * (n > 1) for item, n in names.items())


def _line(path: str, survivor: Survivor) -> str:
    change = survivor.change.replace("\n", " ")
    fence = "``" if "`" in change else "`"
    return f"- {_short(path)} {survivor.where} {survivor.id} {fence}{change}{fence}\n"


def _short(path: str) -> str:
    return path.removeprefix("shared/core/")
