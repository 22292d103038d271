"""The parts of the local system, started in their order and wired to each other.

Google's libraries are imported while the emulators start, so neither waits alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from infra.local import emulators, local_settings
from infra.local.keeper import Keeper
from infra.local.local_settings import LOCAL_BCC_FORMAT, LocalSettings
from infra.local.serving import Door
from infra.local.single import Single
from infra.local.state import ROOT, addresses_file, blobs_folder, secrets_file
from infra.local.wiring import CERTS_PATH
from shared.errors import Misconfigured

_KINDS: tuple[emulators.Kind, ...] = ("firestore", "pubsub")
_HOST_VARIABLES: dict[emulators.Kind, str] = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
}


class System:
    """Everything that `make up` runs."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        on_problem: Callable[[str], None],
    ) -> None:
        """Start nothing yet; `on_problem` hears when a part ends by itself."""
        self._folder = folder
        self._say = say
        self._on_problem = on_problem
        self._closing = contextlib.ExitStack()

    def start(self) -> None:
        """Start everything and say `ready`; raises Misconfigured or RuntimeError."""
        # gRPC reports every connection that we close as an event.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        environment = dict(os.environ)
        # A variable set to nothing counts as not set, for the functions too.
        for name in [name for name, value in environment.items() if not value.strip()]:
            del os.environ[name]
        settings = local_settings.read(environment, ROOT)
        self._single = Single(self._folder)
        public, functions, shim = self._door(settings.port), self._door(), self._door()
        gmail = self._door() if settings.gmail_endpoint is None else None
        embedded = _is_embedded(settings)
        keeper = None if embedded else self._keeper(settings)
        self._export(settings, embedded=embedded, shim=shim, gmail=gmail)
        if keeper is not None:
            self._say("Starting Google's emulators")
        from infra.local import parts

        if keeper is not None:
            for kind, host in keeper.hosts().items():
                os.environ[_HOST_VARIABLES[kind]] = host
        if "SECRET_MANAGER_ENDPOINT" not in settings.given:
            server = parts.serve_secrets(secrets_file(self._folder))
            self._closing.callback(server.stop)
        topics = self._door() if embedded else None
        parts.wire_topics(settings, shim, topics)
        parts.seed_secrets(settings, gmail)
        if gmail is not None:
            self._say("Starting the Gmail simulator")
            parts.serve_gmail(gmail)
        self._say("Loading the functions")
        parts.serve_functions(public, functions, shim)
        self._closing.callback(parts.schedule().stop)
        sink = parts.serve_smtp(self._folder / "smtp-sink")
        self._closing.callback(sink.stop)
        pubsub = (
            topics.url if topics else f"http://{os.environ[_HOST_VARIABLES['pubsub']]}"
        )
        self._write_addresses(
            settings, gmail, smtp=sink.port, push=shim.url, pubsub=pubsub
        )
        self._tell(settings, gmail, sink.port)

    def stop(self) -> None:
        """End all parts, the last started first."""
        self._closing.close()

    # --- parts -------------------------------------------------------------------

    def _door(self, port: int = 0) -> Door:
        door = Door(port)
        self._closing.callback(door.close)
        return door

    def _keeper(self, settings: LocalSettings) -> Keeper | None:
        kinds = tuple(k for k in _KINDS if _HOST_VARIABLES[k] not in settings.given)
        if not kinds:
            return None
        keeper = Keeper(kinds, self._on_problem)
        self._closing.callback(keeper.stop)
        return keeper

    def _export(
        self,
        settings: LocalSettings,
        *,
        embedded: bool,
        shim: Door,
        gmail: Door | None,
    ) -> None:
        """Set the functions' environment: nothing else tells them where things are."""
        account = f"push@{settings.project}.iam.gserviceaccount.com"
        blobs = blobs_folder(self._folder)
        blobs.mkdir(parents=True, exist_ok=True)
        os.environ.update(settings.given)
        os.environ.update(
            {
                "GOOGLE_CLOUD_PROJECT": settings.project,
                "PUBLIC_URL": settings.public_url,
                "BACKEND": "embedded" if embedded else "google",
                "BLOB_FOLDER": str(blobs),
                "PUSH_AUDIENCE": f"{settings.public_url}/push",
                "PUSH_SERVICE_ACCOUNT": account,
                "PUSH_CERTS_URL": f"{shim.url}{CERTS_PATH}",
                "DEVELOPMENT": "true",
            }
        )
        if gmail is not None:
            os.environ["GMAIL_API_ENDPOINT"] = gmail.url
            # The simulator has the account; another Gmail's is the operator's to name.
            os.environ.setdefault("BCC_ADDRESS_FORMAT", LOCAL_BCC_FORMAT)

    def _write_addresses(
        self,
        settings: LocalSettings,
        gmail: Door | None,
        *,
        smtp: int,
        push: str,
        pubsub: str,
    ) -> None:
        """Tell the operator's commands and tools where everything is, until it ends."""
        addresses = {
            "api": f"http://localhost:{settings.port}",
            "project": settings.project,
            "smtp": f"localhost:{smtp}",
            "push": push,
            "pubsub": pubsub,
            "signing_key": settings.signing_key.decode(),
        }
        if gmail is not None:
            addresses["gmail"] = gmail.url
        for variable in (*_HOST_VARIABLES.values(), "SECRET_MANAGER_ENDPOINT"):
            if variable in os.environ:
                addresses[variable.lower()] = os.environ[variable]
        file = addresses_file(self._folder)
        file.touch()
        file.chmod(0o600)
        file.write_text(json.dumps(addresses, indent=2), "utf-8")
        self._closing.callback(file.unlink, missing_ok=True)

    def _tell(
        self, settings: LocalSettings, gmail: Door | None, smtp_port: int
    ) -> None:
        """Say the addresses to the person at the terminal."""
        url = settings.public_url
        smtp = f"localhost:{smtp_port}"
        self._say(f"""
  API             {url}/v1/…   described by {url}/openapi.json
  connect         POST {url}/v1/users/<user>/connection answers the page to open
  caller's token  make token SUB=crm SUBACCOUNTS=s1
  default provider  SMTP at {smtp}, security none; mail is kept in
                  {self._folder / "smtp-sink"}""")
        if gmail is not None:
            self._say(f"""\
  web mailbox     {gmail.url}/   write to and as the simulated accounts
  consent page    {gmail.url}/o/oauth2/v2/auth   (reached through connect)""")
        where = f", web mailbox {gmail.url}" if gmail else ""
        self._say(f"\nready at {url}{where}; Ctrl-C or `make down` ends it")


def _is_embedded(settings: LocalSettings) -> bool:
    """Whether to do without emulators: asked for, or none can run here.

    Raises Misconfigured for half a set, which could only lose mail.
    """
    if settings.given.get("BACKEND") == "embedded":
        return True
    reasons = [
        emulators.missing(kind)
        for kind in _KINDS
        if _HOST_VARIABLES[kind] not in settings.given
    ]
    absent = [reason for reason in reasons if reason]
    if absent and len(reasons) < len(_KINDS):
        raise Misconfigured(" ".join(absent))
    return bool(absent)
