"""Nobody could handle it: keep it where the operator sees it and can replay it (E3)."""

from __future__ import annotations

from flask import Request, Response

from functions import push
from shared import bootstrap
from shared.core.syncing import dead_letters
from shared.core.syncing.dead_letters import DeadLetter
from shared.errors import Malformed
from shared.ports import Event


def dead_letter(request: Request) -> Response:
    """Entry point of every dead-letter topic."""
    return push.run_push(request, _decoded, _handle)


def _decoded(event: Event) -> DeadLetter:
    letter = dead_letters.read(event.data, event.attributes, event.subscription)
    if letter is None:
        raise Malformed
    return letter


def _handle(letter: DeadLetter, delivery: str) -> None:
    bootstrap.services().dead_letters.keep(letter, delivery)
