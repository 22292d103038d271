"""All flows, by area. A new one is a function with `@flow` in the fitting module."""

from __future__ import annotations

from tests.faults import connecting, crm, operating, sending, syncing
from tests.faults.registry import FLOWS

AREAS = (syncing, connecting, sending, crm, operating)

__all__ = ["AREAS", "FLOWS"]
