"""What the README lists is what answers, and what the discovery document has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from gmail_simulator import discovery
from gmail_simulator.admin import _HANDLERS as ADMIN
from gmail_simulator.calls import HANDLERS
from gmail_simulator.faults import Action

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def described() -> set[str]:
    """Ids of all methods of the discovery document."""
    found: set[str] = set()
    waiting: list[dict[str, Any]] = [discovery.document()]
    while waiting:
        resource = waiting.pop()
        waiting.extend(resource.get("resources", {}).values())
        found |= {method["id"] for method in resource.get("methods", {}).values()}
    return found


def test_only_methods_of_the_discovery_document_answer() -> None:
    assert set(HANDLERS) <= described()


def test_the_readme_lists_the_methods() -> None:
    section = README.partition("## Methods\n")[2].partition("\n## ")[0]
    listed = set()
    for resource, methods in re.findall(
        r"^\| `([\w.]+)` \| (.+) \|$", section, re.MULTILINE
    ):
        prefix = "gmail.users." + ("" if resource == "users" else f"{resource}.")
        listed |= {prefix + name for name in re.findall(r"`(\w+)`", methods)}
    assert listed == set(HANDLERS)


def test_the_readme_names_every_fault() -> None:
    for action in get_args(Action):
        short = action.replace("notification_", "_")
        assert f"`{action}`" in README or f"`{short}`" in README, action


def test_the_readmes_admin_calls_exist() -> None:
    section = README.partition("## Set it up")[2].partition("```")[0]
    calls = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) ([\w/]+)", section)
    assert len(calls) > 8
    assert set(calls) <= set(ADMIN)
