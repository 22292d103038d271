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


def inbound(request: Request) -> Response:
    """Gmail's notifications."""
    from functions.inbound import inbound as entry

    return entry(request)
