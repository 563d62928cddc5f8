"""The OpenAPI 3.1 document: Litestar's, completed with what the handlers declare.

A handler's `guards` become its security, with the permission that they ask for; its `answers` the
documented errors, with the envelope as their schema and the contract's sentence as their example.
Where a handler has neither guard nor `public`, `undeclared` finds it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler, Guard

from tenantry import __version__
from tenantry.auth import cookies
from tenantry.docs import schemas
from tenantry.errors import (
    BadRequest,
    CrossSiteRequest,
    FieldError,
    Forbidden,
    Invalid,
    OriginNotAllowed,
    SecondFactorRequired,
    TenantryError,
    TokenInvalid,
    TokenMissing,
    TooLarge,
    TooMany,
    TooManyAuthAttempts,
    TooManyConnections,
    TooSlow,
    Unavailable,
)
from tenantry.reply import error_reply
from tenantry.tenancy.guards import Allowed, signed_in, signed_in_or_nobody
from tenantry.tenancy.product import OURS, Product

DESCRIPTION = """
The multi-tenant SaaS backend: accounts, organisations, members and invites, plans with seat
limits, an activity feed and real-time events.

**Try it**: run *register*, copy `accessToken` from the answer, press *Authorize* and paste it.
Every answer is an envelope of `success`, `message` and `data`; an error has a stable `code` and
the `requestId` to look for in the log.
"""

WEBSOCKET: dict[str, Any] = {
    "get": {
        "tags": ["Real time"],
        "operationId": "connect",
        "summary": "The event stream (WebSocket)",
        "description": """
A WebSocket that sends the organisation's activities as they are committed. The first message is
`{"type":"CONNECTED","payload":{"message":"Connected to real-time channel"},"seq":41}`, where `seq`
is the organisation's last; then each event is `{"type","payload","seq","at"}`, its `seq` being its
place in the feed. `{"type":"PING"}` is answered `{"type":"PONG"}`; what is no JSON is ignored.

A client that was away comes back with `after`, the last `seq` that it has: it is sent what it
missed, then the live stream, without a hole or a double. One that missed too much is sent
`{"type":"RESYNC","payload":{"after":12,"seq":41},"seq":41}` instead: it reads its state anew, and
the stream goes on after 41. `GET /api/events` is the same stream as server-sent events.

Who connects is settled by a ticket, an access token in the query, or one offered as a subprotocol:
`new WebSocket(url, ["bearer", token])`. A page may connect from this server's own origin and from
CORS_ORIGINS.

{events}

| close code | meaning | come back? |
|---|---|---|
| 1012 | the server restarts | yes, after the time that the reason says |
| 1013 | the client leaves more than 1 MiB unread | yes, with `after` |
| 1011 | the client does not answer pings | yes, with `after` |
| 1008 | the client sends too many messages | yes, and sends fewer |
| 1009 | a message of the client was larger than 64 KiB | yes |
| 1002, 1007 | what the client sent is no WebSocket protocol, or no UTF-8 | when that is mended |
| 4001 | the session has ended, or the organisation asks for a second factor that it has not given \
| after signing in again |
| 4003 | removed from the organisation; the event itself goes to the others | no |
| 4004 | the organisation was deleted | no |
""",
        "parameters": [
            {
                "name": "ticket",
                "in": "query",
                "description": "A ticket of POST /api/realtime/ticket. It works once.",
                "schema": {"type": "string"},
            },
            {
                "name": "token",
                "in": "query",
                "description": "An access token, in place of a ticket, which is to be preferred: "
                "addresses end up in logs and histories.",
                "schema": {"type": "string"},
            },
            {
                "name": "after",
                "in": "query",
                "description": "The last `seq` that the client has.",
                "schema": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
            },
        ],
        "responses": {
            "101": {"description": "The WebSocket is open."},
            "401": {
                "description": "Neither ticket nor token, or a wrong, used or expired one.",
                "content": {
                    "text/plain": {
                        "schema": {"type": "string"},
                        "examples": {
                            "missing": {"value": "Missing token"},
                            "invalid": {"value": "Invalid or expired token"},
                        },
                    }
                },
            },
            "426": {
                "description": "The request was no WebSocket handshake.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        },
    }
}

SOCKET_ERRORS = (OriginNotAllowed, Invalid, TooMany, TooManyConnections, Unavailable)

COOKIE_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": cookies.HEADER,
        "in": "header",
        "description": "With it, a page of this server has its refresh token as an HttpOnly "
        "cookie: answers set it in place of `refreshToken`, and where a request has no "
        "`refreshToken`, it is taken from there.",
        "schema": {"type": "string", "const": "1"},
    },
    {
        "name": cookies.NAME,
        "in": "cookie",
        "description": f"Called `{cookies.SECURE_NAME}` where PUBLIC_URL is https. Looked at only "
        f"with {cookies.HEADER}.",
        "schema": {"type": "string"},
    },
]

TAGS = [
    Tag("Authentication", "Accounts and sessions."),
    Tag("Organisations", "The organisation that the token is for."),
    Tag("Users", "Members and invites."),
    Tag("Activities", "What has happened, page by page."),
    Tag("Real time", "What happens, as it happens."),
    Tag("Operations", "For load balancers and orchestrators."),
]


def handlers_of(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Every handler with its path, as the document writes it, and method."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield route.path_format, method, handler


def undeclared(app: Litestar) -> list[str]:
    """The routes that have neither a guard nor a declared reason for being public."""
    return [
        f"{method} {path}"
        for path, method, handler in handlers_of(app)
        if not handler.resolve_guards() and not handler.opt.get("public")
    ]


def document(
    route_handlers: list[ControllerRouterHandler],
    dependencies: Iterable[str],
    product: Product = OURS,
) -> dict[str, Any]:
    """The document of these routes. Takes about a tenth of a second, so make it once.

    `dependencies` names what handlers are given by the server, not by the client.
    """
    # An application of its own, as one with a schema serves it at addresses of Litestar's.
    app = Litestar(
        route_handlers,
        logging_config=None,  # or it would set up the whole process's logging
        dependencies={name: Provide(lambda: None, sync_to_thread=False) for name in dependencies},
        openapi_config=OpenAPIConfig(
            title="Tenantry",
            version=__version__,
            description=DESCRIPTION.strip(),
            use_handler_docstrings=True,
            tags=TAGS,
            components=Components(
                security_schemes={
                    "bearer": SecurityScheme(
                        type="http",
                        scheme="bearer",
                        bearer_format="JWT",
                        description="The `accessToken` of register, login or refresh.",
                    )
                }
            ),
        ),
    )
    spec: dict[str, Any] = msgspec.json.decode(_named(app.openapi_schema.to_schema()))
    spec = schemas.with_own_names(spec)
    errors = set(SOCKET_ERRORS)
    for path, method, handler in handlers_of(app):
        operation = spec["paths"].get(path, {}).get(method.lower())
        if operation:
            errors.update(_complete(operation, handler))
    spec["components"]["schemas"].update(schemas.of_errors(errors))
    for name, definition in spec["components"]["schemas"].items():
        if name.endswith("Input"):
            definition["additionalProperties"] = False  # which Litestar leaves out
    spec = schemas.complete(spec, product)
    spec["paths"]["/ws"] = socket = deepcopy(WEBSOCKET)
    description = socket["get"]["description"]
    socket["get"]["description"] = description.replace("{events}", _event_table(product))
    _document(socket["get"], SOCKET_ERRORS)
    return spec


def _event_table(product: Product) -> str:
    rows = ["| event | payload |", "|---|---|"]
    for type_, event in product.events.items():
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(event))
        rows.append(f"| {type_} | {fields} |")
    return "\n".join(rows)


def _named(schema: dict[str, Any]) -> str:
    """The document as JSON, its generic schemas called SignedInReply, not Reply_a.b.SignedIn_."""
    text = msgspec.json.encode(schema).decode()
    text = re.sub(r"(Reply|Page)_list_(?:\w+\.)*(\w+)_(?=\")", r"\2List\1", text)
    one = r"(?:[a-z_]+\.)+([A-Z]\w*?)"
    text = re.sub(rf"(Reply|Page)_{one}_{one}_(?=\")", r"\2Or\3\1", text)
    text = re.sub(r"(Reply|Page)_(?:\w+\.)*(\w+)_(?=\")", r"\2\1", text)
    return text.replace("NoneTypeReply", "EmptyReply")


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> list[type[TenantryError]]:
    """Document what the handler declares; gives the errors that it can answer."""
    for parameter in operation.get("parameters", []):
        _without_null(parameter["schema"])
    errors: list[type[TenantryError]] = list(handler.opt.get("answers", ()))
    if "cookie" in handler.parsed_fn_signature.parameters:
        operation["parameters"] = [*operation.get("parameters", []), *COOKIE_PARAMETERS]
        errors.append(CrossSiteRequest)
    guards = handler.resolve_guards()
    if guards:
        errors += _guarded(operation, guards)
    if "requestBody" in operation:
        errors += [BadRequest, TooSlow, TooLarge]
    if "requestBody" in operation or operation.get("parameters"):
        errors.append(Invalid)
    errors.append(TooMany)
    if "attempts" in handler.parsed_fn_signature.parameters:
        errors.append(TooManyAuthAttempts)
    if guards or "database" in handler.parsed_fn_signature.parameters:
        errors.append(Unavailable)
    operation["responses"].pop("400", None)  # Litestar's own; ours follow
    _document(operation, errors)
    return errors


def _guarded(operation: dict[str, Any], guards: Sequence[Guard]) -> list[type[TenantryError]]:
    """Document who may call it; gives the errors for who may not."""
    allowed = [guard for guard in guards if isinstance(guard, Allowed)]
    # OpenAPI 3.1: of a scheme that has no scopes, what its holder must be able to do.
    operation["security"] = [{"bearer": [guard.permission for guard in allowed]}]
    errors: list[type[TenantryError]] = [TokenInvalid]
    if signed_in_or_nobody in guards:
        operation["security"].append({})
    else:
        errors.insert(0, TokenMissing)
    if not {signed_in, signed_in_or_nobody}.intersection(guards):
        errors.append(SecondFactorRequired)
    if allowed:
        errors.append(Forbidden)
    return errors


def _document(operation: dict[str, Any], errors: Iterable[type[TenantryError]]) -> None:
    for error in errors:
        answer = operation["responses"].setdefault(
            str(error.status), {"description": "", "content": _content(schemas.ref("ErrorReply"))}
        )
        sentences = answer["content"]["application/json"]["examples"]
        sentences[error.code] = {"value": _example(error)}
        answer["description"] = " or ".join(f"`{code}`" for code in sentences)


def _without_null(schema: dict[str, Any]) -> None:
    """An optional parameter is one that can be left out; there is no null in a query string."""
    kinds = [kind for kind in schema.pop("oneOf", []) if kind != {"type": "null"}]
    if kinds:
        schema.update(kinds[0])


def _content(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "examples": {}}}


def _example(error: type[TenantryError]) -> Any:
    fields = (FieldError("email", "email must be an email address"),) if error is Invalid else ()
    shown = error_reply(error(fields=fields), "0193f0a2c4d17a3f9b1e6c5d2a8f4e07")
    return msgspec.to_builtins(shown)
