"""Which entry points there are, and which of them no flow comes through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args, get_type_hints

from functions.connect import ROUTES as PAGES
from functions.http.routing import Route
from functions.http.table import ROUTES
from functions.schedule import Job
from functions.work import HANDLERS
from infra.local.scheduler import JOBS
from infra.local.wiring import CONSUMERS, DRAINS
from shared.services.operations.jobs import JobKind

KINDS = {
    "outbound": {"message", "batch"},
    "schedule": {job.name for job in JOBS} | set(get_args(get_type_hints(Job)["name"])),
    "work": {*HANDLERS, *get_args(JobKind)},
}
"""What one message can ask these functions for. Any other does one thing only."""
_NO_METHODS = {"HEAD", "OPTIONS"}


def entry_points(routes: Iterable[Route] = ROUTES) -> Iterator[str]:
    """Every way into the product, as `Deployment.entries` names them."""
    yield from (f"api {route.method} {route.path}" for route in routes)
    for page in PAGES.iter_rules():
        for method in (page.methods or set()) - _NO_METHODS:
            yield f"connect {method} {page.rule}"
    for function in {item.function for item in (*CONSUMERS, *DRAINS)}:
        for kind in KINDS.get(function, {""}):
            yield f"{function} {kind}".strip()


def missing(told: Iterable[str], routes: Iterable[Route] = ROUTES) -> list[str]:
    """What no flow comes through, and what to do about it."""
    return [
        f"No flow comes through `{item}`: add a function with @flow that does to the "
        "module of tests/faults that fits (see flows.py)."
        for item in sorted(set(entry_points(routes)) - set(told))
    ]
