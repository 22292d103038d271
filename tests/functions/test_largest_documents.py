"""Every kind of document has a bound: what the API takes at its most fits into one.

The memory store counts as Firestore does: a document that does not fit is refused.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from shared.repositories import jobs, paths, sends
from tests.support.api import Api

BOUNDS = {
    "subaccount": "two lists of 1,000 entries: below",
    "member": "a list of 1,000 entries: below; the user's own addresses",
    "user": "ids of subaccounts: limit_reached",
    "unknown_address": "a moment",
    "erasure": "ids",
    "contact": "20 addresses: below",
    "address": "contacts in 400,000 bytes, limit_reached; relations left out when full",
    "message": "the envelope is a blob above 200,000 bytes; 500 copies, 100 bounces",
    "message_id": "entries left out when it is full",
    "thread": "participants and Gmail's threads left out when it is full",
    "mailbox": "100 aliases, 20 former addresses; users: limit_reached",
    "connection": "ids and an address",
    "oauth_flow": "a bounded return_to",
    "oauth_state": "an id",
    "bcc_address": "an id and a number",
    "contact_window": "a day's count",
    "bcc_token": "ids",
    "spent_link": "a moment",
    "session": "ids",
    "decision": "ids, as many as the users' subaccounts",
    "quarantined": "ids and bounded own words",
    "outbox": "an event: ids and an address",
    "send_path": "ids and moments",
    "key_path": "1,000 ids of 32 characters",
    "batch_path": "1,000 contacts: services/test_sending.py",
    "window_path": "a day's sends, at most the cap of 10,000",
    "provider_window_path": "counts by hour",
    "finding_path": "a finding",
    "_path": "a page of a job",
}


def test_every_kind_of_document_is_known_to_be_bounded() -> None:
    made = {
        name
        for module in (paths, sends, jobs)
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and (module is paths or name.endswith("_path"))
    }
    assert made - {"contacts", "messages", "threads", "finding_prefix"} == set(BOUNDS)


def domains(count: int) -> list[str]:
    """Domains of the greatest length that DNS has."""
    label = "d" * 61
    return [f"{n:05}{label[5:]}.{label}.{label}.{label}.com" for n in range(count)]


def addresses(count: int) -> list[str]:
    return [f"{n:05}{'a' * 59}@{name[-180:]}" for n, name in enumerate(domains(count))]


PERSON: dict[str, Any] = {"name": "n" * 256}


@pytest.mark.parametrize("scale", [1, 2])
def test_the_largest_settings_fit_and_larger_ones_are_refused(
    api: Api, scale: int
) -> None:
    lists = {"never_log": addresses(1000), "internal_domains": domains(1000)}
    if scale > 1:
        lists["never_log"] += ["one@more.example"]
    answer = api.call("PUT", "/v1/subaccounts/a", PERSON | lists)
    assert answer.status_code == (200 if scale == 1 else 422)


def test_the_largest_user_and_contact_fit(api: Api) -> None:
    user = PERSON | {"email": "u@ours.example", "never_log": addresses(1000)}
    path = "/v1/subaccounts/a/users/u"
    assert api.call("PUT", path, user).status_code == 200
    contact = PERSON | {"emails": addresses(20)}
    path = f"/v1/subaccounts/a/contacts/{'c' * 128}"
    assert api.call("PUT", path, contact).status_code == 200
    many = PERSON | {"emails": addresses(21)}
    assert api.call("PUT", path, many).status_code == 422
