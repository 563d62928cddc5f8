"""Reads, answered without the framework in between.

A GET whose handler takes a `Reading` needs a token, a statement and an envelope; routing it,
injecting into it and wrapping its answer costs Litestar more than all of that.
Promises: a read is answered as Litestar would answer it, and refused as it would refuse; nobody is
let in whom the route's guard would not let in. What is out of the ordinary (a query that does not
fit, an Origin, another form of the path) is left to Litestar, which has the same routes.
"""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope

from tenantry.asgi import Send
from tenantry.db.database import Database
from tenantry.tenancy.guards import Allowed, any_member, asking, note_identity
from tenantry.tenancy.product import Product
from tenantry.tenancy.reading import Reading
from tenantry.tenancy.tokens import Tokens

READING = "reading"


class Reads:
    """The reads of an application, by their path."""

    def __init__(
        self, application: Litestar, database: Database, tokens: Tokens, product: Product
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._product = product
        self._by_path = {
            route.path: _Read(handler)
            for route in application.routes
            if isinstance(route, HTTPRoute)
            for handler in route.route_handlers
            if _is_read(handler)
        }

    async def answer(self, scope: HTTPScope, send: Send) -> bool:
        """Whether it was one of them, and is answered.

        Raises:
            TenantryError: it is refused.
        """
        read = self._by_path.get(scope["path"])
        if read is None or scope["method"] != "GET":
            return False
        if any(name == b"origin" for name, _ in scope["headers"]):
            return False
        who = asking(self._tokens, scope)
        reading = Reading(self._database, self._product, who, read.permission)
        arguments = read.arguments(reading, scope["query_string"])
        if arguments is None:
            return False
        note_identity(scope, who.user, who.organisation)
        answer = await read.handle(**arguments)
        if not reading.entered:
            raise AssertionError(f"{scope['path']} answered without having read")
        body = msgspec.json.encode(answer)
        length = (b"content-length", b"%d" % len(body))
        headers = [(b"content-type", b"application/json"), length]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return True


class _Read:
    def __init__(self, handler: HTTPRouteHandler) -> None:
        self.handle = handler.fn
        (guard,) = handler.resolve_guards()
        self.permission = guard.permission if isinstance(guard, Allowed) else None
        parameters = handler.parsed_fn_signature.parameters.items()
        self._signature = handler.signature_model  # has the types, and their bounds
        self._names = {
            name for name, field in parameters if name != READING and not field.is_optional
        }

    def arguments(self, reading: Reading, query: bytes) -> dict[str, Any] | None:
        """What the handler is given; None: the query does not fit, or says a thing twice."""
        if not query:
            return {READING: reading}
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        named = dict(given)
        if len(named) < len(given) or not named.keys() <= self._names:
            return None
        try:
            model = msgspec.convert({**named, READING: reading}, self._signature, strict=False)
        except msgspec.ValidationError:
            return None
        return msgspec.structs.asdict(model)


def _is_read(handler: HTTPRouteHandler) -> bool:
    """Whether all that it asks for is understood here."""
    parameters = dict(handler.parsed_fn_signature.parameters)
    if parameters.pop(READING, None) is None:
        return False
    guards = handler.resolve_guards()
    guarded = len(guards) == 1 and (guards[0] is any_member or isinstance(guards[0], Allowed))
    return guarded and all(
        isinstance(field.kwarg_definition, QueryParameter) and field.kwarg_definition.query is None
        for field in parameters.values()
    )
