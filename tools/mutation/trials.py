"""Tries mutants: each in a forked process of its own, on the tests that could notice.

pytest has collected the tests once, and every trial begins with them in memory. Nothing
is written to the source: a function gets another code object; where the change is in
what runs at import, the project's modules are imported anew, one of them changed.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import hypothesis
import pytest

from tools.mutation.mutants import Mutant
from tools.mutation.reach import Reached

ROOT = Path(__file__).parents[2]

_FORK = get_context("fork")
_OURS = ("functions", "shared", "tests")
_MEMORY = 4 << 30
_BROKEN = 70
"""Exit status of a trial that went wrong itself."""
_OPTIONS = (
    *("-q", "-s", "--disable-plugin-autoload", "--assert=plain"),
    *("-p", "no:cacheprovider", "-p", "no:warnings", "-p", "no:unraisableexception"),
    *("-p", "no:threadexception"),
)
"""What makes pytest fast; what it would print is not looked at."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant of a module, and the tests that could notice it."""

    path: str
    mutant: Mutant
    tests: Sequence[str]
    at_import: bool
    """Whether the change is in what runs at import."""


class Session:
    """Tests in memory, ready to be run in forked processes."""

    def __init__(self, items: Iterable[pytest.Item]) -> None:
        """Take the collected tests."""
        self._items = {item.nodeid: item for item in items}
        self._functions = {
            (function.__code__.co_filename, function.__qualname__): function
            for function in gc.get_objects()
            if isinstance(function, FunctionType)
        }
        gc.freeze()

    def reached(self) -> Reached:
        """Run all tests once on the unchanged code, watched."""
        receiver, sender = _FORK.Pipe(duplex=False)
        process = _forked(lambda: sender.send(_watched(self._items.values())))
        sender.close()
        reached: Reached = receiver.recv()
        process.join()
        return reached

    def try_all(
        self, trials: Iterable[Trial], seconds: Mapping[str, float], workers: int
    ) -> Iterator[tuple[Trial, str]]:
        """Try each; give it back with what became of it, in any order."""
        judge = Judge(seconds)
        running: dict[int, tuple[BaseProcess, Trial]] = {}
        for trial in trials:
            if not trial.tests:
                yield trial, "survived"
                continue
            process = _forked(partial(self._try, trial, judge))
            running[process.sentinel] = process, trial
            if len(running) >= workers:
                yield from _ended(running)
        while running:
            yield from _ended(running)

    def _try(self, trial: Trial, judge: Judge) -> None:
        if trial.at_import:
            _import_anew(trial, judge, self._items)
            return
        path = str(ROOT / trial.path)
        changed = _code_named(trial.mutant.where, trial.mutant.source, path)
        self._functions[path, trial.mutant.where].__code__ = changed
        items = [self._items[test] for test in trial.tests]
        items[0].config.pluginmanager.register(judge)
        _run(items)


class Judge:
    """Ends the process at the first failure, or when a test takes far too long.

    Processor time counts, so that a busy machine makes no difference.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """Take how long each test takes on the unchanged code."""
        self._seconds = seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Give the test its time."""
        seconds = self._seconds.get(item.nodeid, 1.0)
        signal.setitimer(signal.ITIMER_PROF, 3 + 10 * seconds)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One failure is enough."""
        if report.failed:
            os._exit(1)


def with_session(selection: Sequence[str], use: Callable[[Session], None]) -> None:
    """Collect tests, and hand them over instead of running them."""
    errors: list[BaseException] = []

    class Instead:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            try:
                use(Session(session.items))
            except BaseException as error:  # noqa: BLE001  pytest would print its own
                errors.append(error)
            return True

    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        max_examples=10,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    pytest.main([*_OPTIONS, *selection], plugins=[Instead()])
    if errors:
        raise errors[0]


def _run(items: Sequence[pytest.Item]) -> None:
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)


def _forked(run: Callable[[], None]) -> BaseProcess:
    def quietly() -> None:
        loud = os.fdopen(os.dup(2), "w")
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        try:
            run()
        except BaseException:  # noqa: BLE001  a failing test does not get here
            traceback.print_exc(file=loud)
            os._exit(_BROKEN)
        os._exit(0)

    process = _FORK.Process(target=quietly)
    process.start()
    return process


def _ended(
    running: dict[int, tuple[BaseProcess, Trial]],
) -> Iterator[tuple[Trial, str]]:
    for sentinel in connection.wait(running):
        process, trial = running.pop(sentinel)  # type: ignore[arg-type]
        process.join()
        if process.exitcode == _BROKEN:
            raise RuntimeError(f"The trial of {trial.mutant} went wrong")
        outcome = {0: "survived", -signal.SIGPROF: "timeout"}
        yield trial, outcome.get(process.exitcode or 0, "killed")


def _watched(items: Iterable[pytest.Item]) -> Reached:
    watch = coverage.Coverage(
        data_file=None, config_file=False, include=[f"{ROOT}/shared/core/*"]
    )
    failed: set[str] = set()
    seconds: dict[str, float] = {}

    class Watch:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
            watch.switch_context(item.nodeid)
            began = time.process_time()
            result = yield
            seconds[item.nodeid] = time.process_time() - began
            return result

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.add(report.nodeid)

    items = list(items)
    items[0].config.pluginmanager.register(Watch())
    watch.start()
    _run(items)
    watch.stop()
    data = watch.get_data()
    return Reached(
        by_line={
            str(Path(file).relative_to(ROOT)): data.contexts_by_lineno(file)
            for file in data.measured_files()
        },
        seconds=seconds,
        failed=failed,
    )


def _code_named(name: str, source: str, path: str) -> CodeType:
    waiting = [compile(source, path, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        if code.co_qualname == name:
            return code
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    raise LookupError(name)


def _import_anew(trial: Trial, judge: Judge, known: Collection[str]) -> None:
    """Run the tests in an interpreter that has imported nothing of the project yet.

    A test may have another name then: what it is tried with can be part of the name.
    """
    for name in list(sys.modules):
        if name.partition(".")[0] in _OURS:
            del sys.modules[name]
    sys.meta_path.insert(0, _Changed(trial))
    files = {test.partition("::")[0]: None for test in trial.tests}
    order = {test: place for place, test in enumerate(trial.tests)}
    functions = {test.partition("[")[0] for test in trial.tests}

    def is_chosen(test: str) -> bool:
        renamed = test not in known and test.partition("[")[0] in functions
        return test in order or renamed

    class Chosen:
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = [item for item in items if is_chosen(item.nodeid)]
            items.sort(key=lambda item: order.get(item.nodeid, len(order)))

        @pytest.hookimpl(tryfirst=True)
        def pytest_sessionfinish(self, exitstatus: int) -> None:
            if exitstatus == pytest.ExitCode.OK:
                os._exit(0)  # cleaning up would take long

    code = pytest.main([*_OPTIONS, *files], plugins=[judge, Chosen()])
    if code == pytest.ExitCode.INTERRUPTED:  # a test module could not be imported
        os._exit(1)
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code}")


class _Changed(SourceFileLoader):
    """Finds and loads one module, from the mutant's source."""

    def __init__(self, trial: Trial) -> None:
        name = trial.path.removesuffix(".py").removesuffix("/__init__")
        super().__init__(name.replace("/", "."), str(ROOT / trial.path))
        self._source = trial.mutant.source

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return compile(self._source, self.path, "exec", dont_inherit=True)
