"""Mail has come to the logging mailbox: log what users copied to their BCC addresses.

A mailbox like any other to read; what its mail means is decided by B2-B7.
"""

from __future__ import annotations

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.services.syncing.sync import MailboxChanged


def bcc(request: Request) -> Response:
    """Entry point of topic `bcc-notifications`."""
    return push.run_push(request, MailboxChanged.from_push, _handle)


def _handle(change: MailboxChanged, delivery: str) -> None:
    bootstrap.services().sync.notified(change, delivery)
