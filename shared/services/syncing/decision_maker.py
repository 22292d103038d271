"""Decides the messages of a batch in order, with facts that are fetched together.

Promises: a message sees the threads and contacts of those before it; one that cannot
be decided stops no other. Writes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.core.ids import SubaccountId
from shared.core.mail import MessageHeaders
from shared.core.matching.lookups import Lookup
from shared.core.matching.places import Decision
from shared.core.matching.rules import decide
from shared.core.moments import to_epoch_ms
from shared.errors import Permanent, Transient
from shared.ports import Clock, Documents
from shared.repositories import paths
from shared.services.syncing.batch import Batch, Item, RecordKey


class DecisionMaker:
    """Runs the rules for messages whose headers are read."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def decide_all(self, batch: Batch, items: Sequence[Item]) -> None:
        """Decide up to the first passing fault: what follows waits for that message."""
        readable = [entry.headers for entry in items if entry.headers is not None]
        likely = batch.finder.prefetch([_keys(batch, message) for message in readable])
        with suppress(Permanent):  # whose fault it is shows when each is decided
            self._look_for_existing(batch, itertools.chain.from_iterable(likely))
        for item in items:
            if isinstance(item.failure, Transient):
                return
            if item.headers is not None:
                self.decide(batch, item, item.headers)

    def decide(self, batch: Batch, item: Item, headers: MessageHeaders) -> None:
        """Decide one message, and let the finder know what will be recorded of it."""
        try:
            decided = batch.finder.run(decide(headers, batch.mailbox))
            item.decision = _within(batch.only, decided)
            keys = [batch.key(headers, place) for place in item.decision.places]
            self._look_for_existing(batch, keys)
        except Exception as error:  # noqa: BLE001  (one message must not stop others)
            item.failure = error
            return
        for place in item.decision.places:
            batch.finder.overlay_contacts(place, self._now())
            _, message = batch.key(headers, place)
            known = batch.as_recorded(headers, place)
            batch.finder.overlay_record(
                message, headers, known, batch.mailbox.id, self._now()
            )

    def _look_for_existing(self, batch: Batch, keys: Iterable[RecordKey]) -> None:
        """Read the records that another mailbox, or an earlier try, has made."""
        unknown = [
            fromkey for fromkey in dict.fromkeys(keys) if fromkey not in batch.existing
        ]
        if not unknown:
            return
        found = self._documents.get([paths.message(s, m) for s, m in unknown])
        batch.existing.update(zip(unknown, found, strict=True))

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _keys(batch: Batch, headers: MessageHeaders) -> Lookup[list[RecordKey]]:
    """Where a message goes, if nothing of its batch before it changes that."""
    decided = yield from decide(headers, batch.mailbox)
    places = _within(batch.only, decided).places
    return [batch.key(headers, place) for place in places]


def _within(only: Collection[SubaccountId] | None, decided: Decision) -> Decision:
    """The part of a decision that is about these subaccounts."""
    if only is None:
        return decided
    return replace(
        decided,
        places=tuple(place for place in decided.places if place.subaccount in only),
        copies=tuple(copy for copy in decided.copies if copy.subaccount in only),
        returned=tuple(found for found in decided.returned if found.subaccount in only),
    )
