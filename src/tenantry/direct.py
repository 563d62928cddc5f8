"""Calls, answered without the framework in between.

Litestar makes a task of each dependency, and routes, validates and wraps in layers; a handler needs
to be given what the client sends and what the server has.

Promises: a call is answered as Litestar would answer it, and refused as it would refuse; nobody is
let in whom the route's guard would not let in. What is out of the ordinary, in a handler or in a
request, is left to Litestar, which has the same routes and finds the request untouched.
"""

import re
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.types import HTTPScope

from tenantry.asgi import JSON, App, Headers, Receive, Scope, Send
from tenantry.calls import Call, Table
from tenantry.db.database import Database
from tenantry.tenancy.guards import asking, note_identity
from tenantry.tenancy.product import Product
from tenantry.tenancy.reading import Reading
from tenantry.tenancy.tokens import Tokens

HOST = re.compile(rb"[A-Za-z0-9.:\[\]_-]*")


class Calls:
    """The calls of an application, by method and path."""

    def __init__(
        self, application: Litestar, database: Database, tokens: Tokens, product: Product
    ) -> None:
        self._application = application
        self._database = database
        self._tokens = tokens
        self._product = product
        self._calls = Table(application)

    async def answer(self, scope: Scope, receive: Receive) -> App | None:
        """The answer, to be sent; None: the framework has to be asked.

        Raises:
            Exception: whatever the guard or the handler raises.
        """
        found = self._calls.find(scope["method"], scope["path"])
        if found is None or not _is_ordinary(scope["headers"]):
            return None
        call, scope["path_params"] = found
        sent = call.sent(scope)
        if sent is None:
            return None
        scope["app"] = scope["litestar_app"] = self._application
        scope["route_handler"] = call.handler
        if call.only_reads:
            return _Json(call.status, call.encode(await self._read(call, scope, sent)))
        request: Request[Any, Any, Any] = Request(cast(HTTPScope, scope), cast(Any, receive))
        for guard in call.guards:
            await guard(request, call.handler)
        answer = await call.handler.fn(**sent, **call.given(request))
        bare = isinstance(answer, Response) and _is_bare(answer)
        content = answer.content if bare else answer
        if isinstance(content, msgspec.Struct):
            return _Json(call.status, call.encode(content))
        return cast(
            App, await call.handler.to_response(self._application, data=answer, request=request)
        )

    async def _read(self, call: Call, scope: Scope, sent: dict[str, Any]) -> Any:
        """A read lets in, or refuses, as it reads: no guard is asked before."""
        who = asking(self._tokens, cast(HTTPScope, scope))
        reading = Reading(self._database, self._product, who, call.permission)
        note_identity(cast(HTTPScope, scope), who.user, who.organisation)
        answer = await call.handler.fn(**sent, reading=reading)
        if not reading.entered:
            raise AssertionError(f"{scope['path']} answered without having read")
        return answer


class _Json:
    """An answer that is JSON and nothing else."""

    __slots__ = ("_body", "_status")

    def __init__(self, status: int, body: bytes) -> None:
        self._status = status
        self._body = body

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        await send({"type": JSON, "status": self._status, "body": self._body})


def _is_ordinary(headers: Headers) -> bool:
    """Whether Litestar would take the host as well."""
    return all(name != b"host" or HOST.fullmatch(value) for name, value in headers)


def _is_bare(response: Response[Any]) -> bool:
    """Whether it is its content and nothing else."""
    return type(response) is Response and not (
        response.background
        or response.cookies
        or response.headers
        or response.media_type
        or response.response_type_encoders
        or response.status_code
    )
