"""The routes as data, and how a request finds its handler.

Whatever must hold for every call happens here, so that no handler can forget it: the
caller is known and has the authority that the route declares, ids are well formed,
query and body are checked against their models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from flask import Request, Response
from pydantic import BaseModel
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, RequestRedirect, Rule

from functions.http import fields, problems, reading_bodies
from shared import logs
from shared.bootstrap import Services
from shared.core.access import BACKEND, Authority, Caller, refusal, shares_subaccount
from shared.core.ids import ContactId, MessageId, SubaccountId, UserId, is_id
from shared.services.crm.directory import not_found

Body = TypeVar("Body")
Query = TypeVar("Query")

ANONYMOUS = Caller("anonymous", frozenset())


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One request, checked: what a handler gets."""

    request: Request
    services: Services
    caller: Caller
    ids: Mapping[str, str]
    body: Body
    query: Query

    @property
    def subaccount(self) -> SubaccountId:
        """The subaccount of the path; the caller may touch it."""
        return SubaccountId(self.ids["subaccount"])

    @property
    def user(self) -> UserId:
        """The user of the path."""
        return UserId(self.ids["user"])

    @property
    def contact(self) -> ContactId:
        """The contact of the path."""
        return ContactId(self.ids["contact"])

    @property
    def message(self) -> MessageId:
        """The message of the path."""
        return MessageId(self.ids["message"])


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API, as the dispatcher and the OpenAPI document both read it.

    `authority` says who may make it; there is no call without one.
    `answers` is the model of a good answer, None for an empty one (204), or a media
    type. `lines` is the model of one line of an NDJSON body. `problems` lists the codes
    beyond those that every route of its kind has. `status` is that of a good answer.
    `multipart` is the model of a body that the handler reads itself, as JSON or as form
    data with files; `headers` names request headers that are needed.
    """

    method: str
    path: str
    handler: Callable[[Call[Any, Any]], BaseModel | Response | None]
    summary: str
    answers: type[BaseModel] | str | None
    authority: Authority
    body: type[BaseModel] | None = None
    lines: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    status: int = 200
    multipart: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the ids in the path."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


class _Segment(BaseConverter):
    """One id of a path. A colon begins a verb and is never part of an id."""

    regex = "[^/:]+"


class Router:
    """Finds the route of a request and answers it."""

    def __init__(
        self, routes: Sequence[Route], services: Callable[[], Services]
    ) -> None:
        """Compile the table once; services are built when the first call needs them."""
        self._services = services
        self._map = Map(
            [
                Rule(
                    re.sub(r"\{(\w+)\}", r"<segment:\1>", route.path),
                    methods=[route.method],
                    endpoint=route,
                )
                for route in routes
            ],
            converters={"segment": _Segment},
            merge_slashes=False,
        )

    def answer(self, request: Request) -> Response:
        """Answer one request; raises Problem and whatever the services raise."""
        route, ids = self._find(request)
        logs.add(route=route.path)
        services = self._services()
        caller = self._admit(route, request, services, ids)
        body = reading_bodies.body_of(request, route.body) if route.body else None
        call: Call[Any, Any] = Call(
            request=request,
            services=services,
            caller=caller,
            ids=ids,
            query=reading_bodies.query_of(request, route.query),
            body=body,
        )
        return _written(route.handler(call), route.status)

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        try:
            route, ids = self._map.bind_to_environ(request.environ).match()
        except MethodNotAllowed as error:
            allowed = ", ".join(sorted(error.valid_methods or ()))
            raise problems.make(
                "method_not_allowed", headers={"Allow": allowed}
            ) from None
        except (NotFound, RequestRedirect):
            raise problems.make("not_found") from None
        return cast(Route, route), dict(ids)

    def _admit(
        self, route: Route, request: Request, services: Services, ids: Mapping[str, str]
    ) -> Caller:
        """Say who calls, and refuse what the token does not cover.

        The response is the same for a foreign subaccount and for none: it follows from
        the token and the route, before anything is read.
        """
        if route.authority is Authority.PUBLIC:
            return ANONYMOUS
        caller = services.authentication.caller(request.headers.get("Authorization"))
        refused = refusal(
            route.authority,
            caller,
            user=ids.get("user"),
            subaccount=ids.get("subaccount"),
        )
        if refused is not None:
            raise problems.make(refused)
        _check_ids(ids)
        if "user" in ids and "subaccount" not in ids:
            memberships = services.directory.subaccounts_of(UserId(ids["user"]))
            if not shares_subaccount(caller, memberships):
                raise not_found("user")
        return caller


def _check_ids(ids: Mapping[str, str]) -> None:
    wrong = [
        {"parameter": name, "detail": fields.ID_RULE}
        for name, value in ids.items()
        if not is_id(value)
    ]
    if ids.get("user") == BACKEND:
        wrong.append({"parameter": "user", "detail": fields.USER_RULE})
    if wrong:
        raise problems.make("invalid_request", errors=tuple(wrong))


def _written(result: BaseModel | Response | None, status: int) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status=204)
    return Response(
        result.model_dump_json(by_alias=True),
        status=status,
        content_type="application/json",
    )
