"""Every small change that mutmut knows, made to the source of one module.

mutmut's own runner leaves out what runs at import: tables, patterns, defaults; and
properties. So only its operators are used here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import takewhile

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_NO_BEHAVIOUR = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
_CAST_TO_NOTHING = m.Call(
    func=m.Name("cast"), args=[m.Arg(m.Name("None")), m.AtLeastN(n=1)]
)
_HEADER_LOOKUP = m.Call(func=m.Name("values_of"))
# PEP 8: such a name of a module stands for a type, which nothing reads at run time.
_TYPE_NAME = re.compile(r"[A-Z]+[a-z]\w*")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One module with one change."""

    id: str
    """Stays the same while the changed lines do."""
    where: str
    """The function, or the name that is defined, in which the change is."""
    lines: range
    """Lines of the statement that is changed, in the unchanged module."""
    at_import: bool
    """Whether it changes what runs at import, not when the function is called."""
    change: str
    """Lines taken away and added."""
    source: str


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Make each mutant of a module once, in the order of the source."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Places(wrapper.module, source.encode())
    wrapper.visit(visitor)
    made: dict[str, Mutant] = {}
    seen: dict[tuple[str, str], int] = {}
    for place, mutated in visitor.found:
        if mutated in made or not _compiles(mutated):
            continue
        change = _change(source, mutated)
        nth = seen[place.where, change] = seen.get((place.where, change), 0) + 1
        key = f"{path}\n{place.where}\n{change}\n{nth}"
        made[mutated] = Mutant(
            id=hashlib.sha256(key.encode()).hexdigest()[:8],
            where=place.where,
            lines=place.lines,
            at_import=place.at_import,
            change=change,
            source=mutated,
        )
    return list(made.values())


@dataclass(frozen=True, slots=True)
class _Place:
    where: str
    lines: range
    at_import: bool


class _Places(cst.CSTVisitor):
    """Walks a module and writes down what each operator makes of each node."""

    METADATA_DEPENDENCIES = (PositionProvider, ByteSpanPositionProvider)

    def __init__(self, module: cst.Module, source: bytes) -> None:
        super().__init__()
        self.found: list[tuple[_Place, str]] = []
        self._module = module
        self._source = source
        self._around: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _NO_BEHAVIOUR) or _means_nothing_at_runtime(node):
            return False
        self._around.append(node)
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found.extend(
                    (self._place(), self._with(node, new))
                    for new in operator(node)
                    if not self._is_the_same(node, new)
                )
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._around and self._around[-1] is original_node:
            self._around.pop()

    def _with(self, node: cst.CSTNode, new: cst.CSTNode) -> str:
        span = self.get_metadata(ByteSpanPositionProvider, node)
        text = self._module.code_for_node(new).encode()
        end = span.start + span.length
        return (self._source[: span.start] + text + self._source[end:]).decode()

    def _is_the_same(self, node: cst.CSTNode, new: cst.CSTNode) -> bool:
        """Whether it is another type, or a header's name in another case."""
        if isinstance(node, cst.SimpleString) and isinstance(new, cst.SimpleString):
            call = self._around[-3] if len(self._around) > 2 else node  # noqa: PLR2004
            same = node.value.lower() == new.value.lower()
            return same and m.matches(call, _HEADER_LOOKUP)
        return m.matches(new, _CAST_TO_NOTHING)

    def _place(self) -> _Place:
        names: list[str] = []
        lines = range(0)
        function: cst.FunctionDef | None = None
        for node in self._around:
            if isinstance(node, cst.BaseCompoundStatement | cst.SimpleStatementLine):
                lines = self._lines(node)
            if function is None and isinstance(node, cst.ClassDef | cst.FunctionDef):
                names.append(node.name.value)
                function = node if isinstance(node, cst.FunctionDef) else None
        if not names:
            names = _defined_names(self._around)
        return _Place(
            where=".".join(names) or "(module)",
            lines=lines,
            at_import=function is None or function.body not in self._around,
        )

    def _lines(self, statement: cst.CSTNode) -> range:
        """Lines that run for the statement itself, without those of its block."""
        span = self.get_metadata(PositionProvider, statement)
        body = getattr(statement, "body", None)
        if not isinstance(body, cst.BaseSuite):
            return range(span.start.line, span.end.line + 1)
        below = self.get_metadata(PositionProvider, body).start.line
        return range(span.start.line, max(below, span.start.line + 1))


def _means_nothing_at_runtime(node: cst.CSTNode) -> bool:
    if not m.matches(node, m.Assign(targets=[m.AssignTarget(m.Name())])):
        return False
    name = cst.ensure_type(
        cst.ensure_type(node, cst.Assign).targets[0].target, cst.Name
    )
    return name.value == "__all__" or bool(_TYPE_NAME.fullmatch(name.value))


def _defined_names(around: list[cst.CSTNode]) -> list[str]:
    for node in around:
        target = None
        if isinstance(node, cst.Assign):
            target = node.targets[0].target
        elif isinstance(node, cst.AnnAssign):
            target = node.target
        if isinstance(target, cst.Name):
            return [target.value]
    return []


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _change(before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    head = _equal_lines(old, new)
    tail = _equal_lines(old[head:][::-1], new[head:][::-1])
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    return "\n".join(
        [f"- {line.strip()}" for line in gone] + [f"+ {line.strip()}" for line in come]
    )


def _equal_lines(some: list[str], others: list[str]) -> int:
    """How many lines are the same from the beginning."""
    pairs = zip(some, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
