"""Who may touch what."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import (
    Authority,
    Caller,
    may_see_decision,
    may_send,
    refusal,
    shares_subaccount,
)
from tests.support.api import Api

BACKEND = Caller("crm", frozenset({"a", "b"}))
UMA = Caller("uma", frozenset({"a"}))


def test_the_backend_is_nobody() -> None:
    assert BACKEND.is_backend
    assert BACKEND.user is None
    assert not UMA.is_backend
    assert BACKEND.deployment is False
    assert UMA.user == "uma"


OPERATOR = Caller("crm", frozenset(), deployment=True)


@pytest.mark.parametrize(
    ("authority", "caller", "user", "subaccount", "code"),
    [
        (Authority.PUBLIC, BACKEND, None, None, None),
        (Authority.BACKEND, BACKEND, "uma", "a", None),
        (Authority.BACKEND, BACKEND, None, "c", "forbidden"),
        (Authority.BACKEND, UMA, "uma", "a", "backend_only"),
        (Authority.BACKEND, UMA, None, "c", "backend_only"),
        (Authority.BACKEND, OPERATOR, None, "a", "forbidden"),
        (Authority.DEPLOYMENT, OPERATOR, None, None, None),
        (Authority.DEPLOYMENT, BACKEND, None, None, "deployment_only"),
        (Authority.DEPLOYMENT, UMA, None, None, "backend_only"),
        (Authority.OWN_USER, BACKEND, "uma", None, None),
        (Authority.OWN_USER, UMA, "uma", None, None),
        (Authority.OWN_USER, UMA, "uma", "a", None),
        (Authority.OWN_USER, UMA, "uma", "b", "forbidden"),
        (Authority.OWN_USER, UMA, "ute", "a", "backend_only"),
        (Authority.OWN_USER, UMA, "crm", "a", "backend_only"),
        (Authority.OWN_SENDS, UMA, None, "a", None),
        (Authority.OWN_SENDS, UMA, None, "b", "forbidden"),
        (Authority.OWN_MAILBOX, UMA, None, "a", None),
    ],
)
def test_what_a_token_does_not_cover_is_refused_by_the_token_alone(
    authority: Authority, caller: Caller, user: Any, subaccount: Any, code: Any
) -> None:
    refused = refusal(authority, caller, user=user, subaccount=subaccount)
    assert refused == code


@pytest.mark.parametrize(
    ("caller", "kind", "user", "allowed"),
    [
        (BACKEND, "bulk", "uma", True),
        (UMA, "individual", "uma", True),
        (UMA, "individual", "ute", False),
        (UMA, "bulk", "uma", False),
        (UMA, "workflow", "uma", False),
        (UMA, ["individual"], "uma", False),
    ],
)
def test_a_user_sends_individual_email_as_itself(
    caller: Caller, kind: Any, user: Any, allowed: bool
) -> None:
    assert may_send(caller, kind, user) is allowed


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
