"""What stands where it must not: secrets anywhere, words of mail in logs and notes.

Looked for after every fault of every flow. Secrets are nowhere but in the store of
secrets; logs, and what is kept for operators or until work is done, hold ids (M14, E1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from functools import cache

from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import derive_token
from shared.services.crm.bcc import TOKEN_KEY
from tests.faults.world import World
from tests.support.everything_stored import everything_stored

NOTES = ("decisions/", "quarantine/", "jobs/", "outbox/", "uploads/", "erasures/")
"""They hold ids, codes, and the address of the mailbox itself."""
PASSWORD = "CaNaRy-password"
_GOOGLES = re.compile(r"ya29\.[\w-]{20}|1//0[\w-]{20}")
_TELL_ADDRESSES = ("contact.created", "message.bounced")
_WORD_CHARS = 6


def leaks(world: World, logged: str) -> list[str]:
    """Each secret and each word of mail that is where it must not be."""
    secrets = {PASSWORD, *_bcc_tokens(world)}
    words = _words(world)
    found = [f"{word} in the logs" for word in secrets | words if word in logged]
    found += [f"{token} in the logs" for token in _GOOGLES.findall(logged)]
    for place, text in everything_stored(world.outside):
        if place.startswith("secret "):
            continue
        hidden = [secret for secret in secrets if secret in text.lower()]
        hidden += [PASSWORD] * (PASSWORD in text)
        hidden += _GOOGLES.findall(text)
        if place.startswith(NOTES) or (place == "event" and _is_of_ids(text)):
            hidden += [word for word in words if word in text]
        found += [f"{word} in {place}" for word in hidden]
    return found


def _is_of_ids(event: str) -> bool:
    """A new contact and a bounce are told with the address; pushes name the mailbox."""
    return not any(kind in event for kind in _TELL_ADDRESSES)


def _bcc_tokens(world: World) -> Iterator[str]:
    """Every token that a user has or had."""
    for path, data in world.outside.documents.dump().items():
        _, s, kind, u, *_ = [*path.split("/"), "", "", ""]
        if kind == "bcc_addresses":
            for key in world.outside.secrets.read_all(TOKEN_KEY):
                for number in range(data["generation"] + 1):
                    yield derive_token(key, SubaccountId(s), UserId(u), number)


def _words(world: World) -> set[str]:
    """Subjects, bodies and correspondents of all mail that somebody has."""
    ours = {account.address for account in world.world.accounts}
    words: set[str] = set()
    for account in world.world.accounts:
        for message in account.mailbox.messages.values():
            words |= _words_of(message.raw)
    return words - ours


@cache
def _words_of(raw: bytes) -> frozenset[str]:
    mail = message_from_bytes(raw, policy=policy.default)
    body = mail.get_body(("plain",))
    text = body.get_content().strip() if body else ""
    people = [
        address.addr_spec
        for name in ("From", "To", "Cc")
        for address in (mail[name].addresses if mail[name] else ())
    ]
    words = (str(mail["Subject"] or ""), text[:60], *people)
    return frozenset(word for word in words if len(word) >= _WORD_CHARS)
