"""Secrets in Google's Secret Manager.

A write adds the new version before it destroys older ones, and destroys only versions
older than its own: whatever is interrupted and whoever else writes, the newest version
stays readable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, SecretVersion
from google.cloud.secretmanager_v1.services.secret_manager_service import transports

from shared.errors import DocumentMissing, Misconfigured, Transient
from shared.gateways.google_faults import REPEATABLE, translated
from shared.gateways.secret_rules import check_name, check_value

_CALL_SECONDS = 8.0
_TOTAL_SECONDS = 18.0
_LOOKS = 3
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))

# Every call may be repeated: a version added twice is destroyed by its own write.
_OPTIONS: dict[str, Any] = {
    "retry": Retry(
        if_exception_type(*REPEATABLE), initial=0.1, maximum=2.0, timeout=_TOTAL_SECONDS
    ),
    "timeout": _CALL_SECONDS,
}


class SecretManagerSecrets:
    """Implements `ports.Secrets`; thread safe. No value is ever in its repr or errors.

    With `endpoint` (`host:port`, on this machine) a local server without TLS is used
    instead of Google's.
    """

    def __init__(
        self,
        project: str,
        *,
        endpoint: str | None = None,
        client_factory: Callable[[], SecretManagerServiceClient] | None = None,
    ) -> None:
        """Use this project's secrets; raises Misconfigured for a foreign endpoint."""
        self._parent = f"projects/{project}"
        if endpoint is not None:
            endpoint = _checked(endpoint)
        self._client_factory = client_factory or (lambda: _make_client(endpoint))
        self._client: SecretManagerServiceClient | None = None
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes:
        """Newest enabled version; raises Missing."""
        check_name(name)
        try:
            with translated("Secret Manager"):
                return self._access(f"{self._secret(name)}/versions/latest")
        except _Gone:
            # `latest` is the newest version whatever its state; it may be disabled.
            values = self.read_all(name)
            if not values:
                raise DocumentMissing from None
            return values[0]

    def read_all(self, name: str) -> list[bytes]:
        """All enabled versions, newest first; empty when there is none."""
        check_name(name)
        with translated("Secret Manager"):
            for _ in range(_LOOKS):
                try:
                    return [
                        self._access(version)
                        for _, version in self._versions(name, enabled=True)
                    ]
                except google.NotFound:
                    return []
                except _Gone:
                    continue  # a write destroyed it after we listed it: look again
        raise Transient("A secret is being rewritten again and again.")

    def write(self, name: str, value: bytes) -> None:
        """Add a version, making the secret if needed, and destroy all older ones."""
        check_name(name)
        check_value(value)
        with translated("Secret Manager"):
            added = self._add(name, value)
            for number, version in self._versions(name):
                if number < added:
                    self._destroy_version(version)

    def destroy(self, name: str) -> None:
        """Remove the secret and all its versions; a missing one is no error."""
        check_name(name)
        with translated("Secret Manager"):
            try:
                self._connected().delete_secret(name=self._secret(name), **_OPTIONS)
            except google.NotFound:
                return

    def _add(self, name: str, value: bytes) -> int:
        client = self._connected()
        request: Any = {"parent": self._secret(name), "payload": {"data": value}}
        for _ in range(_LOOKS):
            try:
                added = client.add_secret_version(request=request, **_OPTIONS)
            except google.NotFound:
                self._create(name)
            else:
                return _number(added.name)
        raise Transient("A secret is being written and destroyed at the same time.")

    def _create(self, name: str) -> None:
        try:
            self._connected().create_secret(
                request={
                    "parent": self._parent,
                    "secret_id": name,
                    "secret": {"replication": {"automatic": {}}},
                },
                **_OPTIONS,
            )
        except google.AlreadyExists:
            return  # another writer was faster

    def _access(self, version: str) -> bytes:
        try:
            answer = self._connected().access_secret_version(name=version, **_OPTIONS)
        except google.FailedPrecondition as fault:
            raise _Gone from fault
        return bytes(answer.payload.data)

    def _versions(self, name: str, *, enabled: bool = False) -> list[tuple[int, str]]:
        """Numbers and names of the versions not yet destroyed, newest first."""
        listed = self._connected().list_secret_versions(
            request={
                "parent": self._secret(name),
                "filter": "state:ENABLED" if enabled else "",
            },
            **_OPTIONS,
        )
        wanted = (
            {SecretVersion.State.ENABLED}
            if enabled
            else {SecretVersion.State.ENABLED, SecretVersion.State.DISABLED}
        )
        # Judged here as well: a list may lag behind what its filter says.
        found = [
            (_number(version.name), version.name)
            for version in listed
            if version.state in wanted
        ]
        return sorted(found, reverse=True)

    def _destroy_version(self, version: str) -> None:
        try:
            self._connected().destroy_secret_version(name=version, **_OPTIONS)
        except (google.NotFound, google.FailedPrecondition):
            return  # gone already

    def _secret(self, name: str) -> str:
        return f"{self._parent}/secrets/{name}"

    def _connected(self) -> SecretManagerServiceClient:
        with self._lock:
            if self._client is None:
                self._client = self._client_factory()
            return self._client


class _Gone(Exception):
    """A version that exists but is disabled or destroyed."""


def _number(version: str) -> int:
    return int(version.rpartition("/")[2])


def _checked(endpoint: str) -> str:
    """`host:port` of an endpoint without TLS, which must be on this machine."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    if parts.hostname not in _LOOPBACK or parts.port is None:
        raise Misconfigured("SECRET_MANAGER_ENDPOINT must be a loopback host:port.")
    return parts.netloc


def _make_client(endpoint: str | None) -> SecretManagerServiceClient:
    if endpoint is None:
        return SecretManagerServiceClient()
    # An endpoint given to the client alone insists on TLS.
    channel = grpc.insecure_channel(endpoint)
    return SecretManagerServiceClient(
        transport=transports.SecretManagerServiceGrpcTransport(channel=channel)
    )
