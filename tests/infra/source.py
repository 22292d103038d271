"""What the product's sources say, read without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.offline import ROOT

LOG_LEVELS = frozenset(("info", "warning", "error", "critical", "exception"))


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def strings() -> set[str]:
    """Every text in the product's code that is not a docstring."""
    found: set[str] = set()
    for _, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = None
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def entry_points() -> set[str]:
    tree = ast.parse((ROOT / "main.py").read_text(encoding="utf-8"))
    return {
        item.name
        for item in tree.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
    }


def logged_events() -> set[str]:
    return {
        node.args[0].value
        for _, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOG_LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


_FILES = {
    "api": ("functions/http",),
    "connect": ("functions/connect.py", "functions/settings.py"),
}
_TOPICS = {
    "outbox": {"crm-events"},
    "queue": {"mailbox-work"},
    "sending": {"outbound-messages"},
    "bulk": {"outbound-messages"},
    "outbound": {"outbound-messages"},
}
"""Topics of the use cases that publish by themselves."""
_READ_ONLY = {"directory"}
"""Elsewhere than in the API it only looks things up: no blobs, no passwords."""


def use_cases(function: str) -> set[str]:
    """Names of `bootstrap.Services` that an entry point's own modules use."""
    files: list[Path] = []
    for name in _FILES.get(function, (f"functions/{function}.py",)):
        path = ROOT / name
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(r"\bservices(?:\(\))?\.(\w+)", text))


def reaches(function: str) -> tuple[set[str], set[str]]:
    """Gateways and topics that an entry point reaches through the composition root."""
    tree = ast.parse((ROOT / "shared" / "bootstrap.py").read_text(encoding="utf-8"))
    bodies = {
        item.name: ast.unparse(item)
        for made in tree.body
        if isinstance(made, ast.ClassDef) and made.name == "Services"
        for item in made.body
        if isinstance(item, ast.FunctionDef)
    }
    gateways: set[str] = set()
    topics: set[str] = set()
    todo, seen = use_cases(function) & set(bodies), set[str]()
    while todo:
        name = todo.pop()
        seen.add(name)
        body = bodies[name]
        found = set(re.findall(r"self\.gateways\.(\w+)", body))
        if re.search(r"self\.gateways\b(?!\.)", body):
            found.add("google")
        if name in _READ_ONLY and function != "api":
            found -= {"blobs", "secrets"}
        gateways |= found
        topics |= _TOPICS.get(name, set())
        todo |= (set(re.findall(r"self\.(\w+)", body)) & set(bodies)) - seen
    return gateways, topics


def modules_that_write_an_expiry() -> set[str]:
    """Modules in which a document gets `expires_at`."""
    return {
        path.stem
        for path, module in modules()
        for node in ast.walk(module)
        if _is_key(node, "expires_at")
    }


def _is_key(node: ast.AST, name: str) -> bool:
    keys: list[ast.expr | None] = []
    if isinstance(node, ast.Dict):
        keys = node.keys
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        keys = [node.slice]
    return any(isinstance(key, ast.Constant) and key.value == name for key in keys)
