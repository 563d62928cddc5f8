"""Handlers, and all that is known of them before a request comes: how each is called.

A handler is a `Call` where its guard is known here, and all that it asks for: a JSON body, query
and path parameters, the request, and what the server provides. A product's own guards,
dependencies, hooks and the like are the framework's to see to.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.enums import MediaType, RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, PathParameter, QueryParameter
from litestar.routes import HTTPRoute
from litestar.serialization import get_serializer
from litestar.types import Guard
from litestar.typing import FieldDefinition

from tenantry.asgi import Scope
from tenantry.tenancy.guards import Allowed, any_member, signed_in, signed_in_or_nobody

AsyncGuard: TypeAlias = Callable[[Request[Any, Any, Any], HTTPRouteHandler], Awaitable[None]]
Providers: TypeAlias = dict[str, tuple[Callable[..., Any], tuple[str, ...]]]

DATA, READING = "data", "reading"
OF_THE_REQUEST = {"request", "scope"}
# Who is there is the guard's to find out: what a handler may ask for behind each.
FOUND_BY: dict[Guard, set[str]] = {
    any_member: {"reading", "tenant"},
    signed_in: {"person"},
    signed_in_or_nobody: set(),
}
FOUND_BY_GUARDS = {name for names in FOUND_BY.values() for name in names}
# What a handler or a router can have that is the framework's to do.
UNUSUAL = (
    *("after_request", "after_response", "background", "before_request", "cache", "cache_control"),
    *("etag", "exception_handlers", "middleware", "parameters", "request_class", "response_class"),
    *("response_cookies", "response_headers"),
)


class Call:
    """What is done for one request is `sent`, the guards, `given`, the handler, and `encode`."""

    def __init__(
        self, handler: HTTPRouteHandler, path: Sequence[str], provided: Mapping[str, Provide]
    ) -> None:
        """`path` has the names of the path parameters, in their order."""
        self.handler = handler
        self.path = path
        self.guards = cast(list[AsyncGuard], handler.resolve_guards())
        self.permission = next(
            (guard.permission for guard in self.guards if isinstance(guard, Allowed)), None
        )
        self.encode = msgspec.json.Encoder(
            enc_hook=get_serializer(handler.resolve_type_encoders())
        ).encode
        self.status = handler.status_code
        parameters = handler.parsed_fn_signature.parameters
        self._given = tuple(name for name in parameters if name in {*provided, *OF_THE_REQUEST})
        self._providers = _providers(self._given, provided)
        responds = handler.parsed_fn_signature.return_type.is_subclass_of(Response)
        self.only_reads = self._given == (READING,) and not responds
        self._takes_data = DATA in parameters
        queries = parameters.keys() - {*self._given, *path, DATA}
        self._takes_query = bool(queries)
        self._queries = {name for name in queries if not parameters[name].is_optional}
        self._sent = _model(handler, parameters.keys() - {*self._given})

    def sent(self, scope: Scope) -> dict[str, Any] | None:
        """What of its arguments the client sends; None: it does not fit, or says a thing twice."""
        if self._sent is None:
            return {}
        try:
            values = self._queried(scope["query_string"]) if self._takes_query else {}
            values |= scope["path_params"]
            if self._takes_data:
                values[DATA] = msgspec.json.decode(scope["state"].get("body", b""))
            model = msgspec.convert(values, self._sent, strict=False, str_keys=True)
        except Exception:  # of whatever kind: the framework says what is wrong
            return None
        return msgspec.structs.asdict(model)

    def _queried(self, query: bytes) -> dict[str, Any]:
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
        named: dict[str, Any] = dict(given)
        if len(named) < len(given) or not named.keys() <= self._queries:
            raise ValueError
        return named

    def given(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """What of its arguments the server gives."""
        given = {"request": request, "scope": request.scope}
        for name, (provide, needs) in self._providers.items():
            given[name] = provide(**{need: given[need] for need in needs})
        return {name: given[name] for name in self._given}


class Table:
    """The calls of an application, by method and path: a dictionary for the paths that are fixed,
    and one expression a method for those with parameters.
    """

    def __init__(self, application: Litestar) -> None:
        provided = cast(dict[str, Provide], application.dependencies)
        routes = [route for route in application.routes if isinstance(route, HTTPRoute)]
        self._fixed_paths = {route.path for route in routes if not route.path_parameters}
        self._fixed: dict[tuple[str, str], Call] = {}
        self._with_parameters: dict[str, list[tuple[str, Call]]] = {}
        for route in routes:
            names = tuple(route.path_parameters)
            if any(one.type is not str or one.parser for one in route.path_parameters.values()):
                continue
            for handler in route.route_handlers:
                if not _is_usual(handler, application):
                    continue
                if not _is_understood(handler, names, provided):
                    continue
                call = Call(handler, names, provided)
                for method in handler.http_methods:
                    if names:
                        calls = self._with_parameters.setdefault(method, [])
                        calls.append((route.path_format, call))
                    else:
                        self._fixed[method, route.path] = call
        self._expressions = {
            method: _expression(calls) for method, calls in self._with_parameters.items()
        }

    def find(self, method: str, path: str) -> tuple[Call, dict[str, str]] | None:
        """The call, and its path parameters."""
        if path in self._fixed_paths:
            call = self._fixed.get((method, path))
            return None if call is None else (call, {})
        if method not in self._expressions:
            return None
        expression, calls = self._expressions[method]
        match = expression.fullmatch(path)
        if match is None or match.lastindex is None:
            return None
        call = calls[match.lastindex]
        values = match.groups()[match.lastindex :]
        return call, dict(zip(call.path, values, strict=False))


def _expression(calls: list[tuple[str, Call]]) -> tuple[re.Pattern[str], dict[int, Call]]:
    """One expression for these paths, and the call of each of its outer groups."""
    numbered, expressions, number = {}, [], 1
    for path, call in calls:
        pieces = re.split(r"\{\w+\}", path)
        expressions.append(f"({'([^/]+)'.join(map(re.escape, pieces))})")
        numbered[number] = call
        number += len(pieces)
    return re.compile("|".join(expressions)), numbered


def _providers(names: Iterable[str], provided: Mapping[str, Provide]) -> Providers:
    """What makes each of them, with the names of what it takes, in an order in which that works."""
    found: Providers = {}
    for name in names:
        if name in provided:
            needs = tuple(provided[name].parsed_fn_signature.parameters)
            found |= _providers(needs, provided)
            found[name] = (provided[name].dependency, needs)
    return found


def _model(handler: HTTPRouteHandler, names: Iterable[str]) -> type[msgspec.Struct] | None:
    """What the client sends, with the types and bounds by which the framework validates it."""
    types = handler.signature_model.__annotations__
    parameters = handler.parsed_fn_signature.parameters
    fields = [
        (name, types[name], field.default if field.has_default else msgspec.NODEFAULT)
        for name, field in parameters.items()
        if name in names
    ]
    return msgspec.defstruct("Sent", fields, kw_only=True) if fields else None


def _is_usual(handler: HTTPRouteHandler, application: Litestar) -> bool:
    """Whether nothing is asked of the framework but to call the handler, and send JSON."""
    layers = handler.ownership_layers[1:]  # the first is the application, see app.py
    return (
        not any(getattr(layer, name, None) for layer in layers for name in UNUSUAL)
        and not handler.has_sync_callable
        and handler.media_type in ("", MediaType.JSON)
        and handler.resolve_data_dto() is None
        and handler.resolve_return_dto() is None
        and handler.resolve_request_max_body_size() == application.request_max_body_size
    )


def _is_understood(
    handler: HTTPRouteHandler, path: Sequence[str], provided: Mapping[str, Provide]
) -> bool:
    """Whether its guard, and all that it asks for, is known here."""
    found = _found_by(handler.resolve_guards())
    parameters = handler.parsed_fn_signature.parameters
    if found is None or not parameters.keys() & FOUND_BY_GUARDS <= found:
        return False
    theirs = handler.resolve_dependencies()
    return all(
        theirs[name] is provided.get(name)
        if name in theirs
        else name in OF_THE_REQUEST or _is_sent(name, field, path)
        for name, field in parameters.items()
    )


def _found_by(guards: Sequence[Guard]) -> set[str] | None:
    """What a handler behind these may ask for; None: one of them is not known."""
    if not guards:
        return set()
    guard, *more = guards
    known = any_member if type(guard) is Allowed else guard
    return None if more else next((FOUND_BY[one] for one in FOUND_BY if one is known), None)


def _is_sent(name: str, field: FieldDefinition, path: Sequence[str]) -> bool:
    how = field.kwarg_definition
    if name in path:
        return isinstance(how, PathParameter) and field.annotation is str
    if name == DATA:
        return isinstance(how, BodyKwarg) and how.media_type == RequestEncodingType.JSON
    return isinstance(how, QueryParameter) and how.query is None
