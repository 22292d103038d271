"""One piece of work on `mailbox-work`: renew, sync, sweep, close.

A new kind of work is a line in HANDLERS. Each may come twice.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.bootstrap import Services
from shared.core.moments import to_epoch_ms
from shared.core.syncing.work import READ_AGAIN, Work, work_from
from shared.errors import Malformed
from shared.ports import Event


def work(request: Request) -> Response:
    """Entry point of topic `mailbox-work`."""
    return push.run_push(request, _decoded, _handle)


def _decoded(event: Event) -> Work:
    item = work_from(event.data)
    if item.kind not in HANDLERS:
        raise Malformed
    return item


def _handle(item: Work, delivery: str) -> None:
    HANDLERS[item.kind](bootstrap.services(), item, delivery)


def _sync(services: Services, item: Work, delivery: str) -> None:
    silent_since = item.number("silent_since") if item.has("silent_since") else None
    services.sync.bring_up_to_date(item.mailbox, delivery, silent_since=silent_since)


def _close(services: Services, item: Work, _delivery: str) -> None:
    services.closing.close(item.mailbox)


def _renew(services: Services, item: Work, _delivery: str) -> None:
    services.watches.renew(item.mailbox, item.number("started"))


def _renew_shard(services: Services, item: Work, _delivery: str) -> None:
    after = item.text("after") if item.has("after") else None
    services.watches.renew_shard(item.number("shard"), item.number("started"), after)


def _sweep_shard(services: Services, item: Work, _delivery: str) -> None:
    after = (item.number("quiet_since"), item.text("after"))
    services.sweep.sweep_shard(item.number("shard"), item.number("before"), after)


def _publish_left(services: Services, item: Work, _delivery: str) -> None:
    services.sweep.publish_left(item.number("before"))
    services.sending.resume(item.number("before"))


def _find_renamed(services: Services, item: Work, _delivery: str) -> None:
    after = item.text("after") if item.has("after") else None
    services.renaming.search(item.text("key"), after)


def _read_again(services: Services, item: Work, _delivery: str) -> None:
    now = to_epoch_ms(services.gateways.clock.now())
    services.quarantine.read_again(item.text("item"), now)


def _remove_left(services: Services, item: Work, _delivery: str) -> None:
    services.blob_uploads.remove_left(item.number("before"))
    services.directory.finish_erasures(item.number("before"))


def _job(services: Services, item: Work, _delivery: str) -> None:
    services.jobs.advance(item.text("job"))


HANDLERS: dict[str, Callable[[Services, Work, str], None]] = {
    "sync": _sync,
    "close": _close,
    "renew": _renew,
    "renew-shard": _renew_shard,
    "sweep-shard": _sweep_shard,
    "publish-left": _publish_left,
    READ_AGAIN: _read_again,
    "find-renamed": _find_renamed,
    "remove-left": _remove_left,
    "audit": _job,
    "backfill": _job,
}
"""By the kind of work."""
