"""Answers the questions of matching from the document store, many in one round trip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from shared.core.ids import (
    MailboxId,
    MessageId,
    SubaccountId,
    gmail_thread_key,
)
from shared.core.mail import MessageHeaders
from shared.core.matching.facts import (
    AddressFact,
    AddressKey,
    BccOwnerKey,
    ContactAtAddress,
    ContactFact,
    ContactKey,
    Fact,
    GmailThreadKey,
    Key,
    KnownMessage,
    MessageIdKey,
    OutboundFact,
    OutboundKey,
    QuotaKey,
    SentKey,
    ThreadFact,
    ThreadKey,
)
from shared.core.matching.lookups import Facts, Lookup
from shared.core.matching.places import Placement, recipients
from shared.errors import Permanent
from shared.ports import Documents, Query
from shared.repositories import bcc, paths
from shared.repositories.contact_quota import ContactQuota
from shared.repositories.fact_documents import fact_from, path_of, thread_from

DOCUMENTS_PER_READ = 300
THREADS_PER_QUERY = 30
"""Firestore's `array_contains_any` takes at most 30 values."""

Result = TypeVar("Result")


class FactFinder:
    """Looks facts up and remembers them while one batch is decided.

    The memory is what makes later messages of a batch see the threads of earlier ones:
    `tell_recorded` overrides what was read.
    """

    def __init__(self, documents: Documents, quota: ContactQuota | None = None) -> None:
        """Remember nothing. Without a quota no contacts can be made."""
        self._documents = documents
        self._quota = quota
        self._facts: dict[Key, Fact] = {}
        self._told: dict[ThreadKey, ThreadFact] = {}

    def prefetch(self, askings: Sequence[Lookup[Result]]) -> list[Result]:
        """Learn what these computations ask for; gives what comes of them so far.

        They must be pure: they are run again, in order, with what was learnt. One that
        fails, or asks for what cannot be, is left to fail then.
        """
        running: list[Generator[frozenset[Key], Facts, Result]] = []
        questions: list[frozenset[Key]] = []
        results: list[Result] = []
        for asking in askings:
            self._step(asking, None, running, questions, results)
        while running:
            try:
                self.learn(frozenset().union(*questions))
            except Permanent:
                return results  # whose question it was shows when each asks alone
            before = list(zip(running, questions, strict=True))
            running, questions = [], []
            for asking, keys in before:
                answers = {key: self._facts[key] for key in keys}
                self._step(asking, answers, running, questions, results)
        return results

    @staticmethod
    def _step(
        asking: Lookup[Result],
        answers: Facts | None,
        running: list[Generator[frozenset[Key], Facts, Result]],
        questions: list[frozenset[Key]],
        results: list[Result],
    ) -> None:
        try:
            keys = next(asking) if answers is None else asking.send(answers)
        except StopIteration as done:
            results.append(cast(Result, done.value))
            return
        except Exception:  # noqa: BLE001  (it fails again, alone, where it is handled)
            return
        running.append(asking)
        questions.append(keys)

    def run(self, asking: Lookup[Result]) -> Result:
        """Run one computation."""
        try:
            keys = next(asking)
            while True:
                self.learn(keys)
                keys = asking.send({key: self._facts[key] for key in keys})
        except StopIteration as done:
            return cast(Result, done.value)

    def overlay_record(
        self,
        message: MessageId,
        headers: MessageHeaders,
        place: Placement,
        mailbox: MailboxId,
        at: int,
    ) -> None:
        """Remember what will be known once this message is recorded at this place."""
        thread_key = ThreadKey(place.subaccount, place.thread)
        before = self._told.get(thread_key) or self._facts.get(thread_key)
        took_part = frozenset(place.participants)
        if isinstance(before, ThreadFact):
            took_part |= before.participants
        thread = ThreadFact(place.thread, place.contact, place.exclusive, took_part)
        self._told[thread_key] = thread
        if thread_key in self._facts:
            self._facts[thread_key] = thread
        sent = SentKey(place.subaccount, message)
        self._facts[sent] = int(place.direction == "outbound")
        if place.direction == "outbound":
            self._facts[OutboundKey(place.subaccount, message)] = OutboundFact(
                contact=place.contact,
                sender=headers.sender.address if headers.sender else "",
                user=place.user,
                recipients=frozenset(recipients(headers)),
                mailboxes=frozenset((mailbox,)),
            )
        if headers.rfc822_message_id is not None:
            id_key = MessageIdKey(place.subaccount, headers.rfc822_message_id)
            known = KnownMessage(
                message, place.thread, place.contact, place.exclusive, at
            )
            self._facts[id_key] = (known,)
        if place.link_gmail_thread:
            gmail_key = GmailThreadKey(
                place.subaccount, mailbox, headers.gmail_thread_id
            )
            others = cast(tuple[ThreadFact, ...], self._facts.get(gmail_key, ()))
            rest = tuple(other for other in others if other.id != thread.id)
            self._facts[gmail_key] = (*rest, thread)

    def overlay_contacts(self, place: Placement, at: int) -> None:
        """Remember the contacts and relations that will come with this place (B2)."""
        for new_contact in place.new_contacts:
            # Asking for a free id has remembered that there is no such contact.
            contact = ContactKey(place.subaccount, new_contact.id)
            self._facts[contact] = ContactFact(
                exists=True, emails=(new_contact.address,), taken=True
            )
        for address in {
            *place.establish,
            *(new_contact.address for new_contact in place.new_contacts),
        }:
            key = AddressKey(place.subaccount, address)
            known = self._facts.get(key)
            if not isinstance(known, AddressFact):
                continue
            new = tuple(
                ContactAtAddress(
                    new_contact.id, at, new_contact.assigned_to, (address,)
                )
                for new_contact in place.new_contacts
                if new_contact.address == address
            )
            related = {place.user} if place.user and address in place.establish else ()
            self._facts[key] = replace(
                known,
                contacts=(*known.contacts, *new),
                established=known.established.union(related),
            )

    def forget(self) -> None:
        """Drop the memory: somebody changed what was read."""
        self._facts.clear()
        self._told.clear()

    def learn(self, keys: Iterable[Key]) -> None:
        """Read the facts that are not known yet."""
        missing = [key for key in keys if key not in self._facts]
        queried = [key for key in missing if isinstance(key, GmailThreadKey)]
        drops = [key for key in missing if isinstance(key, BccOwnerKey)]
        by_path = [
            key
            for key in missing
            if not isinstance(key, GmailThreadKey | BccOwnerKey | QuotaKey)
        ]
        for key in missing:
            if isinstance(key, QuotaKey):
                self._facts[key] = self._contacts_left(key)
        if drops:
            owners = bcc.owners(
                self._documents, [bcc_token.token for bcc_token in drops]
            )
            self._facts |= {key: owners[key.token] for key in drops}
        for start in range(0, len(by_path), DOCUMENTS_PER_READ):
            some = by_path[start : start + DOCUMENTS_PER_READ]
            found = self._documents.get([path_of(key) for key in some])
            for key, snapshot in zip(some, found, strict=True):
                self._facts[key] = self._with_told(key, fact_from(key, snapshot))
        by_subaccount: dict[SubaccountId, list[GmailThreadKey]] = defaultdict(list)
        for key in queried:
            by_subaccount[key.subaccount].append(key)
        for subaccount, some_keys in by_subaccount.items():
            for start in range(0, len(some_keys), THREADS_PER_QUERY):
                self._learn_threads(
                    subaccount, some_keys[start : start + THREADS_PER_QUERY]
                )

    def _contacts_left(self, key: QuotaKey) -> int:
        return self._quota.left(key.subaccount, key.user) if self._quota else 0

    def _with_told(self, key: Key, fact: Fact) -> Fact:
        """Add what messages that are not written yet will change."""
        told = self._told.get(key) if isinstance(key, ThreadKey) else None
        if told is None or not isinstance(fact, ThreadFact):
            return told or fact
        return replace(fact, participants=fact.participants | told.participants)

    def _learn_threads(
        self, subaccount: SubaccountId, keys: Sequence[GmailThreadKey]
    ) -> None:
        named = {gmail_thread_key(key.mailbox, key.gmail_thread): key for key in keys}
        found: dict[GmailThreadKey, list[ThreadFact]] = {key: [] for key in keys}
        query = Query(
            paths.threads(subaccount),
            where=(("gmail_threads", "array_contains_any", sorted(named)),),
        )
        for snapshot in self._documents.query(query):
            fact = thread_from(snapshot)
            for name in snapshot.data["gmail_threads"]:
                if name in named:
                    found[named[name]].append(fact)
        for key, facts in found.items():
            self._facts[key] = tuple(facts)
