"""Each user's BCC address in each subaccount: shown, and rotated (B1)."""

from __future__ import annotations

import secrets as random_keys
import threading
from collections.abc import Iterable, Sequence

from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING, BccAddressFormat, derive_token, token_key
from shared.core.matching.bcc_redaction import holds_bcc_address
from shared.errors import Misconfigured, Problem
from shared.ports import Documents, Secrets, Snapshot
from shared.repositories import bcc, paths
from shared.repositories.mailboxes import Mailboxes
from shared.services.compare_and_set import retry_on_conflict

_MAKING = threading.Lock()
TOKEN_KEY = "bcc-token-key"  # noqa: S105  (the secret's name)
_KEY_BYTES = 32


class BccAddresses:
    """Shows and rotates addresses. One is issued when it is first shown.

    None is shown before mail to it is logged: while the logging mailbox is not
    connected (C8).
    """

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        form: BccAddressFormat | None,
        *,
        development: bool,
    ) -> None:
        """Use these gateways; without a form there are no BCC addresses."""
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._secrets = secrets
        self._form = form
        self._development = development
        self._keys: list[bytes] = []

    def show(self, subaccount: SubaccountId, user: UserId) -> str | None:
        """The address of a user; None while mail to it would not be logged."""
        if self._form is None or self.lead_nowhere():
            return None
        return self._show(self._form, subaccount, user)

    def refuse_among(self, emails: Sequence[str]) -> None:
        """Raise Problem for a contact's address that is a BCC address (B6).

        It would be shown to everyone who reads the contact or gets mail with it.
        """
        bad = [
            {"pointer": f"/emails/{number}", "detail": "is a BCC address"}
            for number, email in enumerate(emails)
            if self._form is not None and holds_bcc_address(email, self._form)
        ]
        if bad:
            raise Problem(
                422,
                "invalid_request",
                "The request is not valid; `errors` says where.",
                errors=tuple(bad),
            )

    def _show(
        self, form: BccAddressFormat, subaccount: SubaccountId, user: UserId
    ) -> str:
        found = self._read(subaccount, user)
        token = self._token(subaccount, user, found) if found.exists else None
        if token is None:
            # None yet, or made with a key that is gone: that one cannot be shown.
            token = retry_on_conflict(
                lambda: self._issue(subaccount, user, unless=True)
            )
        return form.address(token)

    def lead_nowhere(self) -> bool:
        """Whether mail to BCC addresses is not logged: nobody reads what it leads to.

        False where the deployment has no BCC addresses at all.
        """
        if self._form is None:
            return False
        connection = self._mailboxes.connection(LOGGING)
        return connection is None or connection.status != "active"

    def rotate(self, subaccount: SubaccountId, user: UserId) -> str | None:
        """Give the user a new address; the old one stops working in this moment.

        Returns what `show` would. Raises Problem when the user is not a member, or
        without a form.
        """
        if self._form is None:
            raise Problem(
                409, "bcc_not_configured", "This deployment has no BCC addresses."
            )
        if not self._documents.get([paths.member(subaccount, user)])[0].exists:
            raise Problem(404, "not_found", "There is no such user.")
        token = retry_on_conflict(lambda: self._issue(subaccount, user, unless=False))
        return None if self.lead_nowhere() else self._form.address(token)

    def show_all(
        self, user: UserId, subaccounts: Iterable[SubaccountId]
    ) -> dict[str, str]:
        """The user's address in each of these subaccounts (C8)."""
        if self._form is None or self.lead_nowhere():
            return {}
        return {
            subaccount: self._show(self._form, subaccount, user)
            for subaccount in sorted(subaccounts)
        }

    def _issue(self, subaccount: SubaccountId, user: UserId, *, unless: bool) -> str:
        """Write the next token; `unless` another caller has just issued one."""
        before = self._read(subaccount, user)
        if unless and before.exists:
            shown = self._token(subaccount, user, before)
            if shown is not None:
                return shown
        number = int(before.data.get("generation", 0)) + 1
        token = derive_token(self._newest_key(), subaccount, user, number)
        key = token_key(token)
        self._documents.commit(
            bcc.issue(before, subaccount, user, key=key, number=number)
        )
        return token

    def _token(
        self, subaccount: SubaccountId, user: UserId, found: Snapshot
    ) -> str | None:
        """Derive the token again, with the key that it was made with."""
        number = int(found.data["generation"])
        for fresh in (False, True):
            if fresh or not self._keys:
                self._keys = self._secrets.read_all(TOKEN_KEY)
            for key in self._keys:
                token = derive_token(key, subaccount, user, number)
                if token_key(token) == found.data["key"]:
                    return token
        return None

    def _newest_key(self) -> bytes:
        keys = self._secrets.read_all(TOKEN_KEY)
        if not keys and self._development:
            keys = self._make_key()
        if not keys or len(keys[0]) < _KEY_BYTES:
            raise Misconfigured(
                f"The secret {TOKEN_KEY} must hold at least {_KEY_BYTES} random bytes."
            )
        self._keys = keys
        return keys[0]

    def _make_key(self) -> list[bytes]:
        """On one machine, in one process: the first look makes the key, once."""
        with _MAKING:
            if not self._secrets.read_all(TOKEN_KEY):
                self._secrets.write(TOKEN_KEY, random_keys.token_bytes(_KEY_BYTES))
            return self._secrets.read_all(TOKEN_KEY)

    def _read(self, subaccount: SubaccountId, user: UserId) -> Snapshot:
        return self._documents.get([paths.bcc_address(subaccount, user)])[0]
