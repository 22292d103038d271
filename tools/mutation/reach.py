"""Which tests could notice a mutant.

A change inside a function: the tests that ran the changed statement. A change of what
runs at import: the tests that name what is changed, or ran a function which does, be it
through other names. Of many, the most specific.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tools.mutation.mutants import Mutant

_SECONDS = 1.0
"""Processor time of the tests of one mutant: a rule's own tests are to notice."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a run of the unchanged code has shown."""

    by_line: Mapping[str, Mapping[int, Iterable[str]]]
    """For each file and line: the tests that ran it."""
    seconds: Mapping[str, float]
    """For each test: its processor time."""
    failed: Collection[str]
    """Tests that did not pass."""

    def tests(self, path: str, lines: Iterable[int]) -> set[str]:
        """Tests that ran one of the lines."""
        by_line = self.by_line.get(path, {})
        return {test for line in lines for test in by_line.get(line, ())}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A function, class or statement of a module."""

    path: str
    defines: frozenset[str]
    uses: Mapping[str, Collection[int]]
    """Names that it uses, and in which lines."""

    def uses_name(self, path: str, name: str) -> bool:
        """Whether it uses what that module calls so."""
        return name in self.uses and (self.path == path or not name.startswith("_"))


class Chooser:
    """Chooses the tests of each mutant, those first that run the fewest lines."""

    def __init__(
        self, modules: Mapping[str, str], tests: Mapping[str, str], reached: Reached
    ) -> None:
        """Take the sources of all modules and of their tests, by path."""
        self._reached = reached
        self._breadth = Counter(
            test
            for by_line in reached.by_line.values()
            for tests in by_line.values()
            for test in tests
        )
        self._pieces = [
            _piece(path, statement)
            for path, source in modules.items()
            for statement in ast.parse(source).body
            if not isinstance(statement, ast.Import | ast.ImportFrom)
        ]
        self._tests = {
            f"{path}::{statement.name}": _piece(path, statement)
            for path, source in tests.items()
            for statement in ast.parse(source).body
            if isinstance(statement, ast.FunctionDef)
        }

    def runs_at_import(self, path: str, mutant: Mutant) -> bool:
        """Whether no test runs it later: it is a table, or fills one."""
        return mutant.at_import or not self._reached.tests(path, mutant.lines)

    def tests_for(self, path: str, mutant: Mutant) -> list[str]:
        """Choose, for a mutant of that file."""
        if self.runs_at_import(path, mutant):
            tests = self._users_tests(path, mutant.where.partition(".")[0])
        else:
            tests = self._narrow_first(self._reached.tests(path, mutant.lines))
        chosen: list[str] = []
        left = _SECONDS
        for test in tests:
            left -= self._reached.seconds[test]
            if chosen and left < 0:
                break
            chosen.append(test)
        return chosen

    def _users_tests(self, path: str, name: str) -> Iterable[str]:
        """Tests of what uses the name, then of what uses that, and so on."""
        found: dict[str, None] = {}
        names = [(path, name)]
        for where, used in names:  # which grows meanwhile
            users = [piece for piece in self._pieces if piece.uses_name(where, used)]
            tests = {
                test
                for piece in users
                for test in self._reached.tests(piece.path, piece.uses[used])
            }
            tests |= {
                test
                for test in self._reached.seconds
                if used in self._tests[test.partition("[")[0]].uses
            }
            found |= dict.fromkeys(self._narrow_first(tests))
            defined = [
                (piece.path, define) for piece in users for define in piece.defines
            ]
            names += [
                fromkey for fromkey in dict.fromkeys(defined) if fromkey not in names
            ]
        return found

    def _narrow_first(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self._breadth[test], test))


def _piece(path: str, statement: ast.stmt) -> _Piece:
    uses: dict[str, set[int]] = defaultdict(set)
    defines: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            uses[node.id].add(node.lineno)
        elif isinstance(node, ast.Name):
            defines.add(node.id)
        elif isinstance(node, ast.Attribute):
            uses[node.attr].add(node.lineno)
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        defines = {statement.name} if isinstance(statement, ast.ClassDef) else set()
        end = statement.end_lineno or statement.lineno
        uses[statement.name].update(range(statement.lineno, end + 1))
    return _Piece(path, frozenset(defines), dict(uses))
