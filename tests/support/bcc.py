"""A deployment with a logging mailbox, for tests of BCC addresses."""

from __future__ import annotations

from typing import Any

from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING
from tests.support.system import System

LOG = "log@logs.example"
ME = "rep@ours.example"
PROFILE = "rep.profile@ours.example"
ALIAS = "sales@ours.example"
ADA = "ada@client.example"
BOB = "bob@client.example"
FORMAT = "log+{token}@logs.example"


class BccSystem(System):
    """User u of subaccount s with a connected Gmail, and the logging mailbox."""

    def __init__(self, *, connected: bool = True, **settings: Any) -> None:
        super().__init__(bcc_address_format=FORMAT, **settings)
        self.subaccount()
        self.user("u", PROFILE)
        self.world.add_account(LOG)
        self.world.add_account(ME, "Rep", aliases=[ALIAS])
        assert self.connect(LOGGING, LOG).code == "connected"
        if connected:
            assert self.connect("u", ME).code == "connected"
        self.settle()

    def drop(self, u: str = "u", s: str = "s") -> str:
        """The user's BCC address."""
        address = self.services.bcc.show(SubaccountId(s), UserId(u))
        assert address is not None
        return address

    def outlook(
        self,
        to: str = ADA,
        *,
        sender: str = PROFILE,
        cc: str = "",
        rcpt: str | None = None,
        auth: str = "pass",
        reply_to: str | None = None,
        **more: Any,
    ) -> str:
        """A mail from another client, with the BCC address in Bcc: not in the headers.

        Only the copy for the logging mailbox arrives here; returns the Message-ID.
        """
        headers = dict(more.pop("headers", {}))
        if cc:
            headers["Cc"] = cc
        if reply_to:
            headers |= {"In-Reply-To": reply_to, "References": reply_to}
        message = self.mail(sender, to, headers=headers, **more)
        self.world.deliver_from_outside(message.as_bytes(), [rcpt or self.drop()], auth)
        return str(message["Message-ID"])

    def contacts(self, s: str = "s") -> dict[str, dict[str, Any]]:
        """Contacts of a subaccount by their first address."""
        prefix = f"subaccounts/{s}/contacts/"
        return {
            data["emails"][0]: dict(data, id=path.removeprefix(prefix))
            for path, data in self.outside.documents.dump().items()
            if path.startswith(prefix)
        }

    def said(self, address: str, s: str = "s") -> list[Any]:
        """The conversation with the contact that has this address."""
        return self.conversation(self.contacts(s)[address]["id"], s)

    def recorded(self, s: str = "s") -> list[str]:
        """Paths of all messages of a subaccount."""
        prefix = f"subaccounts/{s}/messages/"
        return [
            path for path in self.outside.documents.dump() if path.startswith(prefix)
        ]

    def published(self, kind: str) -> list[dict[str, Any]]:
        """Events of one type."""
        return [event for event in self.events() if event["type"] == kind]
