"""The CRM tells us its subaccounts, users and contacts.

Calls may come in any order and twice: a contact may be assigned to a user who is not
pushed yet (M3 then holds once the user is). Every write is one commit that is compared
and set, so two callers never mix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from shared.core.ids import ContactId, SubaccountId, UserId, digest
from shared.core.moments import to_epoch_ms
from shared.core.records import Contact, Member, Subaccount
from shared.errors import DocumentFull, Problem
from shared.ports import Blobs, Clock, Documents, Secrets, Snapshot
from shared.repositories import directory as records
from shared.repositories import paths
from shared.repositories.directory import ContactToWrite, MemberToWrite
from shared.services.compare_and_set import retry_on_conflict
from shared.services.crm.erasure import Erasure

# Firestore's limit of a commit.
TOO_MANY_AT_ADDRESS = "One of the addresses has too many contacts already."
_MAX_WRITES = 500

_PASSWORD = "/default_provider/smtp/password"  # noqa: S105  (where it stands)
KEEP_PASSWORD = object()
"""The provider's password is not given again: the one we hold stays."""


class Directory:
    """Subaccounts, users and contacts. All addresses given to it are normalised."""

    def __init__(
        self, documents: Documents, blobs: Blobs, secrets: Secrets, clock: Clock
    ) -> None:
        """Build with what the composition root holds."""
        self._documents = documents
        self._secrets = secrets
        self._clock = clock
        self._erasure = Erasure(documents, blobs, clock)

    # --- subaccounts -------------------------------------------------------------

    def subaccount(self, subaccount: SubaccountId) -> Subaccount | None:
        """Settings of a subaccount; None when the CRM has not pushed it."""
        snapshot = self._read(paths.subaccount(subaccount))
        return records.to_subaccount(snapshot) if snapshot.exists else None

    def require(self, subaccount: SubaccountId) -> Subaccount:
        """Settings of a subaccount; raises Problem 404."""
        found = self.subaccount(subaccount)
        if found is None:
            raise not_found("subaccount")
        return found

    def put_subaccount(
        self, wanted: Subaccount, password: str | object | None
    ) -> Subaccount:
        """Create or replace. The provider's password goes to Secret Manager.

        KEEP_PASSWORD keeps it, but only for the server and user it was given for;
        None removes it. Raises Problem for a user without one: no mail could be sent.
        """
        path = paths.subaccount(wanted.id)
        secret = smtp_secret(wanted.id)
        if isinstance(password, str):
            # Before the document: settings never name a password that is not there.
            self._secrets.write(secret, password.encode())

        def step() -> None:
            before = self._read(path)
            held = password is not None and (
                password is not KEEP_PASSWORD or _same_account(before, wanted)
            )
            if not held and _smtp(wanted.default_provider).get("username"):
                raise Problem(
                    422,
                    "invalid_request",
                    "A user of the provider needs a password.",
                    errors=({"pointer": _PASSWORD, "detail": "is required"},),
                )
            if not held and _smtp(before.data.get("default_provider")):
                # Before the document too: a crash here is mended by the next call.
                self._secrets.destroy(secret)
            self._documents.commit(
                [records.write_subaccount(_with_password(wanted, held), before.version)]
            )

        retry_on_conflict(step)
        return wanted

    # --- users -------------------------------------------------------------------

    def member(self, subaccount: SubaccountId, user: UserId) -> Member | None:
        """A user as a member of this subaccount."""
        snapshot = self._read(paths.member(subaccount, user))
        return records.to_member(subaccount, snapshot) if snapshot.exists else None

    def subaccounts_of(self, user: UserId) -> tuple[SubaccountId, ...]:
        """Subaccounts in which this user is a member, sorted."""
        found = self._read(paths.user(user)).data.get("subaccounts", ())
        return tuple(sorted(map(SubaccountId, found)))

    def syncs(
        self, user: UserId, subaccounts: Collection[SubaccountId]
    ) -> dict[SubaccountId, bool]:
        """In which of these subaccounts the user's mailbox is recorded (C11)."""
        members = [
            self.member(subaccount, user)
            for subaccount in self.subaccounts_of(user)
            if subaccount in subaccounts
        ]
        return {member.subaccount: member.sync for member in members if member}

    def put_member(self, subaccount: SubaccountId, wanted: MemberToWrite) -> Member:
        """Create or replace a user.

        The addresses of the mailbox that the user has connected become internal here
        too. They are looked at again afterwards, because a connection that begins at
        this moment may have missed the new membership.
        """
        self.require(subaccount)

        def step() -> None:
            before = self._read(paths.member(subaccount, wanted.id))
            self._documents.commit(
                records.write_member(
                    subaccount,
                    before,
                    wanted,
                    own_addresses=self._own_addresses(wanted.id),
                    now=self._now(),
                )
            )

        retry_on_conflict(step)
        self._add_internal(subaccount, wanted.id, self._own_addresses(wanted.id))
        found = self.member(subaccount, wanted.id)
        if found is None:  # deleted in this moment
            raise not_found("user")
        return found

    def change_member(
        self,
        subaccount: SubaccountId,
        user: UserId,
        *,
        never_log: Sequence[str] | None,
        sync: bool | None,
    ) -> Member:
        """Change what the user decides; raises Problem 404 for no such user."""

        def step() -> None:
            before = self._read(paths.member(subaccount, user))
            if not before.exists:
                raise not_found("user")
            writes = records.change_member(before, never_log=never_log, sync=sync)
            if writes:
                self._documents.commit(writes)

        retry_on_conflict(step)
        found = self.member(subaccount, user)
        if found is None:  # deleted in this moment
            raise not_found("user")
        return found

    def delete_member(self, subaccount: SubaccountId, user: UserId) -> None:
        """Remove a user; the user goes with the last membership.

        The user's connection is left as it is.
        """

        def step() -> None:
            member, known = self._documents.get(
                [paths.member(subaccount, user), paths.user(user)]
            )
            writes = records.remove_member(subaccount, member, known, self._now())
            if writes:
                self._documents.commit(writes)

        retry_on_conflict(step)

    def add_internal_addresses(self, user: UserId, addresses: Iterable[str]) -> None:
        """Make addresses the user's own, internal in all the user's subaccounts.

        Call it after the connection is stored: see `put_member`.
        """
        own = frozenset(addresses)
        for subaccount in self.subaccounts_of(user):
            self._add_internal(subaccount, user, own)

    def _add_internal(
        self, subaccount: SubaccountId, user: UserId, addresses: frozenset[str]
    ) -> None:
        def step() -> None:
            before = self._read(paths.member(subaccount, user))
            if before.exists:
                writes = records.add_internal(subaccount, before, addresses)
                if writes:
                    self._documents.commit(writes)

        retry_on_conflict(step)

    def _own_addresses(self, user: UserId) -> frozenset[str]:
        connection = self._read(paths.connection(user)).data
        if not connection.get("mailbox") or connection.get("status") == "disconnected":
            return frozenset()
        mailbox = self._read(paths.mailbox(connection["mailbox"]))
        return records.mailbox_addresses(mailbox.data or connection)

    # --- contacts ----------------------------------------------------------------

    def contact(self, subaccount: SubaccountId, contact: ContactId) -> Contact | None:
        """A contact, with its addresses normalised; None while it is being erased."""
        found = self._read(paths.contact(subaccount, contact))
        return records.to_contact(subaccount, found) if records.is_live(found) else None

    def contact_as_given(
        self, subaccount: SubaccountId, contact: ContactId
    ) -> ContactToWrite:
        """A contact as the CRM wrote it; raises Problem 404."""
        found = self._read(paths.contact(subaccount, contact))
        if not records.is_live(found):
            raise not_found("contact")
        known = records.to_contact(subaccount, found)
        return ContactToWrite(
            id=known.id,
            name=known.name,
            emails=known.emails,
            given_emails=records.given_emails(found),
            assigned_to=known.assigned_to,
            created_at=known.created_at,
        )

    def put_contact(
        self, subaccount: SubaccountId, wanted: ContactToWrite
    ) -> ContactToWrite:
        """Create or replace a contact; its conversation stays.

        One that is still being erased is erased to the end first, and begins anew.
        """
        self.require(subaccount)
        try:
            refused = retry_on_conflict(
                lambda: self.write_contacts(subaccount, [wanted])
            )
        except DocumentFull:
            refused = [wanted]
        if refused:
            raise DocumentFull(TOO_MANY_AT_ADDRESS)
        return self.contact_as_given(subaccount, wanted.id)

    def write_contacts(
        self, subaccount: SubaccountId, wanted: list[ContactToWrite]
    ) -> list[ContactToWrite]:
        """Write contacts with different ids, once, each in one commit.

        Gives back those for which an address has no room; they are not written. Raises
        DocumentFull when a document is full in spite of the cap, and one of
        `compare_and_set.CONFLICTS` when somebody came in between: do it again.
        """
        names = [paths.contact(subaccount, contact.id) for contact in wanted]
        entries = [
            paths.address(subaccount, email)
            for email in dict.fromkeys(
                email for contact in wanted for email in contact.emails
            )
        ]
        found = self._documents.get([*names, *entries])
        before, at_addresses = found[: len(names)], found[len(names) :]
        erasing = [
            snapshot
            for snapshot in before
            if snapshot.exists and not records.is_live(snapshot)
        ]
        for snapshot in erasing:
            self._erasure.erase(subaccount, ContactId(snapshot.id))
        if erasing:
            before = self._documents.get(names)
        refused = records.beyond_the_cap(at_addresses, subaccount, wanted)
        changes = [
            (snapshot, contact)
            for snapshot, contact in zip(before, wanted, strict=True)
            if contact not in refused
        ]
        if not changes:
            return refused
        writes = records.write_contacts(subaccount, changes, self._now())
        if len(writes) <= _MAX_WRITES or len(changes) == 1:
            self._documents.commit(writes)
            return refused
        # Many addresses go away: what a row costs is known only now.
        half = len(wanted) // 2
        return [
            *self.write_contacts(subaccount, wanted[:half]),
            *self.write_contacts(subaccount, wanted[half:]),
        ]

    def delete_contact(self, subaccount: SubaccountId, contact: ContactId) -> None:
        """Erase a contact with all that was said; a missing one is no error."""
        self._erasure.erase(subaccount, contact)

    def finish_erasures(self, before: int) -> int:
        """End erasures that began before then (ms) and stopped; says of how many."""
        return self._erasure.finish_left(before)

    def _read(self, path: str) -> Snapshot:
        return self._documents.get([path])[0]

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def not_found(what: str) -> Problem:
    """The refusal for anything that is not there, or not the caller's."""
    return Problem(404, "not_found", f"There is no such {what}.")


def smtp_secret(subaccount: SubaccountId) -> str:
    """Name of the secret with the default provider's password."""
    return f"smtp-password-{digest('smtp', subaccount)}"


def _smtp(provider: object) -> dict[str, object]:
    smtp = provider.get("smtp") if isinstance(provider, dict) else None
    return smtp if isinstance(smtp, dict) else {}


def _same_account(before: Snapshot, wanted: Subaccount) -> bool:
    """Whether a kept password would go to the very server and user it was given for.

    Else somebody could have it sent to a server of their own.
    """
    old, new = (
        _smtp(before.data.get("default_provider")),
        _smtp(wanted.default_provider),
    )
    return old.get("has_password") is True and all(
        old.get(name) == new.get(name)
        for name in ("host", "port", "username", "security")
    )


def _with_password(wanted: Subaccount, held: bool) -> Subaccount:  # noqa: FBT001
    smtp = _smtp(wanted.default_provider)
    if not smtp:
        return wanted
    return replace(wanted, default_provider={"smtp": {**smtp, "has_password": held}})
