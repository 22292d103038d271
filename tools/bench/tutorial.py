"""The way that tutorials show: a handler of Gmail's push, as most begin with.

On each push: the mailbox's document with its refresh token and last history id, a new
access token, Gmail's client built, `history.list`, then each new message in full, one
by one; for each address of its head a query for a contact; for each message that has
one its document, the contact's figures, and an event for the CRM. No batches, no lease,
no deduplication, no rules beyond "a contact takes part". Written as one would write it
by hand; it records the same mails as the product, and tells the CRM of each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from email.utils import getaddresses
from typing import Any, Protocol

from google.cloud import pubsub_v1
from google.cloud.firestore import FieldFilter, Increment
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from shared import ports
from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Create, Event, Put, Query, Update
from tools.bench.stage import Stage

MAILBOXES, CONTACTS = "tutorial_mailboxes", "tutorial_contacts"
MESSAGES = "tutorial_messages"
_WHO = ("from", "to", "cc")
_TOPIC = "crm-events"


class Store(Protocol):
    """What it does with a database, and with a topic."""

    def mailbox(self, address: str) -> Mapping[str, Any]:
        """Credentials and last history id."""

    def put_mailbox(self, address: str, data: Mapping[str, Any]) -> None:
        """Keep them."""

    def put_contact(self, address: str) -> None:
        """Save a contact."""

    def contact(self, address: str) -> str | None:
        """The contact with this address."""

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        """Record a message, and count it for its contact."""

    def tell(self, name: str) -> None:
        """Publish that a message was recorded."""

    def remember(self, address: str, history_id: str) -> None:
        """Keep the last history id."""


class Tutorial:
    """The handler, and the few lines around it."""

    def __init__(
        self, stage: Stage, client: Mapping[str, str], address: str, history: str
    ) -> None:
        """Save a mailbox; `client` has what a refresh needs, its token included."""
        self.store: Store = (
            _Firestore(stage)
            if isinstance(stage.outside.documents, FirestoreDocuments)
            else _InMemory(stage)
        )
        self.store.put_mailbox(address, {"client": client, "history_id": history})
        self._gmail_url = stage.gmail_url

    def on_push(self, data: bytes) -> None:
        """What a tutorial's function does."""
        hint = json.loads(data)
        address, newest = hint["emailAddress"], str(hint["historyId"])
        mailbox = self.store.mailbox(address)
        with self._service(mailbox["client"]) as service:
            get = service.users().messages().get
            for name in _added(service, mailbox["history_id"]):
                self._record(get(userId="me", id=name, format="full").execute())
        self.store.remember(address, newest)

    def _service(self, client: Mapping[str, str]) -> Any:
        credentials = Credentials(None, **client)  # type: ignore[no-untyped-call]
        where = {"api_endpoint": self._gmail_url}
        return build("gmail", "v1", credentials=credentials, client_options=where)

    def _record(self, message: Mapping[str, Any]) -> None:
        payload = message["payload"]
        head = {
            header["name"].lower(): header["value"] for header in payload["headers"]
        }
        who = getaddresses([head[name] for name in _WHO if name in head])
        found = [self.store.contact(address.lower()) for _, address in who]
        contact = next((item for item in found if item is not None), None)
        if contact is None:
            return
        self.store.add(
            message["id"],
            {
                "contact": contact,
                "thread": message["threadId"],
                "from": head.get("from", ""),
                "to": head.get("to", ""),
                "subject": head.get("subject", ""),
                "date": message["internalDate"],
                "text": _body(payload, "text/plain"),
                "html": _body(payload, "text/html"),
            },
        )
        self.store.tell(message["id"])


def _added(service: Any, start: str) -> list[str]:
    """Ids of new messages since then."""
    names: list[str] = []
    history = service.users().history()
    request = history.list(
        userId="me", startHistoryId=start, historyTypes=["messageAdded"]
    )
    while request is not None:
        page = request.execute()
        for record in page.get("history", ()):
            names += [item["message"]["id"] for item in record.get("messagesAdded", ())]
        request = history.list_next(request, page)
    return names


def _body(part: Mapping[str, Any], kind: str) -> str:
    """The first body of this type."""
    if part["mimeType"] == kind and part["body"].get("data"):
        return base64.urlsafe_b64decode(part["body"]["data"]).decode()
    for child in part.get("parts", ()):
        if found := _body(child, kind):
            return found
    return ""


class _Firestore:
    """As tutorials use Google's client."""

    def __init__(self, stage: Stage) -> None:
        documents = stage.outside.documents
        self._client: Any = documents._connected()  # noqa: SLF001  (Google's own)
        self._publisher = pubsub_v1.PublisherClient()
        self._topic = stage.outside.settings.topic_path(_TOPIC)

    def mailbox(self, address: str) -> Mapping[str, Any]:
        found = self._client.collection(MAILBOXES).document(address).get()
        return dict(found.to_dict())

    def put_mailbox(self, address: str, data: Mapping[str, Any]) -> None:
        self._client.collection(MAILBOXES).document(address).set(data)

    def put_contact(self, address: str) -> None:
        self._client.collection(CONTACTS).add({"email": address})

    def contact(self, address: str) -> str | None:
        contacts = self._client.collection(CONTACTS)
        asked = contacts.where(filter=FieldFilter("email", "==", address)).limit(1)
        return next((str(item.id) for item in asked.stream()), None)

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        self._client.collection(MESSAGES).document(name).set(message)
        contact = self._client.collection(CONTACTS).document(message["contact"])
        contact.update({"messages": Increment(1), "last": message["date"]})

    def tell(self, name: str) -> None:
        self._publisher.publish(self._topic, name.encode()).result()

    def remember(self, address: str, history_id: str) -> None:
        mailbox = self._client.collection(MAILBOXES).document(address)
        mailbox.update({"history_id": history_id})


class _InMemory:
    """The same on the in-memory store."""

    def __init__(self, stage: Stage) -> None:
        self._documents = stage.outside.documents
        self._topics = stage.outside.topics

    def mailbox(self, address: str) -> Mapping[str, Any]:
        found = self._documents.get([f"{MAILBOXES}/{address}"])
        return dict(found[0].data)

    def put_mailbox(self, address: str, data: Mapping[str, Any]) -> None:
        self._documents.commit([Put(f"{MAILBOXES}/{address}", data)])

    def put_contact(self, address: str) -> None:
        path = f"{CONTACTS}/{address}"
        self._documents.commit([Create(path, {"email": address})])

    def contact(self, address: str) -> str | None:
        query = Query(CONTACTS, where=(("email", "==", address),), limit=1)
        found = self._documents.query(query)
        return found[0].id if found else None

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        self._documents.commit([Put(f"{MESSAGES}/{name}", message)])
        figures = {"messages": ports.Increment(1), "last": message["date"]}
        self._documents.commit([Update(f"{CONTACTS}/{message['contact']}", figures)])

    def tell(self, name: str) -> None:
        self._topics.publish(_TOPIC, [Event(name.encode())])

    def remember(self, address: str, history_id: str) -> None:
        path = f"{MAILBOXES}/{address}"
        self._documents.commit([Update(path, {"history_id": history_id})])
