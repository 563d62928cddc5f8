"""The application: every route, what they share, and one place that answers errors."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from os import environ
from typing import Any, cast
from weakref import WeakValueDictionary

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ControllerRouterHandler, Scope

from tenantry import asgi, logs, settings
from tenantry.account import routes as account
from tenantry.activities.routes import router as activities
from tenantry.attempts import Attempts, Turns
from tenantry.auth.cookies import provide_cookie
from tenantry.auth.proofs import Prover
from tenantry.auth.relying_party import RelyingParty
from tenantry.auth.routes import router as auth
from tenantry.auth.vault import Vault
from tenantry.console import routes as console
from tenantry.db.branches import heads
from tenantry.db.database import Database, unreachable
from tenantry.dev.mail import router as development_mail
from tenantry.direct import Calls
from tenantry.docs import routes as docs
from tenantry.docs.spec import document
from tenantry.edge import Edge
from tenantry.errors import (
    BadRequest,
    FieldError,
    Invalid,
    NotAllowed,
    NotFound,
    TenantryError,
    Unavailable,
)
from tenantry.feature import Feature, installed, migrations_of, product_of
from tenantry.health import health, ready
from tenantry.inputs import field_errors
from tenantry.mail import Mail
from tenantry.organisations.routes import router as organisations
from tenantry.passwords import Passwords
from tenantry.ratelimit import RateLimiter
from tenantry.realtime import routes as realtime
from tenantry.realtime.gateway import Gateway, plain_request
from tenantry.realtime.heartbeat import Heartbeat
from tenantry.realtime.hub import Hub
from tenantry.realtime.wake import RedisWake
from tenantry.reply import ErrorReply, error_reply
from tenantry.settings import Settings
from tenantry.tenancy.guards import provide_person, provide_tenant
from tenantry.tenancy.reading import provide_reading
from tenantry.tenancy.tokens import Tokens
from tenantry.users.routes import router as users

log = structlog.get_logger()

ROUTES: list[ControllerRouterHandler] = [
    auth,
    organisations,
    users,
    activities,
    *realtime.routers,
    plain_request,
    health,
    ready,
    docs.home,
    docs.page,
    docs.file,
    docs.spec,
    docs.stream_page,
    account.page,
    account.file,
    console.page,
    console.file,
]


# What handlers are given by the server, not by the client.
GIVEN = (
    "attempts",
    "cookie",
    "database",
    "heads",
    "hub",
    "mail",
    "passwords",
    "person",
    "product",
    "prover",
    "reading",
    "settings",
    "tenant",
    "tokens",
)


def describe(config: Settings, features: Sequence[Feature] = ()) -> dict[str, Any]:
    """The OpenAPI document of the server with these features; needs nothing that runs.

    Raises:
        PlansError: the plans cannot be read.
    """
    return document(_routes(features), GIVEN, product_of(config, features))


def _routes(features: Sequence[Feature]) -> list[ControllerRouterHandler]:
    return [*ROUTES, *(route for feature in features for route in feature.routes)]


class Server(Edge):
    """The edge, with the application behind it, whose routes `tenantry.testing` attacks."""

    litestar: Litestar


def create_app(config: Settings, features: Sequence[Feature] = ()) -> Server:
    """The whole server as one ASGI application. Its lifespan opens and closes everything.

    Raises:
        PlansError: the plans cannot be read.
        SchemaError: a feature's migrations are missing.
    """
    assert config.database_url, "the server prepares the database, see tenantry.server"
    ours = product_of(config, features)
    needed = heads(migrations_of(features))
    routes = _routes(features)
    wake = RedisWake(config.redis_url) if config.redis_url else None
    database = Database(config.database_url, wake.publish if wake else None)
    tokens = Tokens(config)
    mail = Mail(config)
    turns: Turns = WeakValueDictionary()
    passwords = Passwords(config.password_min_length)
    prover = Prover(Vault(config.jwt_refresh_secret), RelyingParty(config))
    hub = Hub(database, config)
    heartbeat = Heartbeat()
    limiter = RateLimiter(config)

    def provide_attempts(scope: Scope) -> Attempts:
        return Attempts(mail, turns, scope["client"][0] if scope["client"] else "")

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        hub.start()
        heartbeat.start()
        if wake:
            wake.start(database, hub)
        try:
            yield
        finally:
            if wake:
                await wake.stop()
            heartbeat.stop()
            await hub.stop()
            passwords.close()
            await limiter.close()
            await database.close()

    dependencies = {
        "attempts": Provide(provide_attempts, sync_to_thread=False),
        "cookie": Provide(provide_cookie, sync_to_thread=False),
        "database": Provide(lambda: database, sync_to_thread=False),
        "heads": Provide(lambda: needed, sync_to_thread=False),
        "hub": Provide(lambda: hub, sync_to_thread=False),
        "mail": Provide(lambda: mail, sync_to_thread=False),
        "passwords": Provide(lambda: passwords, sync_to_thread=False),
        "person": Provide(provide_person, sync_to_thread=False),
        "product": Provide(lambda: ours, sync_to_thread=False),
        "prover": Provide(lambda: prover, sync_to_thread=False),
        "reading": Provide(provide_reading, sync_to_thread=False),
        "settings": Provide(lambda: config, sync_to_thread=False),
        "tenant": Provide(provide_tenant, sync_to_thread=False),
        "tokens": Provide(lambda: tokens, sync_to_thread=False),
    }
    assert dependencies.keys() == set(GIVEN)
    application = Litestar(
        [*routes, development_mail] if mail.sends and not mail.configured else routes,
        lifespan=[lifespan],
        dependencies=dependencies,
        state=State(
            {
                "database": database,
                "tokens": tokens,
                "product": ours,
                "document": cache(lambda: document(routes, GIVEN, ours)),
            }
        ),
        exception_handlers={Exception: answer_error},
        openapi_config=None,
        logging_config=None,
    )
    calls = Calls(application, database, tokens, ours)
    gateway = Gateway(database, tokens, ours, hub, heartbeat, config)

    async def by_kind(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["hub"] = hub  # for the protocols, which hear of a shutdown first
        app = gateway if scope["type"] == "websocket" else cast(asgi.App, application)
        if scope["type"] == "http":
            try:
                app = await calls.answer(scope, receive) or app
            except Exception as error:  # the edge answers it
                raise _answered(scope, error) from None
        await app(scope, receive, send)

    server = Server(by_kind, settings=config, database=database, limiter=limiter)
    server.litestar = application
    return server


def from_environment() -> asgi.App:
    """What a server process runs; see tenantry.server, which prepares its environment."""
    logs.configure()
    app = create_app(settings.load(environ), installed())
    # What a start leaves stays: to look through it for garbage would stop everything for 50 ms.
    gc.collect()
    gc.freeze()
    return app


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorReply]:
    """Where an exception becomes an answer of the framework's."""
    answered = _answered(cast(asgi.Scope, request.scope), error)
    return Response(
        error_reply(answered, request.scope["state"]["request_id"]),
        status_code=answered.status,
        headers=answered.headers,
        media_type="application/json",
    )


def _answered(scope: asgi.Scope, error: Exception) -> TenantryError:
    """The one place that says what a client is told of an exception."""
    answered = _understood(scope, error)
    if answered.status >= 500:
        scope["state"]["broken"] = True  # whatever its connection was doing
    return answered


def _understood(scope: asgi.Scope, error: Exception) -> TenantryError:
    match error:
        case TenantryError():
            return error
        case NotFoundException():
            return NotFound()
        case MethodNotAllowedException():
            return NotAllowed(headers=dict(error.headers or {}))
        case ValidationException():
            return Invalid(fields=_fields(scope, error))
        case ClientException():
            return BadRequest("The body is not valid JSON")
        case HTTPException(status_code=status) if status < 500:
            return BadRequest()
        case UnicodeDecodeError() | RecursionError() if not _readable(scope):
            return BadRequest("The body is not valid JSON")
    return _fault(error, scope)


def _fault(error: Exception, scope: asgi.Scope) -> TenantryError:
    """What the client is told where it is not the client's fault; the log is told the rest."""
    if unreachable(error):
        log.warning("the database is away", error=repr(error))
        return Unavailable(headers={"retry-after": "2"})
    log.error(
        "a request failed",
        request_id=scope["state"]["request_id"],
        path=scope["path"],
        exc_info=error,
    )
    return TenantryError()


def _readable(scope: asgi.Scope) -> bool:
    try:
        msgspec.json.decode(scope["state"].get("body", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _fields(scope: asgi.Scope, error: ValidationException) -> tuple[FieldError, ...]:
    data = scope["route_handler"].parsed_data_field
    if data is not None:
        body = scope["state"].get("body") or b"null"
        return field_errors(data.annotation, msgspec.json.decode(body))
    extra = error.extra if isinstance(error.extra, list) else []
    return tuple(FieldError(item.get("key", ""), item["message"]) for item in extra)
