"""The HTTP API for the CRM."""

from __future__ import annotations

from flask import Request, Response

from functions import shell
from functions.http.routing import Router
from functions.http.table import ROUTES
from shared import bootstrap


def _services() -> bootstrap.Services:
    return bootstrap.services()


def _project() -> str:
    return bootstrap.services().settings.google_cloud_project


_ROUTER = Router(ROUTES, _services)


def api(request: Request) -> Response:
    """Answer one call."""
    return shell.run_http(request, _ROUTER.answer, project=_project)
