"""Where a benchmark happens: gateways with nothing in them yet, and a simulated Gmail.

On the in-memory stage only Gmail is reached through a socket: it shows our own work.
On the other one Google's emulators are, too, through Google's clients, as in the cloud.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import requests
from google.cloud import pubsub_v1

from gmail_simulator import client_file
from infra.local import emulators, in_process, wiring
from shared import bootstrap, config
from shared.gateways.memory import (
    MemoryBlobs,
    MemoryDocuments,
    MemorySecrets,
    MemoryTopics,
)
from tools.bench.post import Post, RemotePost

KINDS: tuple[emulators.Kind, ...] = ("firestore", "pubsub")
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Outside:
    """Implements `bootstrap.GatewaySet`: gateways that can be put behind a recorder."""

    settings: config.Settings
    clock: Any
    documents: Any
    blobs: Any
    secrets: Any
    topics: Any
    google: Any
    relay: Any = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One empty deployment with a Gmail of its own."""

    name: str
    outside: Outside
    post: Post
    browser: requests.Session
    gmail_url: str


class Environment(Protocol):
    """Makes stages of one kind."""

    name: str

    def stage(self) -> Stage:
        """A new one, with nothing of the last one on it."""


class InMemory:
    """Firestore, Pub/Sub, Secret Manager and blobs in this process, Gmail beside it."""

    name = "in memory"

    def __init__(self, post: RemotePost) -> None:
        """Use a Gmail that is served elsewhere."""
        self._post = post

    def stage(self) -> Stage:
        """A new one, with nothing of the last one on it."""
        gateways = bootstrap.Gateways(
            config.load(
                google_cloud_project="bench-memory",
                public_url=in_process.PUBLIC,
                backend="embedded",
                gmail_api_endpoint=self._post.url,
                development=True,
            )
        )
        gateways.documents = MemoryDocuments()
        gateways.blobs = MemoryBlobs()
        gateways.secrets = MemorySecrets()
        gateways.topics = MemoryTopics()
        _introduce(gateways, self._post)
        return on(gateways, self._post, self.name)


class OnEmulators:
    """Firestore, Pub/Sub, Secret Manager and Gmail as processes beside this one."""

    name = "emulators"

    def __init__(self, post: RemotePost, folder: str) -> None:
        """Use a Gmail that is served elsewhere; blobs are kept in the folder."""
        self._post = post
        self._folder = folder
        self._project: str | None = None

    def stage(self) -> Stage:
        """A new one: a project of its own on the same emulators."""
        if self._project is not None:  # it keeps all of them in its memory
            host = os.environ["FIRESTORE_EMULATOR_HOST"]
            emulators.empty_firestore(host, self._project)
        project = self._project = f"bench-{next(_NUMBERS)}"
        gateways = beside(self._post, project, self._folder, "google")
        publisher = pubsub_v1.PublisherClient()
        for topic in wiring.TOPICS:
            publisher.create_topic(name=gateways.settings.topic_path(topic), timeout=10)
        return on(gateways, self._post, self.name)


def beside(
    post: RemotePost,
    project: str,
    folder: str,
    backend: Literal["google", "embedded"],
) -> bootstrap.Gateways:
    """The deployed gateways, with Gmail and Secret Manager in another process."""
    gateways = bootstrap.Gateways(
        config.load(
            google_cloud_project=project,
            public_url=in_process.PUBLIC,
            backend=backend,
            gmail_api_endpoint=post.url,
            secret_manager_endpoint=post.secrets_host,
            blob_folder=f"{folder}/{project}",
            development=True,
        )
    )
    _introduce(gateways, post)
    return gateways


def _introduce(gateways: bootstrap.Gateways, post: RemotePost) -> None:
    """Make us known to a new Gmail, and it to us."""
    redirect = gateways.settings.redirect_uri
    post.reset(redirect)
    file = json.dumps(client_file(post.url, [redirect])).encode()
    gateways.secrets.write(bootstrap.OAUTH_CLIENT_SECRET, file)


def on(gateways: bootstrap.Gateways, post: RemotePost, name: str) -> Stage:
    """A stage of these gateways."""
    outside = Outside(
        settings=gateways.settings,
        clock=gateways.clock,
        documents=gateways.documents,
        blobs=gateways.blobs,
        secrets=gateways.secrets,
        topics=gateways.topics,
        google=gateways.google,
    )
    return Stage(name, outside, post, requests.Session(), post.url)


@contextmanager
def on_emulators(
    post: RemotePost, say: Callable[[str], None]
) -> Iterator[OnEmulators | None]:
    """Start the emulators; None, said loudly, without them."""
    absent = [reason for kind in KINDS if (reason := emulators.missing(kind))]
    if absent and not all(map(emulators.available, KINDS)):
        say(f"NOT MEASURED on emulators: {' '.join(absent)}")
        yield None
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    running = [emulators.start(kind) for kind in KINDS]
    hosts = {
        f"{emulator.kind.upper()}_EMULATOR_HOST": emulator.host for emulator in running
    }
    before = {name: os.environ.get(name) for name in hosts}
    os.environ.update(hosts)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield OnEmulators(post, folder)
    finally:
        for emulator in running:
            emulator.stop()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
