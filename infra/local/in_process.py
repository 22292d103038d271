"""The simulated Gmail behind the real clients, without a socket.

What tests and benchmarks on in-memory gateways are built on.
"""

from __future__ import annotations

import json
from typing import Any

import requests

from gmail_simulator import InProcessHttp, WsgiAdapter, client_file
from shared import config
from shared.gateways.google_oauth import GoogleOAuth
from shared.ports import Clock

BASE = "http://localhost:9"
"""Where the simulated Gmail seems to be."""
PUBLIC = "http://localhost:8"


def settings(project: str, *, public_url: str = PUBLIC, **more: Any) -> config.Settings:
    """The settings of a deployment in this process."""
    return config.Settings(
        google_cloud_project=project,
        public_url=public_url,
        backend="embedded",
        gmail_api_endpoint=BASE,
        development=True,
        **more,
    )


def google(app: Any, settings: config.Settings, clock: Clock) -> GoogleOAuth:
    """Google as this app simulates it, reached through Google's own clients."""
    file = client_file(BASE, [settings.redirect_uri])
    return GoogleOAuth(
        client=config.parse_client_file(json.dumps(file).encode()),
        redirect_uri=settings.redirect_uri,
        gmail_endpoint=BASE,
        session=browser(app),
        http_factory=lambda _repeatable: InProcessHttp(app),
        clock=clock,
    )


def browser(app: Any) -> requests.Session:
    """A browser, or any other caller, of this app alone."""
    session = requests.Session()
    session.trust_env = False  # no proxy leads into this process
    session.mount(BASE, WsgiAdapter(app))
    return session
