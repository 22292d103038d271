"""Entry points for functions-framework: one function each, loaded when first called.

This file is executed once for each function that a process serves, so it holds no state
and imports no product code itself.
"""

from __future__ import annotations

from flask import Request, Response


def api(request: Request) -> Response:
    """The HTTP API for the CRM."""
    from functions.api import api as entry

    return entry(request)


def connect(request: Request) -> Response:
    """The browser's way through Google's consent."""
    from functions.connect import connect as entry

    return entry(request)


def bcc(request: Request) -> Response:
    """Notifications of the logging mailbox."""
    from functions.bcc import bcc as entry

    return entry(request)


def dead_letter(request: Request) -> Response:
    """What could not be delivered to any other function."""
    from functions.dead_letter import dead_letter as entry

    return entry(request)


def inbound(request: Request) -> Response:
    """Gmail's notifications."""
    from functions.inbound import inbound as entry

    return entry(request)


def schedule(request: Request) -> Response:
    """The clock's jobs: daily renewal, sweep."""
    from functions.schedule import schedule as entry

    return entry(request)


def work(request: Request) -> Response:
    """Work on one mailbox: renew, sync, close."""
    from functions.work import work as entry

    return entry(request)


def outbound(request: Request) -> Response:
    """Mail that the CRM sends."""
    from functions.outbound import outbound as entry

    return entry(request)
