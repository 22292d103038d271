"""How recipients end bulk or workflow mail (S14): RFC 2369, RFC 8058's one click."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from shared.core.ids import ContactId, MessageId
from shared.core.parsing.address import normalise
from shared.core.sending import mime_headers as headers

MAX_URIS = 2
"""One to open, one to write to."""
MAX_URI_CHARS = 500

# Without what ends a URI in the header, or begins a comment there (RFC 2369 §2).
_URI = re.compile(r"(?:https://|mailto:)[!#-;=?-~]{1,490}")


def is_unsubscribe_uri(text: str) -> bool:
    """Whether a client can follow it: https, or mail to an address.

    `{message}` and `{contact}` in it stand for the ids of each mail.
    """
    if not _URI.fullmatch(text) or "{" in text.replace("{message}", "").replace(
        "{contact}", ""
    ):
        return False
    if text.startswith("mailto:"):
        return normalise(text[len("mailto:") :].partition("?")[0]) is not None
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def for_message(uri: str, message: MessageId, contact: ContactId) -> str:
    """The URI of one mail; ids need no escaping in a URI."""
    return uri.replace("{message}", message).replace("{contact}", contact)


def fields(uris: Sequence[str]) -> list[bytes]:
    """The header fields; the second promises that a POST is enough (RFC 8058 §3.1)."""
    if not uris:
        return []
    listed = headers.uris_field("List-Unsubscribe", uris)
    if not any(uri.startswith("https:") for uri in uris):
        return [listed]
    once = headers.token_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return [listed, once]
