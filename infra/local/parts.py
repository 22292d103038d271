"""The parts that need Google's libraries.

Importing this takes the better part of a second, so `system` does it while the
emulators start.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import googleapiclient.discovery as _gmail_client

from gmail_simulator import client_file as simulators_client_file
from infra.local import secret_manager
from infra.local.embedded import EmbeddedPubSub
from infra.local.functions_server import HttpFunctions, PushFunctions
from infra.local.local_settings import LocalSettings
from infra.local.push import PushShim
from infra.local.scheduler import Scheduler
from infra.local.serving import Door
from infra.local.simulated_gmail import simulated_gmail
from infra.local.smtp_sink import SmtpSink
from infra.local.subscriptions import Subscriptions
from shared import bootstrap

del _gmail_client  # imported for its own sake: the functions need it at once


def serve_secrets(file: Path) -> secret_manager.Running:
    """Start the local Secret Manager and tell the functions where."""
    server = secret_manager.start(file)
    os.environ["SECRET_MANAGER_ENDPOINT"] = server.host
    return server


def wire_topics(settings: LocalSettings, shim: Door, embedded: Door | None) -> None:
    """Make topics and subscriptions that push to the shim.

    With a door for it, Pub/Sub is in this process, and events are pulled there.
    """
    if embedded is not None:
        pubsub = EmbeddedPubSub(settings.project, shim.url)
        bootstrap.gateways().topics = pubsub.topics
        embedded.serve(pubsub.events)
    else:
        Subscriptions(settings.project).make(shim.url)


def seed_secrets(settings: LocalSettings, gmail: Door | None) -> None:
    """Put the two local secrets in place, unless they are there."""
    gateways = bootstrap.gateways()
    client_file = settings.client_file
    if client_file is None and gmail is not None:
        described = simulators_client_file(gmail.url, [gateways.settings.redirect_uri])
        client_file = json.dumps(described).encode()
    wanted = {
        bootstrap.API_SIGNING_KEY: settings.signing_key,
        bootstrap.OAUTH_CLIENT_SECRET: client_file,
    }
    for name, value in wanted.items():
        if value is not None and gateways.secrets.read_all(name)[:1] != [value]:
            gateways.secrets.write(name, value)


def serve_gmail(door: Door) -> None:
    """Start the Gmail simulator."""
    gateways = bootstrap.gateways()
    door.serve(simulated_gmail(gateways.topics, gateways.settings.redirect_uri))


def serve_smtp(folder: Path) -> SmtpSink:
    """Start an SMTP server that keeps what it is given: a default provider to try."""
    sink = SmtpSink(folder)
    sink.start()
    return sink


def serve_functions(public: Door, functions: Door, shim: Door) -> None:
    """Load the functions and open their doors, the public one last."""
    public_app, push_app = HttpFunctions(), PushFunctions()
    settings = bootstrap.gateways().settings
    functions.serve(push_app)
    shim.serve(
        PushShim(
            functions.url,
            audience=settings.push_audience or "",
            account=settings.push_service_account or "",
        )
    )
    public.serve(public_app)


def schedule() -> Scheduler:
    """Start the clock that publishes the daily renewal and the sweeps."""
    return Scheduler(bootstrap.gateways().topics)
