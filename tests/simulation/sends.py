"""Mail that a CRM sends: one email per send, whatever breaks (S7).

Its own subaccount, user and mailbox, so that the model of M and T need not know it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.errors import Problem
from shared.services.sending.recipients import Asked
from shared.services.sending.send import SendRequest
from tests.simulation.cast import EVE, MARK, PEOPLE
from tests.simulation.stage import Stage

S = "s3"
FINAL = {"sent", "failed"}


class Sends:
    """Asks for sends, and counts what became of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._asked: dict[str, tuple[SendRequest, str]] = {}

    def set_up(self) -> None:
        """A rep with a mailbox and one contact."""
        self._stage.world.add_account(EVE)
        self._stage.subaccount(S, logging="established")
        self._stage.user("eve", EVE, S)
        self._stage.contact("x", PEOPLE[0], s=S, assigned_to="eve")
        self._stage.connect("eve", EVE)

    def ask(self) -> str:
        """The CRM asks for a new mail, or repeats an earlier call (S7)."""
        keys = sorted(self._asked)
        if keys and self._stage.rng.random() < 0.3:
            key = self._stage.rng.choice(keys)
            request, message = self._asked[key]
            again = self._stage.services.sending.submit(request, (), key).ids
            if again != (message,):
                self._stage.wrong.append(f"{key} gave another message")
            return f"{key} again"
        key = f"{MARK} send {len(keys)}"
        request = SendRequest(
            subaccount=SubaccountId(S),
            kind="individual",
            user=UserId("eve"),
            to=(Asked("/to/0", contact=ContactId("x")),),
            subject=key,
            text="Hello",
        )
        try:
            (message,) = self._stage.services.sending.submit(request, (), key).ids
        except Problem as problem:
            return f"{key} is refused: {problem.code}"
        self._asked[key] = request, message
        return key

    def doubled(self) -> Iterator[str]:
        """No mail is sent twice; looked at after every step."""
        for key, count in self._emails().items():
            if count > 1:
                yield f"{key} was sent {count} times"

    def ended(self) -> Iterator[str]:
        """When all is quiet: each send has an end, and it is the true one."""
        emails = self._emails()
        events: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for one in self._stage.outside.topics.published("crm-events"):
            event = json.loads(one.data)
            events[event["subject"]].add((event["type"], event["id"]))
        documents = self._stage.outside.documents.dump()
        records = [p for p in documents if p.startswith(f"subaccounts/{S}/messages/")]
        if len(records) != len(self._asked):
            yield f"{len(self._asked)} sends have {len(records)} records"
        for key, (_, message) in self._asked.items():
            record = documents[f"subaccounts/{S}/messages/{message}"]
            unknown = (record["reason"] or {}).get("code") == "fate_unknown"
            if record["status"] not in FINAL:
                yield f"{key} is still {record['status']}"
            elif (record["status"] == "sent") != (emails[key] == 1) and not unknown:
                yield f"{key} is {record['status']}, sent were {emails[key]}"
            if emails[key] and not unknown and not record["held_by"]:
                yield f"{key} does not list the Sent copy"
            told = events[f"/v1/subaccounts/{S}/messages/{message}"]
            if len(told) != 1 and not unknown:
                yield f"{key} has the events {told}"

    def _emails(self) -> Counter[str]:
        if not self._asked:
            return Counter()
        box = self._stage.world.account(EVE).mailbox
        sent = [one for one in box.messages.values() if "SENT" in one.labels]
        return Counter(one.subject for one in sent)
