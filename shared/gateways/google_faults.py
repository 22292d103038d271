"""What a fault of a Google Cloud client means, the same for every service.

The service's own texts are never quoted: they can hold what a caller sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as google
from google.auth import exceptions as auth
from requests.exceptions import RequestException

from shared.errors import (
    DocumentMissing,
    Misconfigured,
    Permanent,
    RateLimited,
    SyncError,
    Transient,
)

# What a call may be repeated after, when repeating it does no harm.
REPEATABLE = (
    google.ServiceUnavailable,
    google.InternalServerError,
    google.BadGateway,
    google.GatewayTimeout,
    google.Aborted,
    google.TooManyRequests,
    google.Unknown,
)


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Raise our errors for those of `service`'s client."""
    try:
        yield
    except (
        google.GoogleAPICallError,
        google.RetryError,
        auth.GoogleAuthError,
        RequestException,
    ) as fault:
        raise error_of(fault, service) from fault


def cause_of(fault: BaseException) -> BaseException:
    """The service's fault, out of the retry's own."""
    if isinstance(fault, google.RetryError):
        return fault.cause or fault
    return fault


def error_of(fault: BaseException, service: str) -> SyncError:
    """Our error for a fault. Whatever is not clearly ours is transient."""
    fault = cause_of(fault)
    kind = type(fault).__name__
    if isinstance(fault, google.NotFound):
        return DocumentMissing()
    if isinstance(fault, auth.DefaultCredentialsError):
        return Misconfigured("There are no credentials for Google Cloud.")
    if isinstance(fault, google.TooManyRequests):
        return RateLimited()
    if isinstance(fault, google.Forbidden | google.Unauthorized):
        return Misconfigured(f"The service account may not use {service}.")
    if isinstance(fault, google.Aborted | google.Cancelled):
        return Transient(f"{service} did not finish ({kind}).")
    if isinstance(fault, google.ClientError):
        return Permanent(f"{service} refused the request ({kind}).")
    return Transient(f"{service} did not answer ({kind}).")
