"""The three programs that do the same work, each ready on a stage of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.bootstrap import OAUTH_CLIENT_SECRET
from shared.core.ids import mailbox_id
from shared.ports import Event, Query
from shared.repositories import paths
from shared.services.connecting.accounts import token_secret
from shared.services.syncing.sync import MailboxChanged
from tools.bench.cast import CONTACTS, ME, SUBACCOUNT, address, set_up
from tools.bench.floor import Floor
from tools.bench.stage import Stage
from tools.bench.tape import Call, recording
from tools.bench.tutorial import MESSAGES, Tutorial

Tapes = Sequence[Sequence[Call]]


class Contender(Protocol):
    """Takes notifications; mail has arrived before each of them."""

    def handle(self, number: int, hint: bytes) -> None:
        """Act on the notification with this number, counted from 0."""

    def recorded(self) -> int:
        """How many mails are in the database now."""


class Product:
    """What is deployed, from the notification on."""

    def __init__(self, stage: Stage) -> None:
        """Set up a user with contacts and a connected mailbox."""
        self._services = set_up(stage)
        self._stage = stage

    def handle(self, number: int, hint: bytes) -> None:
        """Bring the mailbox up to date."""
        change = MailboxChanged.from_push(Event(hint))
        self._services.sync.notified(change, f"m{number}")

    def recorded(self) -> int:
        """How many mails are in the database now."""
        return _count(self._stage, paths.messages(SUBACCOUNT))


class Replay:
    """The floor, where the product was set up and would go on."""

    def __init__(self, stage: Stage, tapes: Tapes) -> None:
        """Set up as the product does, and make the tapes ready."""
        set_up(stage)
        self._floor = Floor(stage, stage.post.token(ME), tapes)
        self._stage = stage

    def handle(self, number: int, hint: bytes) -> None:  # noqa: ARG002  (as recorded)
        """Play the tape of this notification."""
        self._floor.play(number)

    def recorded(self) -> int:
        """How many mails are in the database now."""
        return _count(self._stage, paths.messages(SUBACCOUNT))


class Usual:
    """The tutorial way."""

    def __init__(self, stage: Stage) -> None:
        """Save a mailbox and contacts as it keeps them."""
        set_up(stage)
        mailbox = mailbox_id(ME)
        stored = stage.outside.documents.get([paths.mailbox(mailbox)])[0]
        web = json.loads(stage.outside.secrets.read(OAUTH_CLIENT_SECRET))["web"]
        client = {
            "refresh_token": stage.outside.secrets.read(token_secret(mailbox)).decode(),
            **{name: web[name] for name in ("token_uri", "client_id", "client_secret")},
        }
        self._tutorial = Tutorial(stage, client, ME, stored.data["cursor"])
        self._stage = stage
        for number in range(CONTACTS):
            self._tutorial.store.put_contact(address(number))

    def handle(self, number: int, hint: bytes) -> None:  # noqa: ARG002  (it keeps none)
        """Act on a push."""
        self._tutorial.on_push(hint)

    def recorded(self) -> int:
        """How many mails are in the database now."""
        return _count(self._stage, MESSAGES)


@dataclass(frozen=True, slots=True)
class Recording:
    """The product on tape, notification by notification."""

    product: Product
    tape: list[Call]
    tapes: list[list[Call]]

    @classmethod
    def of(cls, stage: Stage) -> Recording:
        """The product on this stage."""
        recorded, tape = recording(stage)
        return cls(Product(recorded), tape, [])

    def handle(self, number: int, hint: bytes) -> None:
        """Let the product act, and keep what it asked for."""
        self.tape.clear()
        self.product.handle(number, hint)
        self.tapes.append(list(self.tape))

    def recorded(self) -> int:
        """How many mails are in the database now."""
        return self.product.recorded()


def contenders(tapes: Tapes) -> dict[str, Callable[[Stage], Contender]]:
    """All three, by name, in the order in which they take turns."""
    return {
        "product": Product,
        "floor": lambda stage: Replay(stage, tapes),
        "tutorial": Usual,
    }


def _count(stage: Stage, collection: str) -> int:
    return len(stage.outside.documents.query(Query(collection)))
