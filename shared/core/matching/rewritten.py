"""Mail whose From a group or list of ours has written (M2).

A group writes `Ann via Sales <sales@ours>` where the sender's domain forbids it to pass
the mail on unchanged. Then From says nothing of who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from shared.core.mail import Address, MessageHeaders
from shared.core.matching.places import Placement

_VIA = re.compile(r"\S\s+via\s+\S", re.IGNORECASE)


def is_rewritten(message: MessageHeaders, is_internal: Callable[[str], bool]) -> bool:
    """Whether From, which is internal, is not the writer's own.

    Groups name the original sender of every mail, a colleague's too.
    """
    if message.original_senders:
        return any(
            not is_internal(original_sender.address)
            for original_sender in message.original_senders
        )
    return bool(message.sender and _VIA.search(message.sender.name or "")) or (
        message.is_list and bool(_external(message.reply_to, is_internal))
    )


def true_sender(
    message: MessageHeaders, is_internal: Callable[[str], bool]
) -> Address | None:
    """Who wrote it; None where that cannot be told without doubt."""
    named = message.original_senders or message.reply_to
    found = _external(named, is_internal)
    if message.original_senders and len(found) != len(
        {original_sender.address for original_sender in message.original_senders}
    ):
        return None
    return next(iter(found.values())) if len(found) == 1 else None


def as_recorded(message: MessageHeaders, place: Placement) -> MessageHeaders:
    """The message with its true sender, of whom nothing has been authenticated."""
    if place.sender is None:
        return message
    return replace(
        message, sender=place.sender, authenticity="unknown", authenticated=False
    )


def _external(
    some: tuple[Address, ...], is_internal: Callable[[str], bool]
) -> dict[str, Address]:
    return {
        address.address: address for address in some if not is_internal(address.address)
    }
