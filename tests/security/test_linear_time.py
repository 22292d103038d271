"""No pattern and no parser that reads foreign text costs more than its length.

One email that freezes a process freezes every tenant in it. All compiled patterns of
the product are found by themselves; a public function of `shared/core/parsing` that
takes text has to be in the table below.
"""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

from shared.core.limits import MAX_HEADER_BYTES
from shared.core.mail import Address
from shared.core.matching import bcc_redaction
from shared.core.matching.bcc import BccAddressFormat
from shared.core.parsing import (
    addr_spec,
    address,
    address_tokens,
    authentication,
    authentication_results,
    bcc_in_text,
    bounce_signs,
    bounce_text,
    charsets,
    colours,
    data_pictures,
    delivery_reports,
    encoded_words,
    gmail_bodies,
    gmail_content,
    gmail_message,
    gmail_part,
    headers,
    html_box,
    html_scan,
    list_entries,
    lone_sender,
    mime_parameters,
    plain_text,
    public_suffixes,
    sanitise,
    spellings,
    stateful_charsets,
    style_values,
    styles,
    text_from_html,
)
from shared.core.sending import composing, replying
from tests.security.adversary import cost, grows_linearly, texts_for

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for part in ("functions", "shared") for path in (ROOT / part).rglob("*.py")
)
FUNCTIONS = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer"}
FUNCTIONS |= {"sub", "subn"}
FROM_SETTINGS = {"bcc_in_text.py"}
"""Whose patterns are made of a setting; `PARSERS` tries them."""


def _module(path: Path) -> ModuleType:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


def _patterns_in(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (p for item in value.values() for p in _patterns_in(item))
    elif isinstance(value, tuple | list):
        yield from (p for item in value for p in _patterns_in(item))


def _inline(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """Patterns inside of functions, which no module variable holds."""
    tree = ast.parse(path.read_text("utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr in FUNCTIONS
            ):
                yield node.lineno, node.args[0]


def _is_searched(source: str, name: str) -> bool:
    """Whether it is tried at every place of a text, and not only at one."""
    used = set(re.findall(rf"\b{name}\.(\w+)", source))
    return not used or bool(used & (FUNCTIONS - {"compile", "match", "fullmatch"}))


def _all_patterns() -> dict[str, tuple[re.Pattern[Any], bool]]:
    patterns: dict[str, tuple[re.Pattern[Any], bool]] = {}

    for path in SOURCES:
        if "re" not in {
            alias.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        }:
            continue
        short = str(path.relative_to(ROOT))
        source = path.read_text("utf-8")
        for name, value in vars(_module(path)).items():
            if f"{name} = " not in source and f"{name}: " not in source:
                continue  # imported
            for number, pattern in enumerate(_patterns_in(value)):
                searched = _is_searched(source, name)
                patterns[f"{short}:{name}:{number}"] = pattern, searched
        for line, argument in _inline(path):
            if isinstance(argument, ast.Constant):
                searched = not re.search(
                    r"re\.(?:full)?match\(", source.splitlines()[line - 1]
                )
                patterns[f"{short}:{line}"] = re.compile(argument.value), searched
    return patterns


PATTERNS = _all_patterns()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_pattern_is_found(path: Path) -> None:
    """One that is put together when it is used could be anything."""
    for line, argument in _inline(path):
        known = path.name in FROM_SETTINGS or isinstance(argument, ast.Constant)
        known = known or (
            isinstance(argument, ast.Attribute) and argument.attr.endswith("PATTERN")
        )
        assert known, f"{path.name}:{line}: compile this pattern at the module's level"


def test_there_are_as_many_patterns_as_we_know_of() -> None:
    assert len(PATTERNS) > 60


def _uses(
    pattern: re.Pattern[Any], text: str, *, searched: bool
) -> Callable[[], object]:
    data: Any = text if isinstance(pattern.pattern, str) else text.encode()

    def work() -> None:
        pattern.fullmatch(data)
        pattern.match(data)
        if searched:
            for _ in pattern.finditer(data):
                pass

    return work


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_backtracks_beyond_the_length_of_its_input(name: str) -> None:
    pattern, searched = PATTERNS[name]

    def uses(text: str) -> Callable[[], object]:
        return _uses(pattern, text, searched=searched)

    for small in texts_for(pattern, 24):
        assert cost(uses(small), 1) < 0.05, small
    for number, text in enumerate(texts_for(pattern, 2048)):

        def work(size: int, number: int = number) -> Callable[[], object]:
            return uses(_nth(texts_for(pattern, size), number))

        # 1 µs a character, above which it is worth to look how it grows.
        if cost(uses(text), 1) > 0.002:
            assert grows_linearly(work, 2048, fast=0.01), text[:80]


def _nth(texts: Iterator[str], number: int) -> str:
    return next(text for n, text in enumerate(texts) if n == number)


def _bytes(function: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: function(text.encode())


def _refusing(function: Callable[[str], object]) -> Callable[[str], object]:
    def read(text: str) -> None:
        with suppress(ValueError):
            function(text)

    return read


HEADERS = (*gmail_message.METADATA_HEADERS, "Content-Disposition", "Content-ID")


def _resource(text: str) -> dict[str, Any]:
    """A message that has a part of this text wherever a sender can put one."""
    text = text[: len(text) // 8]
    headers = [{"name": name, "value": text} for name in HEADERS]
    data = base64.urlsafe_b64encode(text.encode()).decode()
    part = {
        "headers": headers,
        "filename": text,
        "body": {"size": len(text), "data": data},
    }
    html = [{"name": "Content-Type", "value": "text/html"}]
    return {
        "id": "1",
        "threadId": "1",
        "internalDate": "1",
        "payload": {
            "headers": headers,
            "mimeType": "multipart/mixed",
            "parts": [part, part | {"headers": html, "filename": ""}],
        },
    }


def _part(text: str) -> object:
    return gmail_part.read_part(_resource(text)["payload"], stands_alone=True)


STYLED = (*style_values.SHOWN, "background", "font", "opacity", "overflow")

FORMS = [
    BccAddressFormat.parse(form)
    for form in ("{token}@b.c", "x+{token}@b.c", "a{token}@a.aa")
]


def _bounces(text: str) -> Iterator[dict[str, Any]]:
    """A bounce in plain text, and a report, with this text wherever one goes."""
    data = {"data": base64.urlsafe_b64encode(text.encode()).decode()}
    headers_ = [{"name": "Subject", "value": "Undelivered mail"}]
    yield {
        "payload": {"mimeType": "text/plain", "headers": headers_, "body": data},
    }
    kinds = ("text/html", "message/delivery-status", "text/rfc822-headers")
    parts = [{"mimeType": kind, "body": data} for kind in kinds]
    yield {"payload": {"mimeType": "multipart/report", "parts": parts}}


PARSERS: dict[Any, Callable[[str], object]] = {
    addr_spec.normalise: addr_spec.normalise,
    addr_spec.compose: lambda text: addr_spec.compose(text, text, quoted=True),
    addr_spec.as_written: addr_spec.as_written,
    addr_spec.spell: lambda text: addr_spec.spell(text, text, quoted=True),
    addr_spec.fold: addr_spec.fold,
    addr_spec.normalise_domain: addr_spec.normalise_domain,
    addr_spec.domain_of: addr_spec.domain_of,
    addr_spec.is_within: lambda text: addr_spec.is_within(text, text[1:]),
    address.parse_list: lambda text: address.parse_list([text]),
    address.parse_sender: lambda text: address.parse_sender([text]),
    address.in_domains: lambda text: address.in_domains(text, [text]),
    address.is_listed: lambda text: address.is_listed(text, [text]),
    address.normalise_entry: address.normalise_entry,
    address.clean_name: address.clean_name,
    list_entries.never_log_entry: _refusing(list_entries.never_log_entry),
    list_entries.internal_domain: _refusing(list_entries.internal_domain),
    address_tokens.tokens_of: lambda text: list(address_tokens.tokens_of(text)),
    authentication_results.read_results: authentication_results.read_results,
    stateful_charsets.hz: _bytes(stateful_charsets.hz),
    stateful_charsets.iso_2022_jp: _bytes(stateful_charsets.iso_2022_jp),
    stateful_charsets.iso_2022_kr: _bytes(stateful_charsets.iso_2022_kr),
    stateful_charsets.utf_7: _bytes(stateful_charsets.utf_7),
    stateful_charsets.jis_pair: _bytes(lambda _: stateful_charsets.jis_pair(b"F|")),
    bcc_in_text.without_bcc_addresses: lambda text: [
        bcc_redaction.hide(text, form, cut=True) for form in FORMS
    ],
    bcc_in_text.bytes_without_bcc_addresses: _bytes(
        lambda data: [
            bcc_redaction.hide_in_file("text/plain", data, form) for form in FORMS
        ]
    ),
    gmail_content.snippet_of: lambda text: gmail_content.snippet_of(text, text),
    bounce_signs.is_daemon: bounce_signs.is_daemon,
    bounce_signs.tells_failure: bounce_signs.tells_failure,
    bounce_signs.tells_delay: bounce_signs.tells_delay,
    bounce_signs.may_be_bounce: lambda text: bounce_signs.may_be_bounce(
        [("From", text), ("Return-Path", "<>"), ("Subject", text)], None
    ),
    bounce_text.before_original: bounce_text.before_original,
    bounce_text.addresses_in: lambda text: list(bounce_text.addresses_in(text)),
    bounce_text.recipients_in: bounce_text.recipients_in,
    bounce_text.passage_about: lambda text: bounce_text.passage_about(
        bounce_text.Said(text), ["a@b"]
    ),
    bounce_text.code_in: bounce_text.code_in,
    delivery_reports.report_of: lambda text: [
        delivery_reports.report_of(resource) for resource in _bounces(text)
    ],
    delivery_reports.held_back_reports: lambda text: [
        delivery_reports.held_back_reports(resource) for resource in _bounces(text)
    ],
    charsets.codec_of: charsets.codec_of,
    charsets.decode: _bytes(
        lambda data: [
            charsets.decode(data, name) for name in ("iso-2022-jp", "utf-7", "hz", "x")
        ]
    ),
    charsets.decode_body: _bytes(lambda data: charsets.decode_body(data, "gb18030")),
    charsets.well_formed: charsets.well_formed,
    colours.is_colour: colours.is_colour,
    colours.is_clear: colours.is_clear,
    colours.old_colour: colours.old_colour,
    colours.normal_colour: colours.normal_colour,
    encoded_words.unfold: encoded_words.unfold,
    encoded_words.decode_words: encoded_words.decode_words,
    encoded_words.from_base64: _bytes(encoded_words.from_base64),
    headers.subject_text: headers.subject_text,
    headers.message_ids: lambda text: headers.message_ids([text]),
    headers.parse_date: headers.parse_date,
    headers.is_forward_subject: headers.is_forward_subject,
    headers.values_of: lambda text: headers.values_of([(text, text)], text),
    headers.is_automated: lambda text: headers.is_automated(
        [("Auto-Submitted", text), ("Precedence", text), ("Return-Path", text)]
    ),
    html_box.finished: lambda text: html_box.finished(
        sanitise.safe_html(text), lost=True
    ),
    html_box.in_box: html_box.in_box,
    html_scan.tags_of: lambda text: list(html_scan.tags_of(text)),
    html_scan.attributes_of: lambda text: [
        list(html_scan.attributes_of(text, tag)) for tag in html_scan.tags_of(text)
    ],
    lone_sender.lone_sender: lambda text: [
        lone_sender.lone_sender(f"{text} <a@b.example>"),
        lone_sender.lone_sender(f"<{text}>"),
    ],
    mime_parameters.main_value: mime_parameters.main_value,
    mime_parameters.parameters: mime_parameters.parameters,
    plain_text.word_set: plain_text.word_set,
    plain_text.one_line: plain_text.one_line,
    plain_text.safe_filename: plain_text.safe_filename,
    public_suffixes.is_public_suffix: public_suffixes.is_public_suffix,
    sanitise.safe_html: sanitise.safe_html,
    spellings.mailbox_key: spellings.mailbox_key,
    style_values.length: style_values.length,
    style_values.pixels: style_values.pixels,
    style_values.words: style_values.words,
    style_values.is_image: style_values.is_image,
    authentication.authenticity: lambda text: authentication.authenticity(
        [("Authentication-Results", text)], Address(None, "a@b.example")
    ),
    styles.declarations: styles.declarations,
    styles.is_gone: lambda text: styles.is_gone(dict.fromkeys(STYLED, text)),
    styles.safe_style: lambda text: styles.safe_style(dict.fromkeys(STYLED, text)),
    text_from_html.text_from_html: text_from_html.text_from_html,
    text_from_html.style_of: lambda text: [
        text_from_html.style_of(text, tag) for tag in html_scan.tags_of(text)
    ],
    gmail_part.read_part: _part,
    gmail_part.headers_in: lambda text: gmail_part.headers_in(
        _resource(text)["payload"]
    ),
    gmail_content.content_of: lambda text: gmail_content.content_of(_resource(text)),
    data_pictures.without_pictures: lambda text: data_pictures.without_pictures(
        f"<img src=data:image/png,x>{text}", "x"
    ),
    gmail_bodies.shown: lambda text: gmail_bodies.shown(
        [gmail_bodies.Body(True, text, ()), gmail_bodies.Body(False, text, ())]
    ),
    gmail_content.held_back_bodies: lambda text: gmail_content.held_back_bodies(
        _resource(text)
    ),
    gmail_message.headers_of: lambda text: gmail_message.headers_of(_resource(text)),
    gmail_message.delivered_to: lambda text: gmail_message.delivered_to(
        _resource(text)
    ),
    replying.bare_subject: replying.bare_subject,
    composing.inline_ids: lambda text: composing.inline_ids(text, ()),
}

WORDS = (
    "<a", '"', "'", "<", ">", "(", ")", "\\", ",", ";", ":", "@", "=?utf-8?q?", "?=",
    " ", "\t", "\r\n ", "&#", "&", "<!--", "<div>", "</div>", "<p>", "<td>", "<b x>",
    '<a x="', "style=", "x", "é", "\u0301", "\x1b$B", "~{", "+AAA", "[", "<script>",
    "/*", "Re: ", "cid:", "a@b.c", "%41", "=41", ".", "%25", "&amp;", "\n> ",
    "x+abcdefghij2345672345@b.c ",
)  # fmt: skip


def _repeated(*words: str) -> Callable[[int], str]:
    """Each word repeated, one after the other, in equal parts."""
    return lambda n: "".join(w * (n // len(words) // len(w)) for w in words)


FAMILIES: dict[str, Callable[[int], str]] = {
    **{f"{word!r}": _repeated(word) for word in WORDS},
    **{
        f"{item!r} then {other!r}": _repeated(item, other)
        for item, other in zip(WORDS, WORDS[7:] + WORDS[:7], strict=True)
    },
    **{
        f"{item!r} and {other!r} by turns": _repeated(item + other)
        for item, other in zip(WORDS, WORDS[3:] + WORDS[:3], strict=True)
    },
    "open, then other ends": _repeated("<b>", "<i></i>"),
    "cells in spans in a cell": lambda n: (
        "<td><table>" + _repeated("<span>", "<td></td>")(n)
    ),
    "list items in lists": _repeated("<ul><li>", "</ul>"),
    "attributes": lambda n: "<p " + "a=b " * (n // 4) + ">",
}
SIZE = MAX_HEADER_BYTES // 4


@pytest.mark.parametrize(
    "parser",
    PARSERS,
    ids=lambda parser: getattr(parser, "__qualname__", parser.__name__),
)
def test_no_parser_takes_more_than_linear_time(parser: Any) -> None:
    read = PARSERS[parser]
    for name, family in FAMILIES.items():

        def work(size: int, family: Callable[[int], str] = family) -> Any:
            text = family(size)

            def reading() -> object:
                return read(text)

            return reading

        # 6 µs a character, above which it is worth to look how it grows.
        if cost(work(SIZE), 1) > 6e-6 * SIZE:
            assert grows_linearly(work, SIZE, fast=0.1), name


def test_every_parser_of_text_is_in_the_table() -> None:
    missing = []
    for path in sorted((ROOT / "shared/core/parsing").glob("*.py")):
        module = _module(path)
        for name, function in vars(module).items():
            if (
                inspect.isfunction(function)
                and function.__module__ == module.__name__
                and not name.startswith("_")
                and any(
                    "str" in str(hint) or "bytes" in str(hint)
                    for argument, hint in get_type_hints(function).items()
                    if argument != "return"
                )
                and function not in PARSERS
            ):
                missing.append(f"{path.stem}.{name}")
    assert missing == []
