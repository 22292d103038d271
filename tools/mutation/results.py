"""What became of the mutants, kept per module, and which survivors mean nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).with_name("results.json")
_EQUIVALENT = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed."""

    id: str
    where: str
    change: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one module's mutants."""

    source: str
    """Digest of the source that was mutated."""
    mutants: int
    timeouts: int
    """Mutants that ran for ever; they were noticed too."""
    survivors: tuple[Survivor, ...]

    @property
    def noticed(self) -> int:
        """How many did not survive."""
        return self.mutants - len(self.survivors)


def digest(source: str) -> str:
    """Tell one source from another."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def load() -> dict[str, Result]:
    """Read what is kept, by path of the module."""
    text = _RESULTS.read_text(encoding="utf-8") if _RESULTS.exists() else ""
    return {path: _result(**kept) for path, kept in json.loads(text or "{}").items()}


def keep(path: str, result: Result) -> None:
    """Replace one module's result, whatever another run keeps or reads meanwhile."""
    folder = os.open(_RESULTS.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        kept = {**load(), path: result}
        as_data = {path: asdict(kept[path]) for path in sorted(kept)}
        text = json.dumps(as_data, indent=1, ensure_ascii=False) + "\n"
        new = _RESULTS.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(_RESULTS)
    finally:
        os.close(folder)


def equivalent() -> Mapping[str, str]:
    """Survivors that were judged: why no test could notice them, by id."""
    text = _EQUIVALENT.read_text(encoding="utf-8")
    return {
        mutant: group["reason"]
        for group in tomllib.loads(text)["equivalent"]
        for mutant in group["mutants"]
    }


def _result(survivors: list[dict[str, str]], **kept: Any) -> Result:
    return Result(
        **kept, survivors=tuple(Survivor(**survivor) for survivor in survivors)
    )
