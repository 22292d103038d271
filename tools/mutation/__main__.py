"""Change `shared/core` in thousands of small ways; see whether the unit tests notice.

python -m tools.mutation                   what changed, and what survived until now
python -m tools.mutation parsing/address   modules whose path contains this
python -m tools.mutation --all             everything anew
python -m tools.mutation --list matching   survivors that nobody has judged yet

Writes `docs/mutation.md`. Ctrl-C loses the module at hand only. The source is changed
in the memory of forked processes, never on disk.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from tools.mutation import report, results
from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.reach import Chooser
from tools.mutation.results import Result, Survivor, digest
from tools.mutation.trials import ROOT, Session, Trial, with_session

TESTS = ("tests/unit", "--ignore=tests/unit/test_corpus.py", "-m", "not slow")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(argv)
    os.chdir(ROOT)
    sources = _sources("shared/core")
    chosen = [
        path
        for path in sources
        if not options.parts or any(part in path for part in options.parts)
    ]
    if options.list:
        sys.stdout.write(report.unjudged(results.load(), chosen))
        return 0

    def use(session: Session) -> None:
        modules = _Modules(session, sources, options.workers)
        for path in chosen:
            modules.try_one(path, anew=options.all)

    with_session(TESTS, use)
    report.write(results.load(), sources)
    return 0


def _sources(folder: str) -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


class _Modules:
    """Tries modules one after the other, and keeps what became of each."""

    def __init__(
        self, session: Session, sources: Mapping[str, str], workers: int
    ) -> None:
        _say("Running the tests on the unchanged code")
        self._reached = session.reached()
        if self._reached.failed:
            sys.exit(f"These fail without any change: {sorted(self._reached.failed)}")
        self._session = session
        self._sources = sources
        self._chooser = Chooser(sources, _sources("tests/unit"), self._reached)
        self._workers = workers

    def try_one(self, path: str, *, anew: bool) -> None:
        """Try all mutants; of a module that did not change, those that survived."""
        source = self._sources[path]
        mutants = mutants_of(path, source)
        before = results.load().get(path)
        known = before is not None and before.source == digest(source) and not anew
        survived = (
            {survivor.id for survivor in before.survivors}
            if before and known
            else set()
        )
        waiting = [mutant for mutant in mutants if mutant.id in survived or not known]
        outcomes = self._try(path, waiting)
        result = Result(
            source=digest(source),
            mutants=len(mutants),
            timeouts=list(outcomes.values()).count("timeout")
            + (before.timeouts if before and known else 0),
            survivors=tuple(
                Survivor(item.id, item.where, item.change)
                for item in waiting
                if outcomes[item.id] == "survived"
            ),
        )
        results.keep(path, result)
        if waiting:
            _say(f"{path}: {_summary(result)}", end="\n")

    def _try(self, path: str, mutants: Sequence[Mutant]) -> dict[str, str]:
        trials = (
            Trial(
                path,
                mutant,
                self._chooser.tests_for(path, mutant),
                at_import=self._chooser.runs_at_import(path, mutant),
            )
            for mutant in mutants
        )
        tried = self._session.try_all(trials, self._reached.seconds, self._workers)
        outcomes: dict[str, str] = {}
        for trial, outcome in tried:
            outcomes[trial.mutant.id] = outcome
            survived = list(outcomes.values()).count("survived")
            _say(f"{path}: {len(outcomes)} of {len(mutants)}, {survived} survived")
        return outcomes


def _summary(result: Result) -> str:
    return (
        f"{result.mutants} mutants, {len(result.survivors)} survived,"
        f" {report.score([result]):.1f} %"
    )


def _say(line: str, end: str = "") -> None:
    if end or sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{line}{end}" if sys.stdout.isatty() else line + end)
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a part of a path")
    parser.add_argument("--all", action="store_true", help="try killed mutants again")
    parser.add_argument("--list", action="store_true", help="only show what survived")
    parser.add_argument("--workers", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
