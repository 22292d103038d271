"""The real project: its secrets, topics, functions and logs.

With the operator's own credentials (`gcloud auth application-default login`), who needs
to read the two secrets, to make a subscription and to read logs.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import google.auth
import google.auth.transport.requests

from shared import bootstrap, config
from shared.core.ids import mailbox_id
from shared.core.parsing.address import normalise
from shared.gateways.access_tokens import AccessTokens
from shared.gateways.google_oauth import GoogleOAuth
from shared.gateways.secret_manager import SecretManagerSecrets
from shared.services.connecting.accounts import token_secret
from tools.live_check.mailbox import Mailbox, Unanswered

_TOPIC = "gmail-notifications"
_FUNCTION = "inbound"
_PROBE = "live-check@live-check.invalid"
_SECONDS = 30
_PAUSE_SECONDS = 5.0
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_INGRESS = {
    "INGRESS_TRAFFIC_ALL": "ALLOW_ALL",
    "INGRESS_TRAFFIC_INTERNAL_ONLY": "ALLOW_INTERNAL_ONLY",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "ALLOW_INTERNAL_AND_GCLB",
}


class Deployment:
    """Implements `questions.Project`."""

    def __init__(self, project: str, region: str) -> None:
        """Use the machine's credentials."""
        credentials, _ = google.auth.default(scopes=_SCOPES)
        self._http: Any = google.auth.transport.requests.AuthorizedSession(  # type: ignore[no-untyped-call]
            credentials
        )
        self._project = project
        self._region = region
        name = f"live-check-{secrets.token_hex(4)}"
        self._subscription = f"projects/{project}/subscriptions/{name}"

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox, by the consent that its owner gave to the deployment."""
        normalised = normalise(address)
        if normalised is None:
            raise Unanswered("the address is none")
        store = SecretManagerSecrets(self._project)
        client = config.parse_client_file(store.read(bootstrap.OAUTH_CLIENT_SECRET))
        refresh_token = store.read(token_secret(mailbox_id(normalised))).decode()
        oauth = GoogleOAuth(client, "https://live-check.invalid/oauth/callback")
        tokens: AccessTokens = oauth._access_tokens  # noqa: SLF001  (same product)
        return Mailbox(
            address, "https://gmail.googleapis.com", lambda: tokens.get(refresh_token)
        )

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the notifications too, on a subscription that goes away again."""
        self._call(
            "PUT",
            f"https://pubsub.googleapis.com/v1/{self._subscription}",
            {
                "topic": f"projects/{self._project}/topics/{_TOPIC}",
                "expirationPolicy": {"ttl": "86400s"},
            },
        )
        try:
            yield
        finally:
            self._call(
                "DELETE", f"https://pubsub.googleapis.com/v1/{self._subscription}"
            )

    def next_notification(self, address: str, after: int, seconds: float) -> int | None:
        """Wait for a notification of this mailbox newer than `after`."""
        url = f"https://pubsub.googleapis.com/v1/{self._subscription}"
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            got = self._call("POST", f"{url}:pull", {"maxMessages": 100})
            received = got.get("receivedMessages", ())
            if received:
                ids = [received_message["ackId"] for received_message in received]
                self._call("POST", f"{url}:acknowledge", {"ackIds": ids})
            for received_message in received:
                data = json.loads(base64.b64decode(received_message["message"]["data"]))
                newer = int(data["historyId"]) > after
                if newer and str(data["emailAddress"]).lower() == address.lower():
                    return int(data["historyId"])
        return None

    def push_ingress(self) -> str:
        """The ingress setting of the pushed function."""
        got = self._call(
            "GET",
            f"https://run.googleapis.com/v2/projects/{self._project}/locations/"
            f"{self._region}/services/{_FUNCTION}",
        )
        return _INGRESS.get(str(got.get("ingress")), str(got.get("ingress")))

    def probe_push(self, seconds: float) -> bool:
        """Publish a hint about a mailbox that nobody has, and look for its log line."""
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        hint = json.dumps({"emailAddress": _PROBE, "historyId": "1"}).encode()
        self._call(
            "POST",
            f"https://pubsub.googleapis.com/v1/projects/{self._project}/topics/"
            f"{_TOPIC}:publish",
            {"messages": [{"data": base64.b64encode(hint).decode()}]},
        )
        wanted = (
            f'resource.type="cloud_run_revision" AND '
            f'resource.labels.service_name="{_FUNCTION}" AND timestamp>="{began}" AND '
            f'jsonPayload.message="notification_ignored" AND '
            f'jsonPayload.mailbox="{mailbox_id(_PROBE)}"'
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self._call(
                "POST",
                "https://logging.googleapis.com/v2/entries:list",
                {
                    "resourceNames": [f"projects/{self._project}"],
                    "filter": wanted,
                    "pageSize": 1,
                },
            )
            if found.get("entries"):
                return True
            time.sleep(_PAUSE_SECONDS)
        return False

    def _call(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(method, url, json=body, timeout=_SECONDS)
        if not answer.ok:
            host = url.split("/")[2]
            raise Unanswered(f"{host} answered {answer.status_code}")
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found
