"""What nothing leads to any more: it would stay for ever, whoever it was about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.world import World

WAITING = ("outbox/", "uploads/", "erasures/")
"""Each is there until something is done, and a sweep does it."""


def strays(world: World) -> list[str]:
    """Blobs and documents whose owner is gone, and work that no sweep has ended."""
    documents = world.outside.documents.dump()
    blobs = world.outside.blobs.keys()
    return [
        *(f"blob {key}" for key in blobs if not key.startswith(_named(documents))),
        *(f"waiting {path}" for path in documents if path.startswith(WAITING)),
        *_ownerless(documents),
    ]


def _named(documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What the keys of the blobs begin with that some document names."""
    return tuple(
        data[name]
        for data in documents.values()
        for name in ("blobs", "envelope_blob")
        if name in data
    )


def _ownerless(documents: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Documents about a contact or a message that is not there."""
    for path, data in documents.items():
        top, _, rest = path.partition("/")
        if top != "subaccounts" or rest.count("/") != 2:
            continue
        subaccount, kind, _ = rest.split("/")
        own = f"subaccounts/{subaccount}"
        owners = []
        if kind in {"messages", "threads"}:
            owners = [f"{own}/contacts/{data['contact']}"]
        elif kind == "message_ids":
            owners = [f"{own}/messages/{entry}" for entry in data["entries"]]
            owners = owners or ["an email with this Message-ID"]
        elif kind == "addresses":
            owners = [
                f"{own}/contacts/{contact}" for contact in data.get("contacts", ())
            ]
        yield from (
            f"{path} without {owner}" for owner in owners if owner not in documents
        )
