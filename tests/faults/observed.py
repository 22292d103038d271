"""What can be seen of a deployment from outside, so that two runs can be compared.

Every document is compared, field by field. What must differ between two good runs is
replaced by what it means: ids that are drawn at random by the mail they belong to, and
moments after the flow began by "later". What is left over by a crash and harms nobody
is left out: leases that lapsed, counters of attempts, consents that were given up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email import message_from_bytes, policy
from functools import cache
from typing import Any

from tests.faults.world import World

LEFT_OVER = ("oauth_flows/", "oauth_states/", "sessions/")
ATTEMPTS = {
    *("lease", "lag_looks", "idle", "failing_since", "failure", "consents"),
    *("attempts", "generation"),
}
_LATER = 10**12
_DIGEST = re.compile(r"(?<![0-9a-z])[0-9a-f]{16,}(?![0-9a-z])")
_BCC_TOKEN = re.compile(r"(?<=log\+)[a-z2-7]{20}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

Observed = dict[str, int]
"""What was seen, as text, and how often."""


def observe(world: World, began: datetime) -> Observed:
    """Everything that a CRM, its users and their correspondents can notice."""
    name = _names(world)
    seen: Counter[str] = Counter()
    for told in (_documents, _outside, _gmail, _events):
        seen.update(
            _BCC_TOKEN.sub("[token]", name(line)) for line in told(world, began)
        )
    return dict(seen)


def differences(
    expected: Observed, found: Observed, more: tuple[str, ...] = ()
) -> list[str]:
    """Each line that is there more or less often than it should be.

    Lines that begin with one of `more` may be there more often.
    """
    return [
        f"{found.get(line, 0)} instead of {expected.get(line, 0)} times: {line}"
        for line in sorted(expected.keys() | found.keys())
        if found.get(line, 0) < expected.get(line, 0)
        or (found.get(line, 0) > expected.get(line, 0) and not line.startswith(more))
    ]


# --- what is seen ------------------------------------------------------------------


def _documents(world: World, began: datetime) -> Iterator[str]:
    """Documents, blobs and secrets."""
    moment = int(began.timestamp() * 1000)

    def settled(value: Any) -> Any:
        match value:
            case Mapping():
                skip = ATTEMPTS | {"cursor"}
                kept = {k: settled(v) for k, v in value.items() if k not in skip}
                return dict(sorted(kept.items(), key=_place))
            case list() | tuple():
                return sorted(map(str, map(settled, value)))
            case bytes():
                return f"{len(value)} bytes"
            case str():
                return _MOMENT.sub("[moment]", value)
            case datetime():
                return "later" if value >= began else value
            case int() if value > _LATER:
                return "later" if value >= moment else value
        return value

    for path, data in world.outside.documents.dump().items():
        if not path.startswith(LEFT_OVER):
            yield f"{path} {settled(data)}"
    yield from (f"blob {key}" for key in sorted(world.outside.blobs.keys()))
    yield from (f"secret {key}" for key in world.outside.secrets.names())


def _place(item: tuple[str, Any]) -> tuple[str, str]:
    """Sort fields by their names; a name that is a digest says nothing."""
    return _DIGEST.sub("#", item[0]), str(item[1])


def _gmail(world: World, _began: datetime) -> Iterator[str]:
    """Mailboxes, drafts, watches and grants, and what our cursor has not passed."""
    for account in world.world.accounts:
        ours = world.mailbox(account.address)
        unread = [
            message.subject
            for message in account.mailbox.messages.values()
            if ours and ours.users and message.history_id > int(ours.cursor)
        ]
        yield f"not yet read of {account.address}: {unread}"
        for message in account.mailbox.messages.values():
            yield f"mail of {account.address}: {_mail(message.raw)} {message.label_ids()}"
        yield f"drafts of {account.address}: {len(account.mailbox.drafts)}"
        topics = sorted(watch.topic for watch in account.watches.values())
        yield f"watches of {account.address}: {topics}"
        granted = world.world.oauth.live_refresh_tokens(account) > 0
        yield f"granted by {account.address}: {granted}"


def _outside(world: World, _began: datetime) -> Iterator[str]:
    """Mail that others got, from Gmail and from the provider."""
    for item in world.world.outside:
        yield f"sent to {item.recipient}: {_mail(item.raw)}"
    for taken in world.outside.relay.taken:
        yield f"relayed to {taken.recipients}: {_mail(taken.mail)}"


def _events(world: World, _began: datetime) -> Iterator[str]:
    """Events as a subscriber takes them: each id once (E1)."""
    once = {event["id"]: event for event in world.events()}
    for item in once.values():
        yield f"event {item['type']} {item['subject']} {sorted(item['data'].items())}"


@cache
def _mail(raw: bytes) -> str:
    mail = message_from_bytes(raw, policy=policy.default)
    people = {
        item: mail[item] for item in ("From", "To", "Cc", "Subject", "In-Reply-To")
    }
    files = [part.get_filename() for part in mail.iter_attachments()]
    return f"{people} {files}"


# --- ids, by what they mean ----------------------------------------------------------


def _names(world: World) -> Callable[[str], str]:
    """Replace ids that are drawn at random, or that depend on how often one tried."""
    known: dict[str, str] = {}
    for account in world.world.accounts:
        for message in account.mailbox.messages.values():
            known[message.rfc822_id] = f"[Message-ID of {message.subject}]"
            known[message.id] = f"[{message.subject} at {account.address}]"
    for account in world.world.accounts:
        for first, *_ in account.mailbox.threads.values():
            subject = account.mailbox.messages[first].subject
            known[first] = f"[thread of {subject} at {account.address}]"
    for path, data in world.outside.documents.dump().items():
        if "/messages/" in path:
            known.setdefault(path.rpartition("/")[2], f"[{data['subject']}]")
    if not known:
        return lambda line: _DIGEST.sub("#", line)
    longest_first = sorted(known, key=len, reverse=True)
    names = re.compile("|".join(map(re.escape, longest_first)))
    return lambda line: _DIGEST.sub("#", names.sub(lambda m: known[m[0]], line))
