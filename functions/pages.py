"""How every page for people is written: templates, style, and what guards it.

The only style sheet and the only script are in the page and named by their hashes, so
nothing else can run or load, whatever a page shows.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from flask import Response

TEMPLATES = Path(__file__).parent / "templates"


def page(
    template: str,
    status: int,
    *,
    frame_ancestors: Sequence[str] = (),
    form_targets: Sequence[str] = (),
    **shown: Any,
) -> Response:
    """Write a page. Only pages of `frame_ancestors` may show it in a frame.

    Its forms lead to this service, and may be sent on to `form_targets`.
    """
    html = (
        _templates()
        .get_template(template)
        .render(style=_asset("page.css"), script=_asset("page.js"), **shown)
    )
    response = Response(html, status, mimetype="text/html")
    return guarded(response, frame_ancestors, form_targets)


def redirect(target: str) -> Response:
    """Send the browser on with a GET."""
    return guarded(Response(status=303, headers={"Location": target}))


def guarded(
    response: Response,
    frame_ancestors: Sequence[str] = (),
    form_targets: Sequence[str] = (),
) -> Response:
    """Add the headers that keep a page out of foreign frames, caches and sight."""
    ancestors = " ".join(frame_ancestors) or "'none'"
    targets = " ".join(("'self'", *form_targets))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {_source('page.css')}; "
        f"script-src {_source('page.js')}; base-uri 'none'; "
        f"form-action {targets}; "
        f"frame-ancestors {ancestors}"
    )
    if not frame_ancestors:
        response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


@functools.cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _source(name: str) -> str:
    """An inline asset as a source of the Content-Security-Policy."""
    hashed = hashlib.sha256(_asset(name).encode()).digest()
    return f"'sha256-{base64.b64encode(hashed).decode()}'"


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
