"""The system as the cloud has it: what can die is apart from what cannot.

Emulators, Gmail, the Secret Manager and what pushes (Pub/Sub's front end, which adds
the tokens) live on here; the functions are processes that a test kills and starts again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import requests
from werkzeug.wrappers import Request, Response

from gmail_simulator import Client, GmailWorld, Settings, client_file
from gmail_simulator.app import create_app
from gmail_simulator.consent import consent
from gmail_simulator.publishing import publisher
from gmail_sync.tokens import mint
from infra.local import secret_manager
from infra.local.emulators import free_port
from infra.local.local_settings import DEVELOPMENT_SIGNING_KEY
from infra.local.push import PushShim
from infra.local.serving import Door
from infra.local.smtp_sink import SmtpSink
from infra.local.state import ROOT
from infra.local.subscriptions import Subscriptions
from infra.local.wiring import CERTS_PATH, LOCAL_EVENTS_SUBSCRIPTION
from shared.bootstrap import API_SIGNING_KEY, OAUTH_CLIENT_SECRET
from shared.gateways.secret_manager import SecretManagerSecrets
from tests.support.bcc import FORMAT
from tests.support.waiting import wait_for

ACCOUNT = "push@local-project.iam.gserviceaccount.com"
SECONDS = 10.0
AGAIN_SECONDS = 1.0
PATIENCE = 60.0
_NO_ANSWER = 500


class Redelivering(PushShim):
    """What pushes, and pushes again until it is acknowledged, as Pub/Sub does.

    Left alone the emulator would: but when several deliveries fail at the same time it
    keeps some back for minutes, which Pub/Sub does not.
    """

    def __init__(self, functions_url: str, **known: str) -> None:
        """Push to these functions."""
        super().__init__(functions_url, **known)
        self._ended = threading.Event()
        self.under_way: set[object] = set()

    def end(self) -> None:
        """Push nothing more."""
        self._ended.set()

    def _forward(self, request: Request) -> Response:
        answer = self._once(request)
        while answer.status_code >= _NO_ANSWER and not self._ended.wait(AGAIN_SECONDS):
            answer = self._once(request)
        return answer

    def _once(self, request: Request) -> Response:
        self.under_way.add(request)
        try:
            return super()._forward(request)
        finally:
            self.under_way.discard(request)


class Provider(SmtpSink):
    """An SMTP server that can take a mail and keep the sender waiting for its answer."""

    def __init__(self) -> None:
        """Answer everybody."""
        super().__init__()
        self._hold = threading.Event()
        self._go_on = threading.Event()
        self.held = 0

    def hold_one(self) -> None:
        """Do not answer the next mail before `go_on`."""
        self._go_on.clear()
        self._hold.set()

    def go_on(self) -> None:
        """Answer whoever still waits."""
        self._hold.clear()
        self._go_on.set()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        answer = await super().handle_DATA(_server, _session, envelope)
        if self._hold.is_set():
            self._hold.clear()
            self.held += 1
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._go_on.wait, PATIENCE)
        return answer


class Site:
    """One deployment. A `with` block ends it."""

    def __init__(self, folder: Path, project: str, *, pubsub: str, seed: int) -> None:
        """Start everything; PUBSUB_EMULATOR_HOST and the like are set."""
        self._closing = ExitStack()
        self._folder = folder
        self._pubsub = f"http://{pubsub}/v1/projects/{project}"
        self._ports = {"http": free_port(), "pushed": free_port()}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.cut_off = 0
        self.url = f"http://localhost:{self._ports['http']}"
        redirect_uri = f"{self.url}/oauth/callback"
        # A second's limit of notifications is Gmail's; a sweep would find the rest.
        free = Settings(notification_rate_limited=False)
        self.gmail = GmailWorld(
            lambda: datetime.now(UTC), seed, publisher(pubsub), free
        )
        self.relay = self._closing.enter_context(Provider())
        gmail, shim = self._door(), self._door()
        file = client_file(gmail.url, [redirect_uri])
        web = file["web"]
        self.gmail.oauth.register(
            Client(web["client_id"], web["client_secret"], (redirect_uri,))
        )
        gmail.serve(create_app(self.gmail))
        secrets = secret_manager.start(folder / "secrets.json")
        self._closing.callback(secrets.stop)
        held = SecretManagerSecrets(project, endpoint=secrets.host)
        held.write(API_SIGNING_KEY, DEVELOPMENT_SIGNING_KEY.encode())
        held.write(OAUTH_CLIENT_SECRET, json.dumps(file).encode())
        audience = f"{self.url}/push"
        pushed = f"http://localhost:{self._ports['pushed']}"
        self.pushing = Redelivering(pushed, audience=audience, account=ACCOUNT)
        self._closing.callback(self.pushing.end)
        shim.serve(self.pushing)
        subscriptions = Subscriptions(project)
        subscriptions.make(shim.url)
        subscriptions.close()
        self._environment = os.environ | {
            "GOOGLE_CLOUD_PROJECT": project,
            "PUBLIC_URL": self.url,
            "BACKEND": "google",
            "BLOB_FOLDER": str(folder),
            "BCC_ADDRESS_FORMAT": FORMAT,
            "PUSH_AUDIENCE": audience,
            "PUSH_SERVICE_ACCOUNT": ACCOUNT,
            "PUSH_CERTS_URL": f"{shim.url}{CERTS_PATH}",
            "DEVELOPMENT": "true",
            "GMAIL_API_ENDPOINT": gmail.url,
            "SECRET_MANAGER_ENDPOINT": secrets.host,
        }
        self.start(*self._ports)

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        for kind in self._ports:
            self._end(kind)
        self._closing.close()

    # --- what can die --------------------------------------------------------------

    def kill(self, *kinds: str) -> None:
        """SIGKILL these processes, and start them again on the same state."""
        if "pushed" in kinds:
            self.cut_off += len(self.pushing.under_way)
        for kind in kinds:
            self._end(kind)
        self.start(*kinds)

    def start(self, *kinds: str) -> None:
        """Start these processes, and wait until they answer."""
        for kind in kinds:
            command = (sys.executable, "-m", "tests.e2e.functions_process", kind)
            with self._log(kind).open("wb") as log:
                self._processes[kind] = subprocess.Popen(
                    [*command, str(self._ports[kind])],
                    cwd=ROOT,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        for kind in kinds:
            log = self._log(kind)
            wait_for(lambda log=log: log.read_bytes().startswith(b"ready"), PATIENCE)

    def _end(self, kind: str) -> None:
        with self._processes[kind] as process:
            process.kill()

    def _log(self, kind: str) -> Path:
        return self._folder / f"{kind}.log"

    def _door(self) -> Door:
        door = Door()
        self._closing.callback(door.close)
        return door

    # --- who calls: until there is an answer, with the same key ------------------------

    def call(self, method: str, path: str, key: str = "", **more: Any) -> Any:
        """Call the API as the CRM does."""
        token = mint(
            DEVELOPMENT_SIGNING_KEY, sub="crm", subaccounts=["s"], deployment=True
        )
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}

        def ask() -> list[requests.Response]:
            try:
                answer = requests.request(
                    method, self.url + path, headers=headers, timeout=SECONDS, **more
                )
            except requests.RequestException:
                return []
            return [answer] if answer.status_code < _NO_ANSWER else []

        (answer,) = wait_for(ask, PATIENCE, every=0.2)
        answer.raise_for_status()
        return answer.json()

    @property
    def work_done(self) -> int:
        """Calls of Gmail, and mails that the provider took."""
        return len(self.gmail.calls) + len(self.relay.taken)

    def connect(self, path: str, address: str) -> None:
        """Somebody goes through Google's consent; `path` is the connection's."""
        self.gmail.add_account(address)
        url = self.call("POST", path, json={})["authorization_url"]
        with requests.Session() as browser:
            browser.get(consent(browser, url, address), timeout=SECONDS)
        assert self.call("GET", path)["status"] == "active"

    # --- Pub/Sub ---------------------------------------------------------------------

    def sweep(self) -> None:
        """The clock says that it is time, for every mailbox."""
        job = base64.b64encode(b'{"job": "sweep", "silent_for": 0}').decode()
        self._ask("topics/scheduled-jobs:publish", {"messages": [{"data": job}]})

    def events(self) -> Iterator[dict[str, Any]]:
        """CloudEvents that wait for the CRM."""
        name = f"subscriptions/{LOCAL_EVENTS_SUBSCRIPTION}"
        wanted = {"maxMessages": 1000, "returnImmediately": True}
        while some := self._ask(f"{name}:pull", wanted).get("receivedMessages"):
            ids = [item["ackId"] for item in some]
            self._ask(f"{name}:acknowledge", {"ackIds": ids})
            for item in some:
                yield json.loads(base64.b64decode(item["message"]["data"]))

    def _ask(self, path: str, body: Any) -> Any:
        answer = requests.post(f"{self._pubsub}/{path}", json=body, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()


def mail(sender: str, to: str, subject: str) -> bytes:
    """A plain mail with a Message-ID of its own."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Message-ID"] = f"<{subject.replace(' ', '-')}@test.example>"
    message.set_content(f"About {subject}")
    return message.as_bytes()
