"""A local Secret Manager: its gRPC service, for Google's own client.

    python -m infra.local.secret_manager --port 8090 --file secrets.json

Loopback only, no TLS, no access control. What it holds survives a kill (see vault.py).
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.cloud.secretmanager_v1 import types
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]

from infra.local.vault import (
    NoSuchSecretError,
    SecretExistsError,
    State,
    Vault,
    Version,
    WrongStateError,
)

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
_DEFAULT_PAGE = 100

_STATES: dict[State, Any] = {
    "ENABLED": types.SecretVersion.State.ENABLED,
    "DISABLED": types.SecretVersion.State.DISABLED,
    "DESTROYED": types.SecretVersion.State.DESTROYED,
}
Handler = Callable[[Any, Any], Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at `host` (`name:port`)."""

    host: str
    server: Any

    def stop(self) -> None:
        """End it; calls under way are cut off."""
        self.server.stop(None).wait()


def start(file: Path | None = None, port: int = 0) -> Running:
    """Serve on loopback in this process; port 0 takes a free one."""
    server = grpc.server(ThreadPoolExecutor(8, thread_name_prefix="secret-manager"))
    server.add_generic_rpc_handlers((_handlers(_Service(Vault(file))),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return Running(f"127.0.0.1:{bound}", server)


class _Service:
    """The methods, on the client's own message types."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def create_secret(self, request: types.CreateSecretRequest) -> types.Secret:
        name = f"{request.parent}/secrets/{request.secret_id}"
        self._vault.create(name)
        return types.Secret(name=name, replication=request.secret.replication)

    def get_secret(self, request: types.GetSecretRequest) -> types.Secret:
        if not self._vault.has(request.name):
            raise NoSuchSecretError
        return types.Secret(name=request.name)

    def delete_secret(self, request: types.DeleteSecretRequest) -> Empty:
        self._vault.delete(request.name)
        return Empty()

    def list_secrets(
        self, request: types.ListSecretsRequest
    ) -> types.ListSecretsResponse:
        page, token, total = _page(self._vault.names(request.parent), request)
        return types.ListSecretsResponse(
            secrets=[types.Secret(name=name) for name in page],
            next_page_token=token,
            total_size=total,
        )

    def add_secret_version(
        self, request: types.AddSecretVersionRequest
    ) -> types.SecretVersion:
        added = self._vault.add(request.parent, request.payload.data)
        return _version(request.parent, added)

    def access_secret_version(
        self, request: types.AccessSecretVersionRequest
    ) -> types.AccessSecretVersionResponse:
        secret, number = _split(request.name)
        version = self._vault.access(secret, number)
        return types.AccessSecretVersionResponse(
            name=f"{secret}/versions/{version.number}",
            payload=types.SecretPayload(data=version.value or b""),
        )

    def get_secret_version(
        self, request: types.GetSecretVersionRequest
    ) -> types.SecretVersion:
        secret, number = _split(request.name)
        for version in self._vault.versions(secret):
            if number in {"latest", str(version.number)}:
                return _version(secret, version)
        raise NoSuchSecretError

    def list_secret_versions(
        self, request: types.ListSecretVersionsRequest
    ) -> types.ListSecretVersionsResponse:
        kept = _filter(request.filter)
        versions = [
            version
            for version in self._vault.versions(request.parent)
            if kept(version.state)
        ]
        page, token, total = _page(versions, request)
        return types.ListSecretVersionsResponse(
            versions=[_version(request.parent, version) for version in page],
            next_page_token=token,
            total_size=total,
        )

    def destroy_secret_version(
        self, request: types.DestroySecretVersionRequest
    ) -> types.SecretVersion:
        return self._set_state(request.name, "DESTROYED")

    def disable_secret_version(
        self, request: types.DisableSecretVersionRequest
    ) -> types.SecretVersion:
        return self._set_state(request.name, "DISABLED")

    def enable_secret_version(
        self, request: types.EnableSecretVersionRequest
    ) -> types.SecretVersion:
        return self._set_state(request.name, "ENABLED")

    def _set_state(self, name: str, state: State) -> types.SecretVersion:
        secret, number = _split(name)
        return _version(secret, self._vault.set_state(secret, number, state))


def _handlers(service: _Service) -> Any:
    requests: dict[str, Any] = {
        "CreateSecret": types.CreateSecretRequest,
        "GetSecret": types.GetSecretRequest,
        "DeleteSecret": types.DeleteSecretRequest,
        "ListSecrets": types.ListSecretsRequest,
        "AddSecretVersion": types.AddSecretVersionRequest,
        "AccessSecretVersion": types.AccessSecretVersionRequest,
        "GetSecretVersion": types.GetSecretVersionRequest,
        "ListSecretVersions": types.ListSecretVersionsRequest,
        "DestroySecretVersion": types.DestroySecretVersionRequest,
        "DisableSecretVersion": types.DisableSecretVersionRequest,
        "EnableSecretVersion": types.EnableSecretVersionRequest,
    }
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            method: grpc.unary_unary_rpc_method_handler(
                _answering(getattr(service, _snake(method))),
                request_deserializer=request.deserialize,
                response_serializer=_serialized,
            )
            for method, request in requests.items()
        },
    )


def _answering(handle: Callable[[Any], Any]) -> Handler:
    """Turn the vault's refusals into status codes."""

    def answer(request: Any, context: Any) -> Any:
        try:
            return handle(request)
        except NoSuchSecretError:
            context.abort(grpc.StatusCode.NOT_FOUND, "Not found.")
        except SecretExistsError:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "It exists already.")
        except WrongStateError as refusal:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))
        except ValueError as refusal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))

    return answer


def _serialized(message: Any) -> bytes:
    plain = isinstance(message, Empty)
    serialized: bytes = (
        message.SerializeToString() if plain else type(message).serialize(message)
    )
    return serialized


def _snake(method: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in method).lstrip("_")


def _split(name: str) -> tuple[str, str]:
    secret, found, number = name.partition("/versions/")
    if not found:
        raise ValueError("That is no name of a version.")
    return secret, number


def _version(secret: str, version: Version) -> types.SecretVersion:
    return types.SecretVersion(
        name=f"{secret}/versions/{version.number}",
        state=_STATES[version.state],
    )


def _filter(text: str) -> Callable[[str], bool]:
    """`state:X`, `state=X` and `NOT state:X`: the part of the language that is used."""
    if not text:
        return lambda _state: True
    negated = text.startswith("NOT ")
    name, _, wanted = text.removeprefix("NOT ").replace("=", ":").partition(":")
    if name.strip() != "state" or not wanted.strip().isalpha():
        raise ValueError("The local Secret Manager filters by state only.")
    return lambda state: (state == wanted.strip()) != negated


def _page(items: list[_T], request: Any) -> tuple[list[_T], str, int]:
    begin = int(request.page_token or 0)
    end = begin + (request.page_size or _DEFAULT_PAGE)
    return items[begin:end], str(end) if end < len(items) else "", len(items)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A local Secret Manager.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--file", type=Path, required=True)
    given = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    running = start(given.file, given.port)
    print(f"ready {running.host}", flush=True)
    ended.wait()
    running.stop()


if __name__ == "__main__":
    main()
