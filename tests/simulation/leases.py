"""Who works under a lease, as the store shows it: nobody writes who has lost it (C4, S7).

A mailbox and a send each have a lease with a fencing number. A worker that another has
overtaken may not change them any more, and a lease that holds is nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.ports import Delete, Snapshot

LEASED = ("mailboxes/", "sends/")


def under_lease(writes: Sequence[Any]) -> list[str]:
    """The documents with a lease that these writes change."""
    return [
        write.path
        for write in writes
        if write.path.startswith(LEASED) and write.path.count("/") == 1
    ]


def broken(
    fences: dict[str, int],
    writes: Sequence[Any],
    before: Sequence[Snapshot],
    now: int,
) -> Iterator[str]:
    """What is wrong with writes that were made; `fences` are the writer's own."""
    stored = {item.path: _lease(item.data) for item in before}
    for write in writes:
        if write.path not in stored:
            continue
        was = stored[write.path]
        own = fences.get(write.path)
        # The rules leave open who says that a mail is sent: whoever knows it ends the send.
        ends = isinstance(write, Delete) and write.path.startswith("sends/")
        if own is not None and own < was.get("fence", 0) and not ends:
            yield f"{write.path} is written by one who has lost it"
        became = {} if isinstance(write, Delete) else _lease(write.data)
        if became.get("fence", 0) <= was.get("fence", 0):
            continue
        fences[write.path] = became["fence"]
        holder, until = was.get("holder"), was.get("expires_at", 0)
        if became["holder"] not in {None, holder} and holder and until > now:
            yield f"{write.path} is taken from its holder"


def _lease(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mailbox's lease, or that of a send, which is a part of it."""
    lease: Mapping[str, Any] = data.get("lease") or {
        **data,
        "expires_at": data.get("lease_until", 0),
    }
    return lease
