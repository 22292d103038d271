"""Gmail told us that a mailbox changed; bring that mailbox up to date.

The payload is a hint: routing and cursor come from our own records.
"""

from __future__ import annotations

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.services.syncing.sync import MailboxChanged


def inbound(request: Request) -> Response:
    """Entry point of topic `gmail-notifications`."""
    return push.run_push(request, MailboxChanged.from_push, _handle)


def _handle(change: MailboxChanged, delivery: str) -> None:
    bootstrap.services().sync.notified(change, delivery)
