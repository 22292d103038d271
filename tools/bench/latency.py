"""From the notification to the record that can be read.

On the emulators the whole way of a push: Pub/Sub's emulator pushes to the shim, which
adds the token, and that to the function, as in the cloud. The floor and the tutorial
way hear the same push at the same door. In memory nothing lies before the contender.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from functions_framework import create_app
from google.cloud import pubsub_v1
from google.pubsub_v1.types import PushConfig
from werkzeug.wrappers import Request, Response

from infra.local.push import PushShim
from infra.local.serving import Door
from infra.local.state import ROOT
from infra.local.wiring import CERTS_PATH
from shared import bootstrap
from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Create, Write
from shared.repositories import paths
from tools.bench.cast import ME, SUBACCOUNT, Writer
from tools.bench.contenders import Contender, Tapes, contenders
from tools.bench.speed import Load, record
from tools.bench.stage import InMemory, OnEmulators, Stage
from tools.bench.tutorial import MESSAGES

_TOPIC = "gmail-notifications"
_WARM_UP = 2
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.001
_RECORDS = (f"{paths.messages(SUBACCOUNT)}/", f"{MESSAGES}/")
_ACCOUNT = "push@bench.iam.gserviceaccount.com"
_AUDIENCE = "http://localhost/push"


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, of all mails of one contender."""

    stage: str
    contender: str
    mails: int
    median: float
    p95: float
    longest: float


def in_memory(
    environment: InMemory, mails: int, rounds: int, say: Callable[[str], None]
) -> list[Latency]:
    """So many mails for each contender and round, one after the other, in turns."""
    load = Load("latency", _WARM_UP + mails, 1)
    tapes = record(environment.stage(), load)
    found: dict[str, list[float]] = {name: [] for name in contenders(tapes)}
    for _ in range(rounds):
        for name, make in contenders(tapes).items():
            plain = environment.stage()
            noting = _Noting(plain.outside.documents)
            stage = replace(plain, outside=replace(plain.outside, documents=noting))
            contender, writer = make(stage), Writer()
            for number in range(_WARM_UP + mails):
                stage.post.hints()
                stage.post.arrive(writer.mails(1), ME)
                hint = stage.post.hints()[-1]
                began = time.perf_counter()
                contender.handle(number, hint)
                if number >= _WARM_UP:
                    found[name].append((noting.recorded_at - began) * 1000)
    return _said(environment.name, found, say)


class _Noting:
    """Documents that note when a mail was recorded."""

    recorded_at = 0.0

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, writes: Sequence[Write]) -> Any:
        told = self._inner.commit(writes)
        if any(write.path.startswith(_RECORDS) for write in writes):
            self.recorded_at = time.perf_counter()
        return told


def on_emulators(
    environment: OnEmulators, mails: int, rounds: int, say: Callable[[str], None]
) -> list[Latency]:
    """So many mails for each contender and round, one after the other, in turns."""
    # The warm-up mails of the load are the first ones here, too.
    tapes = record(environment.stage(), Load("latency", _WARM_UP + mails, 1))
    watched = {name: _records(name, tapes) for name in contenders(tapes)}
    found: dict[str, list[float]] = {name: [] for name in watched}
    with _doors() as (shim, functions):
        for _ in range(rounds):
            for name, make in contenders(tapes).items():
                stage = environment.stage()
                functions.app = _function(name, make(stage), stage, shim)
                with _subscription(stage, shim.url) as publish:
                    wanted = watched[name][: _WARM_UP + mails]
                    each = _each(stage, publish, functions.idle, wanted)
                    found[name] += list(each)[_WARM_UP:]
    return _said(environment.name, found, say)


def _each(
    stage: Stage,
    publish: Callable[[bytes], None],
    idle: Callable[[], None],
    wanted: list[str],
) -> Iterator[float]:
    """Let the mails come, one by one; milliseconds until each is there."""
    writer = Writer()
    documents: FirestoreDocuments = stage.outside.documents
    stage.post.hints()
    for path in wanted:
        stage.post.arrive(writer.mails(1), ME)
        hint = stage.post.hints()[-1]
        began = time.perf_counter()
        publish(hint)
        while not documents.get([path])[0].exists:
            if time.perf_counter() - began > _PATIENCE_SECONDS:
                raise RuntimeError(f"{path} was never recorded")
            time.sleep(_LOOK_SECONDS)
        took = time.perf_counter() - began
        # The function has a lease to give back still; the next mail waits for that.
        idle()
        yield took * 1000


def _records(contender: str, tapes: Tapes) -> list[str]:
    """The document of each mail, which the tape knows beforehand."""
    if contender == "tutorial":
        ids = [call.arguments[0][0] for call in _calls(tapes, "gmail", "contents")]
        return [f"{MESSAGES}/{message_id}" for message_id in ids]
    prefix = paths.messages(SUBACCOUNT)
    return [
        write.path
        for call in _calls(tapes, "documents", "commit")
        for write in call.arguments[0]
        if isinstance(write, Create) and write.path.startswith(prefix)
    ]


def _calls(tapes: Tapes, port: str, method: str) -> Iterator[Any]:
    for tape in tapes:
        for call in tape:
            if (call.port, call.method) == (port, method):
                yield call


def _said(
    stage: str, found: dict[str, list[float]], say: Callable[[str], None]
) -> list[Latency]:
    summaries = [_summary(stage, name, each) for name, each in found.items()]
    for summary in summaries:
        say(f"{stage}, {summary.contender}: median {summary.median:.1f} ms")
    return summaries


def _summary(stage: str, name: str, milliseconds: list[float]) -> Latency:
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    middle = statistics.median(ordered)
    return Latency(stage, name, len(ordered), middle, p95, ordered[-1])


# --- the way of a push -------------------------------------------------------------


class _Functions:
    """A WSGI app that can be exchanged; `idle` waits until it has answered."""

    app: Any = None

    def __init__(self) -> None:
        self._busy = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._busy:
            return self.app({**environ, "PATH_INFO": "/"}, start_response)

    def idle(self) -> None:
        with self._busy:
            pass


@contextmanager
def _doors() -> Iterator[tuple[Door, _Functions]]:
    functions, app, shim = Door(), _Functions(), Door()
    functions.serve(app)
    shim.serve(PushShim(functions.url, audience=_AUDIENCE, account=_ACCOUNT))
    try:
        yield shim, app
    finally:
        shim.close()
        functions.close()


def _function(name: str, contender: Contender, stage: Stage, shim: Door) -> Any:
    """The deployed function for the product, a bare handler for the others."""
    if name != "product":
        return _Bare(contender)
    settings = stage.outside.settings
    os.environ.update(
        {
            "GOOGLE_CLOUD_PROJECT": settings.google_cloud_project,
            "PUBLIC_URL": settings.public_url,
            "GMAIL_API_ENDPOINT": settings.gmail_api_endpoint,
            "SECRET_MANAGER_ENDPOINT": settings.secret_manager_endpoint or "",
            "BLOB_FOLDER": str(settings.blob_folder),
            "PUSH_AUDIENCE": _AUDIENCE,
            "PUSH_SERVICE_ACCOUNT": _ACCOUNT,
            "PUSH_CERTS_URL": f"{shim.url}{CERTS_PATH}",
            "DEVELOPMENT": "true",
        }
    )
    bootstrap.gateways.cache_clear()
    bootstrap.services.cache_clear()
    source = str(ROOT / "main.py")
    return create_app("inbound", source, "http")  # type: ignore[no-untyped-call]


class _Bare:
    """A push's door with nothing behind it but the contender."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._number = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        push = json.loads(Request(environ).get_data())
        hint = base64.b64decode(push["message"]["data"])
        self._contender.handle(self._number, hint)
        self._number += 1
        return Response(status=204)(environ, start_response)


@contextmanager
def _subscription(stage: Stage, shim_url: str) -> Iterator[Callable[[bytes], None]]:
    """A push subscription, and how to publish to it."""
    publisher = pubsub_v1.PublisherClient()
    subscriber = pubsub_v1.SubscriberClient()
    topic = stage.outside.settings.topic_path(_TOPIC)
    project = stage.outside.settings.google_cloud_project
    name = subscriber.subscription_path(project, "bench")
    subscriber.create_subscription(
        name=name,
        topic=topic,
        push_config=PushConfig(push_endpoint=f"{shim_url}/inbound"),
        ack_deadline_seconds=60,
        timeout=10,
    )

    def publish(data: bytes) -> None:
        publisher.publish(topic, data).result(10)

    try:
        yield publish
    finally:
        subscriber.delete_subscription(subscription=name, timeout=10)
        subscriber.close()
        publisher.stop()
