"""Entry points for functions-framework: one function each, loaded when first called.

This file is executed once for each function that a process serves, so it holds no state
and imports no product code itself.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

from flask import Request, Response

_USUAL = (700, 10, 10)
_WHILE_LOADING = (50_000, 20, 100)
# Modules stay: looking for garbage among those of Google's clients takes a fifth of the
# time in which they are loaded, which is what the first caller waits for.
gc.set_threshold(*_WHILE_LOADING)

Entry = Callable[[Request], Response]


def _loads(entry: Entry) -> Entry:
    """Entry point whose first call loads all that it needs."""

    @functools.wraps(entry)
    def call(request: Request) -> Response:
        try:
            return entry(request)
        finally:
            gc.set_threshold(*_USUAL)

    return call


@_loads
def api(request: Request) -> Response:
    """The HTTP API for the CRM."""
    from functions.api import api as entry

    return entry(request)


@_loads
def connect(request: Request) -> Response:
    """The browser's way through Google's consent."""
    from functions.connect import connect as entry

    return entry(request)


@_loads
def bcc(request: Request) -> Response:
    """Notifications of the logging mailbox."""
    from functions.bcc import bcc as entry

    return entry(request)


@_loads
def dead_letter(request: Request) -> Response:
    """What could not be delivered to any other function."""
    from functions.dead_letter import dead_letter as entry

    return entry(request)


@_loads
def inbound(request: Request) -> Response:
    """Gmail's notifications."""
    from functions.inbound import inbound as entry

    return entry(request)


@_loads
def schedule(request: Request) -> Response:
    """The clock's jobs: daily renewal, sweep."""
    from functions.schedule import schedule as entry

    return entry(request)


@_loads
def work(request: Request) -> Response:
    """Work on one mailbox: renew, sync, close."""
    from functions.work import work as entry

    return entry(request)


@_loads
def outbound(request: Request) -> Response:
    """Mail that the CRM sends."""
    from functions.outbound import outbound as entry

    return entry(request)
