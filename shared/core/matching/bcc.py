"""BCC addresses (B1): how one is made and recognised.

An address is a format of the deployment, such as `log+{token}@example.com`, and a
token that stands for one user in one subaccount. The token is a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

from shared.core.ids import SubaccountId, UserId, digest
from shared.core.parsing.addr_spec import fold, normalise_domain
from shared.core.parsing.bcc_in_text import TOKEN_CHARS

_TOKEN = re.compile(r"[a-z2-7]{20}")

LOGGING = UserId("@logging")
"""The logging mailbox's user. No user of the CRM can have this id: it has an @."""


def topic_of(users: Collection[UserId]) -> str:
    """Where Gmail announces changes of a mailbox with these users."""
    return "bcc-notifications" if LOGGING in users else "gmail-notifications"


@dataclass(frozen=True, slots=True)
class BccAddressFormat:
    """The deployment's form of BCC addresses, normalised."""

    prefix: str
    domain: str

    @classmethod
    def parse(cls, text: str | None) -> BccAddressFormat | None:
        """Read the setting BCC_ADDRESS_FORMAT; None where there is none."""
        if not text:
            return None
        prefix, _, domain = text.partition("{token}@")
        return cls(fold(prefix), normalise_domain(domain) or domain.lower())

    def address(self, token: str) -> str:
        """The BCC address with this token."""
        return f"{self.prefix}{token}@{self.domain}"

    def token_of(self, address: str) -> str | None:
        """The token of a normalised address; None when it is no BCC address.

        A token that has been rotated away, or was never issued, is one by its form:
        it must not become a contact either.
        """
        token = address.removeprefix(self.prefix).removesuffix(f"@{self.domain}")
        is_one = _TOKEN.fullmatch(token) and address == self.address(token)
        return token if is_one else None


def derive_token(
    key: bytes, subaccount: SubaccountId, user: UserId, generation: int
) -> str:
    """Make the token of a user in a subaccount; the next generation is another one.

    Derived and not stored, so that it can be shown again although only its digest is
    kept: who reads the database alone cannot write to anybody's address.
    """
    parts = ("bcc-token", subaccount, user, str(generation))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.b32encode(mac).decode().lower()[:TOKEN_CHARS]


def token_key(token: str) -> str:
    """Key under which a token's owner is found: its digest."""
    return digest("bcc-token", token)


def contact_id(subaccount: SubaccountId, address: str, attempt: int) -> str:
    """Id of the contact that B2 makes of an address; the same for whoever makes it.

    A later attempt is for an id that the CRM has given another address since.
    """
    return digest("bcc-contact", subaccount, address, str(attempt))
