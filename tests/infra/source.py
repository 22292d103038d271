"""What the product's sources say, read without running them."""

from __future__ import annotations

import ast
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
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")
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
