"""Write docs/rules-index.md: which code and which tests name each rule.

Reads the rules from docs/rules.md and their numbers in names, docstrings and comments
of the product and its tests. `--check` writes nothing and fails when it is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "docs" / "rules.md"
PAGE = ROOT / "docs" / "rules-index.md"
CODE_FOLDERS = ("functions", "shared")
TEST_FOLDERS = ("tests",)

_ANCHORED = re.compile(
    r'<a id="(\w+)"></a>\n\*\*([CMTSBWE]\d{1,2}) \u2013 ([^*]+?)[.]?\*\*'
)
_CITED = re.compile(r"(?<![\w&/#.=%\\-])([CMTSBWE][1-9]\d?)(?![\w%]|\.\w|-\d)")
_TEST = re.compile(r"^ *def (test_\w+)", re.MULTILINE)
_TEST_RULE = re.compile(r"(?:^test|_)_?([cmtsbwe]\d{1,2})(?=_)")

_HEAD = """# Rules, code and tests

Made by `make rules`; do not edit. For each [rule](rules.md): the files of the product
that cite it, and the test files that do, with the number of tests named after it.
"""


@dataclass(slots=True)
class Evidence:
    """Where one rule is cited. Paths are relative to the repository."""

    code: set[str] = field(default_factory=set)
    tests: dict[str, int] = field(default_factory=dict)


def rules() -> dict[str, str]:
    """Every rule's number and title, in the order of the document.

    Raises ValueError when an anchor is not the rule's own or a number occurs twice.
    """
    found: dict[str, str] = {}
    for anchor, number, title in _ANCHORED.findall(RULES.read_text("utf-8")):
        if anchor != number.lower() or number in found:
            raise ValueError(f"docs/rules.md: the anchor of {number} is wrong")
        found[number] = " ".join(title.split())
    return found


def sources(*folders: str, suffixes: tuple[str, ...] = (".py",)) -> Iterator[Path]:
    """The files of these folders, in a stable order."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def cited(text: str) -> set[str]:
    """The rule numbers that a text names: `M9`, of a range both ends."""
    return set(_CITED.findall(text))


def evidence() -> dict[str, Evidence]:
    """For each rule the code and the tests that name it."""
    found = {number: Evidence() for number in rules()}
    for path in sources(*CODE_FOLDERS, suffixes=(".py", ".html")):
        for number in cited(path.read_text("utf-8")) & found.keys():
            found[number].code.add(path.relative_to(ROOT).as_posix())
    for path in sources(*TEST_FOLDERS):
        text = path.read_text("utf-8")
        name = path.relative_to(ROOT).as_posix()
        counts = dict.fromkeys(cited(text), 0)
        for test in _TEST.findall(text):
            for number in _TEST_RULE.findall(test):
                counts[number.upper()] = counts.get(number.upper(), 0) + 1
        if not _TEST.search(text):
            continue
        for number in counts.keys() & found.keys():
            found[number].tests[name] = counts[number]
    return found


def page() -> str:
    """The whole document."""
    rows = [_HEAD]
    titles = rules()
    for number, about in evidence().items():
        rows.append(f"## [{number}](rules.md#{number.lower()}) {titles[number]}\n")
        code = ", ".join(f"`{path}`" for path in sorted(about.code))
        named = sorted(about.tests.items(), key=lambda item: (-item[1], item[0]))
        tests = ", ".join(
            f"`{path.removeprefix('tests/')}`" + (f" ({count})" if count else "")
            for path, count in named
        )
        rows.append(f"Code: {code or 'none yet'}\n\nTests: {tests or 'none yet'}\n")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; 1 when a checked page is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    text = page()
    if options.check:
        if PAGE.read_text("utf-8") != text:
            print("docs/rules-index.md is stale: run `make rules`")
            return 1
        return 0
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
