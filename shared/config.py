"""All settings, in one typed place: nothing else reads the environment.

A missing or malformed setting stops the start with a message that names it.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.core.limits import HEADERS_PER_BATCH
from shared.errors import Misconfigured

Origins = Annotated[tuple[str, ...], NoDecode]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_safe_url(url: str) -> bool:
    """Say whether a URL is https, or plain http on loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username or parts.password:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)


class Settings(BaseSettings):
    """The environment of every function, checked.

    Field names are the variables' names in lower case.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    google_cloud_project: str = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    """The project that holds Firestore, the topics and the secrets."""
    public_url: str
    """Where browsers and the CRM reach the HTTP functions, without a final slash."""

    backend: Literal["google", "embedded"] = "google"
    """`embedded` keeps state in this process's memory: one machine only, for tries."""
    firestore_emulator_host: str | None = None
    pubsub_emulator_host: str | None = None
    secret_manager_endpoint: str | None = None
    """host:port of a local Secret Manager, loopback only."""
    gmail_api_endpoint: str = "https://gmail.googleapis.com"

    blob_bucket: str | None = None
    """Cloud Storage bucket of big bodies and attachments."""
    blob_folder: Path | None = None
    """A local folder instead of the bucket; one machine only."""

    push_audience: str | None = None
    """`aud` of the OIDC token with which Pub/Sub pushes."""
    push_service_account: str | None = None
    """`email` of that token."""
    push_certs_url: str = "https://www.googleapis.com/oauth2/v3/certs"
    """JWK set of the token's issuer."""

    bcc_address_format: str | None = None
    consumer_addresses: Literal["allow", "warn", "block"] = "warn"
    daily_send_cap: int = Field(default=500, ge=1, le=10_000)
    daily_provider_cap: int = Field(default=10_000, ge=1, le=100_000)
    """Mails that a subaccount's default provider is given in any 24 hours."""
    daily_contact_cap: int = Field(default=500, ge=1, le=10_000)
    """Contacts that mail to one BCC address makes in any 24 hours."""
    return_to_allowed: Origins = ()
    frame_ancestors: Origins = ()

    send_patience_minutes: float = Field(default=60, gt=0, le=24 * 60)
    """How long Gmail's or the provider's outages are waited out before a mail fails."""
    send_fate_minutes: float = Field(default=15, gt=0, le=24 * 60)
    """How long a mail is looked for that Gmail may have sent."""
    smtp_private_networks: bool = False
    """Whether a default provider may be at an address of a private network."""
    smtp_ca_file: Path | None = None
    """Certificates of providers' own authorities, trusted besides the usual ones."""

    gmail_headers_per_batch: int = Field(default=HEADERS_PER_BATCH, ge=1, le=100)
    development: bool = False
    """True on one machine: development secrets are accepted. A deployment never is."""

    @field_validator("public_url", "gmail_api_endpoint", "push_certs_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        if not is_safe_url(value):
            raise ValueError("must be an https URL (plain http only on loopback)")
        return value.rstrip("/")

    @field_validator("secret_manager_endpoint")
    @classmethod
    def _loopback(cls, value: str | None) -> str | None:
        if value and value.rsplit(":", 1)[0].strip("[]") not in LOOPBACK:
            raise ValueError("must be host:port on loopback")
        return value or None

    @field_validator("bcc_address_format")
    @classmethod
    def _one_token(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(
            r"[A-Za-z0-9._+-]*\{token\}@[A-Za-z0-9.-]+", value
        ):
            raise ValueError("must look like log+{token}@example.com")
        return value or None

    @field_validator("return_to_allowed", "frame_ancestors", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(part.strip() for part in value.split(",") if part.strip())
        for origin in origins:
            parts = urlsplit(origin)
            if not is_safe_url(origin) or f"{parts.scheme}://{parts.netloc}" != origin:
                raise ValueError("must be origins such as https://crm.example.com")
        return origins

    @cached_property
    def redirect_uri(self) -> str:
        """Where Google sends the browser back to."""
        return f"{self.public_url}/oauth/callback"

    def topic_path(self, topic: str) -> str:
        """Full name of a topic of this project."""
        return f"projects/{self.google_cloud_project}/topics/{topic}"


def load(**overrides: object) -> Settings:
    """Read the environment; raises Misconfigured that names each bad setting."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # values come as text
    except ValidationError as error:
        raise Misconfigured(
            "; ".join(
                f"{str(item['loc'][0]).upper()}: {item['msg']}"
                for item in error.errors(include_input=False, include_url=False)
            )
        ) from None


def parse_client_file(raw: bytes) -> dict[str, str]:
    """Read Google's OAuth client file (`web` or `installed`).

    Raises Misconfigured when a field is missing or an endpoint is plain http off
    loopback.
    """
    try:
        document = json.loads(raw)
        client = document.get("web") or document["installed"]
        fields = {
            name: str(client[name])
            for name in (
                "client_id",
                "client_secret",
                "auth_uri",
                "token_uri",
                "auth_provider_x509_cert_url",
            )
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Misconfigured(
            "The OAuth client file (secret google-oauth-client) is not one that Google "
            "makes: client_id, client_secret, auth_uri, token_uri and "
            "auth_provider_x509_cert_url are needed."
        ) from None
    for name in ("auth_uri", "token_uri", "auth_provider_x509_cert_url"):
        if not is_safe_url(fields[name]):
            raise Misconfigured(f"The OAuth client file's {name} must be https.")
    return fields
