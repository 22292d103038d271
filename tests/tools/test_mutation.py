"""The mutation runner changes what it says, and chooses tests that could notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutation import report, results
from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.reach import Chooser, Reached
from tools.mutation.results import Result, Survivor
from tools.mutation.trials import ROOT

SOURCE = """
LIMIT = 3
_TWICE = LIMIT * 2

def big(n):
    return n > LIMIT

def huge(n):
    return big(n) and n > _TWICE
"""


def find(source: str, added: str) -> Mutant:
    mutants = [m for m in mutants_of("m.py", source) if m.change.endswith(f"+ {added}")]
    assert len(mutants) == 1
    return mutants[0]


def test_a_mutant_is_the_source_with_one_change() -> None:
    mutant = find(SOURCE, "return n >= LIMIT")
    assert mutant.source == SOURCE.replace("n > LIMIT", "n >= LIMIT")
    assert mutant.change == "- return n > LIMIT\n+ return n >= LIMIT"
    assert (mutant.where, mutant.lines, mutant.at_import) == ("big", range(6, 7), False)


def test_what_runs_at_import_is_changed_too() -> None:
    mutant = find(SOURCE, "LIMIT = 4")
    assert (mutant.where, mutant.at_import) == ("LIMIT", True)
    assert find("def f(n=1): return n", "def f(n=2): return n").at_import


def test_an_id_stays_while_its_lines_do() -> None:
    before = find(SOURCE, "return n >= LIMIT")
    after = find("import re\n" + SOURCE.replace("* 2", "* 3"), "return n >= LIMIT")
    assert before.id == after.id
    assert len({mutant.id for mutant in mutants_of("m.py", SOURCE * 2)}) == len(
        mutants_of("m.py", SOURCE * 2)
    )


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""',
        'import re as regex, os; from a import b; __all__ = ["x"]',
        'Id = NewType("Id", str); Kind = Literal["a", "b"]; Ids = tuple[Id] | None',
        'def f(x: "int" = y, z: Literal["a"] = w) -> "str": ...',
        "@dataclass(frozen=True)\nclass C: ...",
    ],
)
def test_what_means_nothing_at_run_time_is_left_alone(source: str) -> None:
    assert mutants_of("m.py", source) == []


def test_what_is_the_same_whatever_comes_in_is_not_tried() -> None:
    calls = 'values_of(h, "From"); cast(int, n)'
    changes = {mutant.source for mutant in mutants_of("m.py", calls)}
    assert calls.replace("From", "XXFromXX") in changes
    assert calls.replace("From", "from") not in changes
    assert calls.replace("n)", "None)") in changes
    assert calls.replace("int", "None") not in changes


@pytest.mark.parametrize(
    ("added", "tests"),
    [
        ("return n >= LIMIT", ["narrow", "wide"]),
        ("return big(n) or n > _TWICE", ["wide"]),
        ("LIMIT = 4", ["named", "narrow", "wide"]),  # through `_TWICE` by `huge`, too
        ("_TWICE = LIMIT / 2", ["wide"]),
    ],
)
def test_tests_that_could_notice_are_chosen_the_narrow_first(
    added: str, tests: list[str]
) -> None:
    wide, narrow, named = "t.py::wide[a]", "t.py::narrow", "t.py::named"
    reached = Reached(
        by_line={"m.py": {6: [wide, narrow], 9: [wide]}},
        seconds={wide: 0.1, narrow: 0.1, named: 0.1},
        failed=(),
    )
    written = "def wide(x): ...\ndef narrow(): ...\ndef named(): LIMIT"
    chooser = Chooser({"m.py": SOURCE}, {"t.py": written}, reached)
    chosen = chooser.tests_for("m.py", find(SOURCE, added))
    names = [test.removeprefix("t.py::").removesuffix("[a]") for test in chosen]
    assert names == tests


def test_a_function_that_fills_a_table_is_tried_by_importing_anew() -> None:
    source = "def words(text): return text.split(' ')\nWORDS = words('a b')\n"
    mutant = find(source, "def words(text): return text.split(None)")
    reached = Reached(by_line={}, seconds={"t.py::user": 0.1}, failed=())
    user = "def user(): WORDS"
    chooser = Chooser({"m.py": source}, {"t.py": user}, reached)
    assert not mutant.at_import
    assert chooser.runs_at_import("m.py", mutant)
    assert chooser.tests_for("m.py", mutant) == ["t.py::user"]
    called = Reached(by_line={"m.py": {1: ["t.py::user"]}}, seconds={}, failed=())
    assert not Chooser({}, {}, called).runs_at_import("m.py", mutant)


def test_the_report_counts_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(results, "_EQUIVALENT", tmp_path / "equivalent.toml")
    monkeypatch.setattr(report, "_REPORT", tmp_path / "mutation.md")
    (tmp_path / "equivalent.toml").write_text(
        'equivalent = [{reason = "Only slower.", mutants = ["i1"]}]'
    )
    results.keep(
        "shared/core/a.py",
        Result(
            results.digest("a"),
            mutants=10,
            timeouts=1,
            survivors=(
                Survivor("i1", "f", "- a\n+ b"),
                Survivor("i2", "g", "- `\n+ c"),
            ),
        ),
    )
    results.keep("shared/core/gone.py", Result("d", 5, 0, ()))
    kept = results.load()
    report.write(kept, {"shared/core/a.py": "a is now another"})
    text = (tmp_path / "mutation.md").read_text()
    assert "| a.py (old) | 10 | 7 | 1 | 2 | 1 | 80.0 % |\n| **all** | 10 |" in text
    assert "\n- Only slower. (a.py `f`)\n" in text
    assert text.endswith("## Survived\n\n- a.py g i2 ``- ` + c``\n")
    assert report.unjudged(kept, kept) == "shared/core/a.py  g  i2\n- `\n+ c\n\n"
    report.write({}, {})
    text = (tmp_path / "mutation.md").read_text()
    assert text.endswith("## Survived\n\nOnly what is named above.\n")


def result(source: str, noticed: int) -> Result:
    survivors = tuple(Survivor(str(n), "f", "- a\n+ b") for n in range(100 - noticed))
    return Result(results.digest(source), 100, 0, survivors)


@pytest.mark.parametrize(
    ("kept", "complaints"),
    [
        ({"a.py": result("a", 100), "b.py": result("b", 90)}, []),
        (
            {"a.py": result("a", 98), "b.py": result("b", 89)},
            ["b.py has only 89.0 %", "the whole has less than 94 %"],
        ),
        (
            {"a.py": result("a", 93), "b.py": result("b", 94)},
            ["the whole has less than 94 %"],
        ),
        ({"a.py": result("a", 99), "b.py": result("other", 99)}, []),
        (
            {"a.py": result("a", 99)} | dict.fromkeys(("b.py", "c.py"), result("", 99)),
            ["old: b.py, c.py"],
        ),
    ],
)
def test_what_is_too_low_or_too_old_is_said(
    kept: dict[str, Result], complaints: list[str]
) -> None:
    sources = {path: path.removesuffix(".py") for path in kept}
    assert report.complaints(kept, sources) == complaints


def test_the_core_is_well_tested_and_the_report_of_it_fresh() -> None:
    """Some lag is fine: trying a module takes a minute, and not at every commit."""
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "shared/core").rglob("*.py"))
    }
    complaints = report.complaints(results.load(), sources)
    assert not complaints, f"`make mutate` tries anew what has changed: {complaints}"


def test_what_is_called_equivalent_has_survived() -> None:
    survivors = {
        survivor.id for kept in results.load().values() for survivor in kept.survivors
    }
    gone = set(results.equivalent()) - survivors
    assert not gone, f"take them out of equivalent.toml: {sorted(gone)}"
