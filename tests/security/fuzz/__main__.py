"""Fuzz the parsers, guided by coverage: `python -m tests.security.fuzz --help`.

Each target runs in a process of its own (a fuzzer never returns). What it learns is kept in `.local/fuzz/<target>`; a finding
is written there and told in base64, to be run again with `--replay`.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / ".local/fuzz"
# A parser may take so long for one input; more is a finding.
TIMEOUT_SECONDS = 10
MAX_BYTES = 2048


def main() -> int:
    """Fuzz all targets, or replay one input."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz")
    parser.add_argument("targets", nargs="*", help="all of them, if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--runs", type=int, default=-1, help="at most, for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the fuzzer; 0: any")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--corpus", type=Path, default=KEPT, help="what was learnt")
    parser.add_argument("--replay", metavar="BASE64|FILE", help="one input, no fuzzing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.replay:
        return _replay(asked.targets, asked.replay)
    if asked.inside:
        return _fuzz(asked.targets[0], asked)
    from tests.security.fuzz.targets import TARGETS

    names = asked.targets or list(TARGETS)
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = list(pool.map(lambda name: _watch(name, asked), names))
    return 1 if any(found) else 0


def _replay(names: list[str], given: str) -> int:
    """Run one input; what it raises is shown as it is."""
    from tests.security.fuzz.targets import check

    file = Path(given)
    data = file.read_bytes() if file.is_file() else base64.b64decode(given)
    for name in names:
        check(name, data)
        print(f"{name}: nothing found")  # noqa: T201
    return 0


def _watch(name: str, asked: argparse.Namespace) -> bool:
    """Fuzz one target in its own process and tell how it goes; True for a finding."""
    command = [sys.executable, "-m", "tests.security.fuzz", "--inside", name]
    for option in ("seconds", "runs", "seed", "corpus"):
        command += [f"--{option}", str(getattr(asked, option))]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    told: list[str] = []
    for line in process.stdout or ():
        told.append(line)
        if re.match(r"#\d+\s+(pulse|DONE|INITED)", line):
            print(f"{name:15} {line.strip()}", flush=True)  # noqa: T201
    if process.wait() == 0:
        return False
    print(f"FOUND in {name}:\n{''.join(told[-40:])}")  # noqa: T201
    written = re.search(r"^Base64: (\S*)$", "".join(told), re.MULTILINE)
    if written:
        again = f"python -m tests.security.fuzz {name} --replay {written[1]}"
        print(f"again: {again}", flush=True)  # noqa: T201
    return True


def _fuzz(name: str, asked: argparse.Namespace) -> int:
    """Hand this process to the fuzzer."""
    import atheris

    # Only the parsers guide: to instrument all that they lead to would take seconds.
    with atheris.instrument_imports(include=["shared"]):
        import shared.core.parsing.gmail_message
        import shared.core.syncing.dead_letters  # noqa: F401
    from tests.security.fuzz.targets import GUIDES, TARGETS, check

    for function in GUIDES:
        atheris.instrument_func(function)
    target = TARGETS[name]
    corpus = asked.corpus / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    options = [
        f"-dict={words}",
        f"-max_total_time={asked.seconds}",
        f"-runs={asked.runs}",
        f"-seed={asked.seed}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={TIMEOUT_SECONDS}",
        f"-artifact_prefix={corpus}/",
        "-rss_limit_mb=1024",
    ]
    arguments = [sys.argv[0], *options, str(corpus)]
    atheris.Setup(arguments, lambda data: check(name, data))
    atheris.Fuzz()
    return 0


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    sys.exit(main())
