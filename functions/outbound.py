"""Mail of the CRM waits to be sent; send it, or find out what became of it."""

from __future__ import annotations

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.services.sending.outbound_work import OutboundWork


def outbound(request: Request) -> Response:
    """Entry point of topic `outbound-messages`."""
    return push.run_push(request, OutboundWork.from_push, _handle)


def _handle(work: OutboundWork, delivery: str) -> None:
    bootstrap.services().outbound.handle(work, delivery)
