"""How many contacts mail to a user's BCC address may still make today (B7).

`subaccounts/{s}/contact_windows/{u}` holds the moments at which one was made. It is
written in the commit that makes them: mail that is read again makes none, and counts
for none. Only mail that would make a contact reads it.
"""

from __future__ import annotations

from shared.core.ids import SubaccountId, UserId
from shared.core.moments import to_epoch_ms
from shared.core.sending import send_window
from shared.core.sending.send_window import Full
from shared.ports import Clock, Documents, Write
from shared.repositories import paths
from shared.repositories.sends import window_from, window_write


class ContactQuota:
    """Reads what is left, and makes the write that uses some of it."""

    def __init__(self, documents: Documents, clock: Clock, cap: int) -> None:
        """Allow each BCC address so many in any 24 hours."""
        self._documents = documents
        self._clock = clock
        self._cap = cap

    def left(self, subaccount: SubaccountId, user: UserId) -> int:
        """So many may be made now."""
        found = self._documents.get([paths.contact_window(subaccount, user)])[0]
        return send_window.left(window_from(found), self._cap, self._now())

    def take(self, subaccount: SubaccountId, user: UserId, number: int) -> Write | None:
        """The write that counts so many; None when they are not left (any more).

        The commit raises Conflict or AlreadyExists when another one came between.
        """
        found = self._documents.get([paths.contact_window(subaccount, user)])[0]
        if number > self._cap:
            return None
        taken = send_window.take(window_from(found), number, self._cap, self._now())
        return None if isinstance(taken, Full) else window_write(found, taken)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())
