"""How the service is, and why it refused a request."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from functions.http.fields import Time
from functions.http.models.base import Out


class Health(Out):
    """The service answers; `degraded` when the last sweep found trouble.

    `issues` counts what needs attention, by the names of the alerts.
    """

    status: Literal["ok", "degraded"]
    checked_at: Time | None
    issues: dict[str, int]


class BadField(Out):
    """One thing that is wrong: where in the body, or which parameter."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[BadField] = []
