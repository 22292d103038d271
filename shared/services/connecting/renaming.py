"""Notices that Google has given an account another address (C9).

The account is the mailbox: its id, its cursor and what is recorded stay. What Gmail
says of the new address finds it by its `address` from then on.
"""

from __future__ import annotations

from typing import Protocol

from shared.core.events import CrmEvent, connection_event
from shared.core.ids import MailboxId, UserId, digest
from shared.core.moments import to_epoch_ms
from shared.core.parsing.address import normalise
from shared.core.syncing.work import Work, to_sync, work
from shared.errors import NeedsReauth, SyncError
from shared.logs import log
from shared.ports import Clock, Documents, Gmail, Merge, Put, Write
from shared.repositories import outbox, paths
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.outbox import Outbox
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import Accounts

FIND_RENAMED = "find-renamed"
"""Kind of the work that looks for the account which has an address now."""
PAGE = 50
SEARCH_AGAIN_MS = 24 * 3600 * 1000
"""An address that no account has is looked for once a day, however often it is named:
a mailbox that left this deployment is announced until its watch ends."""


class KnowsAddresses(Protocol):
    """The directory, as far as addresses of users concern it."""

    def add_internal_addresses(self, user: UserId, addresses: tuple[str, ...]) -> None:
        """Make addresses the user's own in all of the user's subaccounts."""


class Renaming:
    """Keeps mailboxes at the address that their account has now."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        directory: KnowsAddresses,
        publisher: Outbox,
        queue: WorkQueue,
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._directory = directory
        self._outbox = publisher
        self._queue = queue
        self._clock = clock

    def check(self, mailbox: Mailbox, gmail: Gmail) -> Mailbox:
        """The mailbox at the address that Gmail names now.

        `connection.updated` tells each of its users of a new one. Repeating it changes
        nothing. Raises what Gmail raises.
        """
        address = normalise(gmail.profile().address)
        if address is None or address == mailbox.address:
            return mailbox
        # Colleagues must know it as internal before its first email (M11).
        for user in mailbox.users:
            self._directory.add_internal_addresses(user, (address,))
        return self._rename(mailbox, address)

    def _rename(self, mailbox: Mailbox, address: str) -> Mailbox:
        events: list[CrmEvent] = []
        now = to_epoch_ms(self._clock.now())

        def rename(before: Mailbox | None) -> Mailbox | None:
            if before is None or not before.users or before.address == address:
                return None
            return before.renamed(address)

        def tell(after: Mailbox) -> list[Write]:
            events[:] = [
                connection_event("connection.updated", user, address, now)
                for user in after.users
            ]
            return [
                *(
                    Merge(paths.connection(user), {"address": address})
                    for user in after.users
                ),
                *(outbox.committing(event) for event in events),
            ]

        state, written = self._mailboxes.change(mailbox.id, rename, tell, known=mailbox)
        if written:
            log.info("mailbox_renamed", mailbox=mailbox.id)
            self._outbox.publish(events)
        return state or mailbox

    # --- an address that no mailbox has ------------------------------------------

    def look_for(self, address: str) -> None:
        """Start to look for the account that got this address, once a day."""
        key, now = digest("address", address), to_epoch_ms(self._clock.now())
        found = self._documents.get([paths.unknown_address(key)])[0]
        if found.exists and found.data["at"] > now - SEARCH_AGAIN_MS:
            return
        # The work comes first: a crash behind it only looks once more.
        self._queue.add([_search(key, None)])
        self._documents.commit([Put(found.path, {"at": now})])

    def search(self, key: str, after: str | None) -> None:
        """Ask a page of mailboxes for their address, and pass on the rest."""
        page = self._mailboxes.active(after, PAGE)
        for mailbox in page:
            if self._has_got(mailbox, key):
                self._queue.add([to_sync(mailbox.id)])
                return
        if len(page) == PAGE:
            self._queue.add([_search(key, page[-1].id)])

    def _has_got(self, mailbox: Mailbox, key: str) -> bool:
        """Whether this account has the address; another's trouble is its own."""
        try:
            now = self.check(mailbox, self._accounts.gmail(mailbox.id))
        except NeedsReauth:
            self._accounts.needs_reauth(mailbox.id, consents=mailbox.consents)
        except SyncError as error:
            log.warning("address_not_known", mailbox=mailbox.id, code=error.code)
        else:
            return digest("address", now.address) == key
        return False


def _search(key: str, after: MailboxId | None) -> Work:
    # The key, not the address: what waits in a topic names nobody.
    return work(FIND_RENAMED, key=key, after=after)
