"""Reads a bounce: who was not reached, why, and which email it is about (S12).

From Gmail's payload of one message: the fields of a delivery report (RFC 3464) where
there is one, else the text, which every server writes in its own way. What is read is
a claim of its author; `matching.bounces` says whether it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from shared.core.ids import is_id
from shared.core.limits import (
    MAX_BOUNCE_DETAIL_CHARS,
    MAX_BOUNCED_RECIPIENTS,
    MAX_MIME_DEPTH,
    MAX_MIME_PARTS,
    MAX_REPORT_BYTES,
)
from shared.core.mail import DeliveryFailure, DeliveryReport
from shared.core.parsing.address import normalise, parse_list, parse_sender
from shared.core.parsing.bounce_signs import (
    FAILED_RECIPIENTS_HEADER,
    is_daemon,
    tells_delay,
    tells_failure,
)
from shared.core.parsing.bounce_text import (
    Said,
    addresses_in,
    before_original,
    code_in,
    passage_about,
    recipients_in,
)
from shared.core.parsing.charsets import decode_body
from shared.core.parsing.gmail_part import Part, headers_in, read_part
from shared.core.parsing.headers import (
    Header,
    message_ids,
    subject_text,
    unfold,
    values_of,
)
from shared.core.parsing.mime_parameters import main_value, parameters
from shared.core.parsing.plain_text import one_line
from shared.core.parsing.text_from_html import text_from_html

_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/rfc822-headers",
        "message/global-headers",
    }
)
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]{0,8}:(.{0,2000})")
_TYPED = re.compile(r"[A-Za-z0-9-]{1,20}[ \t]{0,8};")
_RECIPIENT_FIELDS = ("Original-Recipient", "Final-Recipient", "X-Actual-Recipient")
_RETURNED_IDS = ("Message-ID", "X-Google-Original-Message-ID")
_ORIGINAL_IDS = ("Original-Message-ID", "X-Original-Message-ID")
_FAILED = frozenset({"failed", "fail", "failure"})
_DELAYED = frozenset({"delayed", "delay"})
_DELIVERED = frozenset({"delivered", "relayed", "expanded"})
_SPECIFIC = re.compile(r"[245]\.(?!0{1,3}\.0{1,3}\Z)[0-9]{1,3}\.[0-9]{1,3}")
_STATUS_CODE = re.compile(r"\s{0,8}([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
# A status, the returned email, and one for nested ones.
_MAX_FETCHED = 3
_MARK_HEADER = "X-CRM-Message"


@dataclass(slots=True)
class _Parts:
    """What a bounce is made of: its texts, its fields, and the email it returns."""

    texts: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    fields: list[Header] = field(default_factory=list)
    blocks: list[list[Header]] = field(default_factory=list)
    returned: list[Header] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)


def report_of(
    resource: Mapping[str, Any], fetched: Mapping[str, bytes] | None = None
) -> DeliveryReport | None:
    """Read a message resource (format `full`) as a bounce; None when it is none.

    To be asked of a message that `may_be_bounce`. A report that only tells of success
    names nobody. `fetched` holds the bytes of `held_back_reports` by attachment id.
    Never raises.
    """
    payload = resource.get("payload")
    payload = payload if isinstance(payload, Mapping) else {}
    headers = headers_in(payload)
    parts = _read(payload, fetched or {})
    text = "\n".join(parts.texts) or "\n".join(map(_plain, parts.html))
    own_words, original = before_original(text[:MAX_REPORT_BYTES])
    said = Said(own_words)
    if not parts.returned:
        parts.returned = _fields_of(original)
    is_report = bool(parts.blocks) or _is_report(headers)
    if not parts.blocks:
        # Some servers write the fields into the text.
        parts.blocks = [block for block in _blocks(text) if _recipients(block)]
    failures = list(islice(_from_fields(parts.blocks, said), MAX_BOUNCED_RECIPIENTS))
    if not failures and not any(map(_is_success, parts.blocks)):
        is_report = is_report or bool(values_of(headers, FAILED_RECIPIENTS_HEADER))
        failures = list(
            islice(
                _from_text(headers, said, is_report=is_report), MAX_BOUNCED_RECIPIENTS
            )
        )
    if not failures and not is_report:
        return None
    return DeliveryReport(
        failures=tuple(failures),
        message_ids=_ids(parts),
        crm_message=_mark(parts.returned),
    )


def held_back_reports(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Attachment ids of the parts that Gmail hands out apart, to be fetched first."""
    payload = resource.get("payload")
    return tuple(_read(payload if isinstance(payload, Mapping) else {}, {}).held_back)[
        :_MAX_FETCHED
    ]


_MAX_FETCHED = 3


# --- parts -----------------------------------------------------------------------


def _read(payload: Mapping[str, Any], fetched: Mapping[str, bytes]) -> _Parts:
    found = _Parts()
    seen = 0
    stack: list[tuple[Mapping[str, Any], int]] = [(payload, 0)]
    while stack and seen < MAX_MIME_PARTS:
        raw, depth = stack.pop()
        seen += 1
        part = read_part(raw, stands_alone=True)
        children = [c for c in part.children if isinstance(c, Mapping)][:MAX_MIME_PARTS]
        if part.content_type in _STATUS:
            _add_status(found, part, children, fetched)
        elif part.content_type in _RETURNED:
            _add_returned(found, part, children, fetched)
        elif part.is_container and depth < MAX_MIME_DEPTH:
            stack += [(child, depth + 1) for child in reversed(children)]
        elif part.content_type == "text/plain":
            found.texts.append(_text(part, fetched))
        elif part.content_type == "text/html":
            found.html.append(_text(part, fetched))
    return found


def _add_status(
    found: _Parts,
    part: Part,
    children: Sequence[Mapping[str, Any]],
    fetched: Mapping[str, bytes],
) -> None:
    """The fields are in the part's bytes, or Gmail has taken them apart already."""
    text = _text(part, fetched)
    blocks = list(_blocks(text))
    for child in children:
        blocks.append(list(headers_in(child)))
        blocks += _blocks(_text(read_part(child, stands_alone=True), fetched))
    found.fields += [item for block in blocks for item in block]
    found.blocks += [block for block in blocks if _recipients(block)]
    if not found.blocks and part.is_held_back and part.size <= MAX_REPORT_BYTES:
        found.held_back.append(part.attachment_id or "")


def _add_returned(
    found: _Parts,
    part: Part,
    children: Sequence[Mapping[str, Any]],
    fetched: Mapping[str, bytes],
) -> None:
    """Of the email that comes back only the headers are of use, and the first ones."""
    if found.returned:
        return
    own = _fields_of(_text(part, fetched))
    of_children = [item for child in children[:1] for item in headers_in(child)]
    found.returned = of_children or own
    if not found.returned and part.is_held_back and part.size <= MAX_REPORT_BYTES:
        found.held_back.append(part.attachment_id or "")


def _text(part: Part, fetched: Mapping[str, bytes]) -> str:
    data = fetched.get(part.attachment_id or "")
    if data is None:
        data, _ = part.data(MAX_REPORT_BYTES)
    text = decode_body(data[:MAX_REPORT_BYTES], part.charset)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(html: str) -> str:
    return text_from_html(html, MAX_REPORT_BYTES)


# --- fields ----------------------------------------------------------------------


def _blocks(text: str) -> Iterator[list[Header]]:
    """Groups of fields, as blank lines, or a recipient after a recipient, part them."""
    block: list[Header] = []
    for line in text.split("\n"):
        if line[:1] in {" ", "\t"} and line.strip() and block:
            name, value = block[-1]
            block[-1] = (name, f"{value} {line.strip()}"[: MAX_BOUNCE_DETAIL_CHARS * 4])
            continue
        match = _FIELD.fullmatch(line.rstrip()[:2100])
        if match is None or (
            match[1].lower() == "final-recipient" and values_of(block, match[1])
        ):
            if block:
                yield block
            block = []
        if match is not None:
            block.append((match[1], match[2].strip()))
    if block:
        yield block


def _fields_of(text: str) -> list[Header]:
    """The headers of an email that is quoted as text, up to its body."""
    head = text.lstrip("\n \t")[: MAX_REPORT_BYTES // 2].partition("\n\n")[0]
    return [item for block in _blocks(head) for item in block]


def _recipients(block: Sequence[Header]) -> tuple[str, ...]:
    """Addresses of one recipient, as the sender knows it first."""
    found: dict[str, None] = {}
    for name in _RECIPIENT_FIELDS:
        for value in values_of(block, name):
            bare = _TYPED.sub("", unfold(value), count=1).strip().strip("<>").strip()
            address = normalise(bare) or next(iter(addresses_in(value)), None)
            if address:
                found[address] = None
    return tuple(found)


def _action(block: Sequence[Header]) -> str:
    value = next(iter(values_of(block, "Action")), "")
    word = re.split(r"[\s;(,]", value.strip().lower(), maxsplit=1)[0]
    if word:
        return word
    status = next(iter(values_of(block, "Status")), "").strip()
    return {"5": "failed", "4": "delayed", "2": "delivered"}.get(status[:1], "")


def _is_success(block: Sequence[Header]) -> bool:
    return _action(block) in _DELIVERED


def _from_fields(
    blocks: Iterable[Sequence[Header]], said: Said
) -> Iterator[DeliveryFailure]:
    seen: set[str] = set()
    for block in blocks:
        action, addresses = _action(block), _recipients(block)
        if action not in _FAILED | _DELAYED or not addresses or addresses[0] in seen:
            continue
        seen.add(addresses[0])
        diagnostic = next(iter(values_of(block, "Diagnostic-Code")), "")
        diagnostic = _TYPED.sub("", unfold(diagnostic), count=1)
        passage = "" if one_line(diagnostic) else passage_about(said, addresses)
        status = _STATUS_CODE.match(next(iter(values_of(block, "Status")), ""))
        code = status[1] if status else None
        if code is None or not _SPECIFIC.fullmatch(code):
            # "5.0.0" says only that it failed; the server's words may say more.
            better = code_in(diagnostic or passage)
            code = better if better and (code is None or "." in better) else code
        yield DeliveryFailure(
            addresses=addresses,
            code=code,
            detail=_bounded(diagnostic or passage),
            permanent=action in _FAILED,
        )


# --- text ------------------------------------------------------------------------


def _from_text(
    headers: Sequence[Header], said: Said, *, is_report: bool
) -> Iterator[DeliveryFailure]:
    subject = " ".join(map(subject_text, values_of(headers, "Subject")))
    words = f"{subject}\n{said.text}"
    if not is_report and not tells_failure(words) and not tells_delay(subject):
        return
    is_late = tells_delay(words)
    named = [
        person.address
        for person in parse_list(values_of(headers, FAILED_RECIPIENTS_HEADER))
    ]
    sender = parse_sender(values_of(headers, "From"))
    own = {person.address for person in parse_list(values_of(headers, "To"))}
    own |= {sender.address} if sender else set()
    for address in named or recipients_in(f"{said.text}\n\n{subject}"):
        if named or not (address in own or is_daemon(address)):
            passage = passage_about(said, (address,))
            code = code_in(passage) or said.code
            permanent = not is_late or (code or "").startswith("5")
            yield DeliveryFailure((address,), code, _bounded(passage), permanent)


# --- which email -----------------------------------------------------------------


def _ids(parts: _Parts) -> tuple[Any, ...]:
    inside = [
        *(value for name in _RETURNED_IDS for value in values_of(parts.returned, name)),
        *(value for name in _ORIGINAL_IDS for value in values_of(parts.fields, name)),
    ]
    return message_ids(inside)


def _mark(returned: Sequence[Header]) -> str | None:
    values = (value.strip() for value in values_of(returned, _MARK_HEADER))
    return next((value for value in values if _is_mark(value)), None)


def _is_mark(text: str) -> bool:
    """Whether it is `{subaccount}/{message id}`; both name documents."""
    subaccount, _, message = text.partition("/")
    return is_id(subaccount) and is_id(message)


def _is_report(headers: Sequence[Header]) -> bool:
    return any(
        main_value(unfold(value)) == "multipart/report"
        and parameters(unfold(value)).get("report-type", "").lower()
        == "delivery-status"
        for value in values_of(headers, "Content-Type")
    )


def _bounded(text: str) -> str | None:
    return one_line(text)[:MAX_BOUNCE_DETAIL_CHARS].rstrip() or None
