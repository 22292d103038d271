"""Who may touch what."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import (
    Caller,
    may_name_user,
    may_see_decision,
    may_touch_subaccount,
    shares_subaccount,
)
from tests.support.api import Api

BACKEND = Caller("crm", frozenset({"a", "b"}))
UMA = Caller("uma", frozenset({"a"}))


def test_the_backend_is_nobody() -> None:
    assert BACKEND.is_backend
    assert BACKEND.user is None
    assert not UMA.is_backend
    assert UMA.user == "uma"


@pytest.mark.parametrize(
    ("caller", "subaccount", "allowed"),
    [(BACKEND, "a", True), (BACKEND, "c", False), (UMA, "a", True), (UMA, "b", False)],
)
def test_only_the_subaccounts_of_the_token(
    caller: Api, subaccount: Any, allowed: Any
) -> None:
    assert may_touch_subaccount(caller, subaccount) is allowed


@pytest.mark.parametrize(
    ("caller", "user", "allowed"),
    [
        (BACKEND, "uma", True),
        (UMA, "uma", True),
        (UMA, "ute", False),
        (UMA, "crm", False),
    ],
)
def test_a_user_names_only_the_own_connection(
    caller: Api, user: Any, allowed: Any
) -> None:
    assert may_name_user(caller, user) is allowed


@pytest.mark.parametrize(
    ("memberships", "allowed"), [(("a", "z"), True), (("z",), False), ((), False)]
)
def test_a_user_belongs_to_one_of_the_tokens_subaccounts(
    memberships: Any, allowed: Any
) -> None:
    assert shares_subaccount(BACKEND, memberships) is allowed


@pytest.mark.parametrize(
    ("caller", "users", "members", "allowed"),
    [
        (BACKEND, {"uma"}, {"uma", "ute"}, True),
        (BACKEND, {"uma"}, {"ute"}, False),
        (BACKEND, set(), {"ute"}, False),
        (UMA, {"uma"}, {"uma"}, True),
        (UMA, {"ute"}, {"uma", "ute"}, False),
        (UMA, {"uma"}, {"ute"}, False),
    ],
)
def test_a_decision_is_shown_to_whom_it_concerns(
    caller: Api, users: Any, members: Any, allowed: Any
) -> None:
    assert may_see_decision(caller, users, members) is allowed
