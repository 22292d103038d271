"""What Firestore's faults become, and what is repeated after one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.api_core import exceptions as google
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud.firestore import Client

from infra.local.emulators import free_port
from shared.errors import (
    AlreadyExists,
    Conflict,
    DocumentFull,
    DocumentMissing,
    Misconfigured,
    Permanent,
    RateLimited,
    SyncError,
    Transient,
)
from shared.gateways import firestore
from shared.gateways.firestore import FirestoreDocuments
from shared.gateways.firestore_writes import WritesBatch
from shared.ports import (
    Create,
    Delete,
    Increment,
    Maximum,
    Merge,
    Put,
    Query,
    Union,
    Update,
    Write,
)

VERSION = google  # any object: only whether there is one matters here


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> FirestoreDocuments:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(WritesBatch, "add", lambda *_: None)
    return FirestoreDocuments("p")


def failing(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise fault

    monkeypatch.setattr(WritesBatch, "commit", fail)
    monkeypatch.setattr(Client, "get_all", fail)


PLAIN = Put("c/d", {"x": 1})
UPDATE = Update("c/d", {"x": 1})
SWAP = Put("c/d", {"x": 1}, VERSION)


@pytest.mark.parametrize(
    ("fault", "write", "error"),
    [
        (google.AlreadyExists("canary"), Create("c/d", {}), AlreadyExists),
        (google.Aborted("canary"), PLAIN, Conflict),
        (google.Aborted("canary"), SWAP, Conflict),
        (google.FailedPrecondition("canary"), SWAP, Conflict),
        (google.FailedPrecondition("canary"), Delete("c/d", VERSION), Conflict),
        (google.FailedPrecondition("canary"), PLAIN, Misconfigured),
        (google.NotFound("canary"), UPDATE, DocumentMissing),
        (google.NotFound("canary"), PLAIN, Misconfigured),
        (google.InvalidArgument("canary"), PLAIN, Permanent),
        (google.InvalidArgument("canary is longer than 1500 bytes"), PLAIN, Permanent),
        (google.OutOfRange("canary"), PLAIN, Permanent),
        (google.PermissionDenied("canary"), PLAIN, Misconfigured),
        (google.Unauthenticated("canary"), PLAIN, Misconfigured),
        (google.ResourceExhausted("canary"), PLAIN, RateLimited),
        (google.DeadlineExceeded("canary"), PLAIN, Transient),
        (google.ServiceUnavailable("canary"), PLAIN, Transient),
        (google.InternalServerError("canary"), PLAIN, Transient),
        (google.Unknown("canary"), PLAIN, Transient),
        (google.Cancelled("canary"), PLAIN, Transient),
        (
            google.RetryError("canary", cause=google.Aborted("canary")),
            PLAIN,
            Conflict,
        ),
        (
            google.RetryError("canary", cause=google.ServiceUnavailable("canary")),
            PLAIN,
            Transient,
        ),
        (google.RetryError("canary", cause=None), PLAIN, Transient),
        (TransportError("canary"), PLAIN, Transient),
        (DefaultCredentialsError("canary"), PLAIN, Misconfigured),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_fault_of_a_commit_becomes(
    documents: FirestoreDocuments,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    write: Write,
    error: type[SyncError],
) -> None:
    failing(monkeypatch, fault)
    with pytest.raises(SyncError) as raised:
        documents.commit([write])
    assert type(raised.value) is error
    assert "canary" not in raised.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "A document cannot be written because it exceeds the maximum size allowed.",
        (
            "Document 'c/canary' cannot be written because its size (1,048,667 bytes) "
            "exceeds the maximum allowed size of 1,048,576 bytes."
        ),
        'The value of property "canary" is longer than 1048487 bytes.',
        "entity is too big",
        "entity is too large",
        "maximum entity size is 1048576 bytes",
        "too many index entries for entity",
        "Too many indexed properties for entity: canary",
    ],
)
def test_a_document_is_full_only_when_firestore_says_so(
    documents: FirestoreDocuments, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Anything else that a commit's argument may be wrong in is a bug of ours."""
    failing(monkeypatch, google.InvalidArgument(text))
    with pytest.raises(DocumentFull) as raised:
        documents.commit([PLAIN])
    assert "canary" not in raised.value.detail


def retries(write: Write, fault: Exception) -> bool:
    retry: Retry = firestore._commit_retry([write])
    return bool(retry._predicate(fault))


@pytest.mark.parametrize(
    ("write", "again"),
    [
        (Put("c/d", {"x": 1}), True),
        (Merge("c/d", {"x": {"y": 1}}), True),
        (Update("c/d", {"x": 1}), True),
        (Delete("c/d"), True),
        (Merge("c/d", {"m": Maximum(1), "u": Union((1,))}), True),
        (Create("c/d", {}), False),
        (Merge("c/d", {"n": Increment(1)}), False),
        (Merge("c/d", {"a": {"n": Increment(1)}}), False),
        (Put("c/d", {}, VERSION), False),
        (Update("c/d", {}, VERSION), False),
        (Delete("c/d", VERSION), False),
    ],
    ids=str,
)
def test_a_commit_that_may_have_been_applied_is_repeated_only_if_that_is_harmless(
    write: Write, again: bool
) -> None:
    assert retries(write, google.ServiceUnavailable("")) is again
    assert retries(write, google.Aborted("")) is True
    assert retries(write, google.DeadlineExceeded("")) is False
    assert retries(write, google.ResourceExhausted("")) is False


def test_one_write_that_may_not_be_repeated_is_enough() -> None:
    retry: Retry = firestore._commit_retry([PLAIN, Create("c/e", {})])
    assert not retry._predicate(google.ServiceUnavailable(""))


def test_a_dead_service_is_transient_and_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(firestore, "_TOTAL_SECONDS", 0.5)
    documents = FirestoreDocuments("p")
    began = time.monotonic()
    for call in (
        lambda: documents.get(["c/d"]),
        lambda: documents.query(Query("c")),
        lambda: documents.commit([Put("c/d", {})]),
        lambda: documents.commit([Create("c/d", {})]),
    ):
        with pytest.raises(Transient):
            call()
    assert time.monotonic() - began < 15


def test_a_version_of_another_store_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    with pytest.raises(Permanent):
        FirestoreDocuments("p").commit([Put("c/d", {}, version=7)])


def test_missing_credentials_are_the_deployments_fault() -> None:
    def unable() -> Client:
        raise DefaultCredentialsError("canary")

    with pytest.raises(Misconfigured):
        FirestoreDocuments("p", client_factory=unable).get(["c/d"])
