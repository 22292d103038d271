"""What a person may set for the local system.

From the environment, else from `local.env`, else development defaults. Anything
missing or malformed is a Misconfigured that names the setting.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared import config
from shared.errors import Misconfigured

DEFAULT_PORT = 8080
DEFAULT_PROJECT = "local-project"
# Long enough for HS256, and telling to whoever meets it somewhere else.
DEVELOPMENT_SIGNING_KEY = "development-only-signing-key-never-deploy-this"
LOCAL_BCC_FORMAT = "log+{token}@crm-log.example"
"""BCC addresses where the simulator runs: its logging account gets their mail."""
LOCAL_ENV = Path("local.env")

_LINE = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*)")
_EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
_PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The local system's own settings, checked.

    `client_file` is the content of the OAuth client file, None for the simulator's
    own; `gmail_endpoint` is None when the simulator is to run. `given` is all that was
    set, `local.env` included, with empty values left out.
    """

    port: int
    project: str
    public_url: str
    signing_key: bytes
    client_file: bytes | None
    gmail_endpoint: str | None
    given: Mapping[str, str]


def read(environment: Mapping[str, str], folder: Path) -> LocalSettings:
    """Read the settings; `local.env` is looked for in `folder`."""
    given = _given(environment, folder)
    port = _port(given.get("PORT", str(DEFAULT_PORT)))
    settings = LocalSettings(
        port=port,
        project=given.get("GOOGLE_CLOUD_PROJECT", DEFAULT_PROJECT),
        public_url=given.get("PUBLIC_URL", f"http://localhost:{port}"),
        signing_key=signing_key(environment, folder).encode(),
        client_file=_client_file(given, folder),
        gmail_endpoint=given.get("GMAIL_API_ENDPOINT"),
        given=given,
    )
    for name in _EMULATORS:
        _must_answer(name, given.get(name))
    # The functions' own settings are checked now, before anything is started.
    config.load(
        google_cloud_project=settings.project,
        public_url=settings.public_url,
        **{
            name.lower(): given[name]
            for name in given
            if name.lower() in config.Settings.model_fields
            and name not in {"GOOGLE_CLOUD_PROJECT", "PUBLIC_URL"}
        },
    )
    return settings


def signing_key(environment: Mapping[str, str], folder: Path) -> str:
    """The key of callers' tokens."""
    return _given(environment, folder).get("API_SIGNING_KEY", DEVELOPMENT_SIGNING_KEY)


def read_env_file(path: Path) -> dict[str, str]:
    """Read KEY=VALUE lines; blank ones and those that begin with # do not count."""
    if not path.exists():
        return {}
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise Misconfigured(f"{path.name}, line {number}: not KEY=VALUE.")
        name, value = found.groups()
        for quote in "'\"":
            if len(value) > 1 and value[0] == value[-1] == quote:
                value = value[1:-1]
                break
        values[name] = value
    return values


def _given(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What is set and not empty; the environment wins over `local.env`."""
    both = {**read_env_file(folder / LOCAL_ENV), **environment}
    return {name: value for name, value in both.items() if value.strip()}


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004
        raise Misconfigured(f"PORT: must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def _client_file(given: Mapping[str, str], folder: Path) -> bytes | None:
    named = given.get("GOOGLE_OAUTH_CLIENT_FILE")
    if named is None:
        if "GMAIL_API_ENDPOINT" in given:
            raise Misconfigured(
                "GOOGLE_OAUTH_CLIENT_FILE: is needed with GMAIL_API_ENDPOINT; it names "
                "the OAuth client file for that Gmail server."
            )
        return None
    path = folder / Path(named).expanduser()
    try:
        raw = path.read_bytes()
        json.loads(raw)
    except OSError as error:
        raise Misconfigured(
            f"GOOGLE_OAUTH_CLIENT_FILE: {path} cannot be read ({error.strerror})."
        ) from None
    except ValueError:
        raise Misconfigured(f"GOOGLE_OAUTH_CLIENT_FILE: {path} is not JSON.") from None
    try:
        config.parse_client_file(raw)
    except Misconfigured as error:
        raise Misconfigured(f"GOOGLE_OAUTH_CLIENT_FILE: {error.detail}") from None
    return raw


def _must_answer(name: str, host: str | None) -> None:
    """Refuse an exported emulator that is not there: its client would hang."""
    if host is None:
        return
    server, _, port = host.rpartition(":")
    try:
        socket.create_connection(
            (server.strip("[]"), int(port)), timeout=_PROBE_SECONDS
        ).close()
    except (OSError, ValueError, OverflowError):
        raise Misconfigured(
            f"{name}: nothing answers at {host}; start the emulator or unset {name}."
        ) from None
