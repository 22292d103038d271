"""Commits that must not fail because a document that only helps is full.

A thread remembers who took part and its Gmail threads, and a Message-ID leads to the
records that carry it. A document holds 1 MiB (Firestore, "Quotas and limits"), and
anybody can write email until one is full. The email is recorded all the same: its
contact and thread are known already, and only what would be added is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.errors import DocumentFull
from shared.ports import Documents, Merge, Write

_COLLECTION = 2  # subaccounts/{s}/threads/{t}
_REMEMBERED = ("participants", "gmail_threads")


def commit(documents: Documents, writes: Sequence[Write]) -> list[object]:
    """Apply all writes or none, without what a full document cannot remember.

    Raises DocumentFull when another document is the one that is full.
    """
    given = list(writes)
    fewer = [_forget_in_threads(given), _forget_message_ids(given)]
    fewer.append(_forget_message_ids(fewer[0]))
    fewer.append(_forget_relations(fewer[-1]))
    for some in (given, *(left for left in fewer if left != given)):
        with suppress(DocumentFull):
            return documents.commit(some)
    raise DocumentFull


def _forget_in_threads(writes: list[Write]) -> list[Write]:
    """What threads would remember is left out."""
    return [
        replace(
            write,
            data={
                name: value
                for name, value in write.data.items()
                if name not in _REMEMBERED
            },
        )
        if isinstance(write, Merge) and _is_in(write, "threads")
        else write
        for write in writes
    ]


def _forget_message_ids(writes: list[Write]) -> list[Write]:
    """What leads from a Message-ID to its records is left out."""
    return [write for write in writes if not _is_in(write, "message_ids")]


def _forget_relations(writes: list[Write]) -> list[Write]:
    """That a user and an address are established is left out (M3).

    What was sent or logged counts all the same, and a mail that is sent has an end.
    """
    return [
        write
        for write in writes
        if not (
            isinstance(write, Merge)
            and _is_in(write, "addresses")
            and write.data.keys() == {"established"}
        )
    ]


def _is_in(write: Write, collection: str) -> bool:
    return write.path.split("/")[_COLLECTION : _COLLECTION + 1] == [collection]
