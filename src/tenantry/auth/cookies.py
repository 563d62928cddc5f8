"""The cookie form of the session endpoints: a refresh token that no script of a page can read.

Who sends `X-Session-Cookie: 1` is given the refresh token as a cookie in place of the body, and it
is taken from there where the body has none. Without the header, no cookie is looked at or set.

A page of another site cannot use it, for three reasons, each of which is enough: the header needs a
preflight, which CORS never grants it; the cookie is SameSite=Strict; and what the browser says of
the page that asks is looked at here (docs/decisions/0012).
"""

from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from tenantry.auth.sessions import TokenPair
from tenantry.errors import CrossSiteRequest, FieldError, Invalid
from tenantry.origins import may_ask, own_origin
from tenantry.reply import Reply
from tenantry.settings import Settings

T = TypeVar("T")

HEADER = "X-Session-Cookie"
HEADER_ON_THE_WIRE = HEADER.lower().encode()
NAME = "tenantry_refresh"
SECURE_NAME = f"__Host-{NAME}"  # browsers take it from https only, and for this host only


class RefreshCookie:
    """The cookie of one request. `token` is None where the request is not in the cookie form, and
    empty where it is and the browser has no cookie.
    """

    def __init__(self, request: Request[Any, Any, Any], settings: Settings) -> None:
        self._secure = (settings.public_url or "").startswith("https://")
        self._lifetime = int(settings.jwt_refresh_expires_in.total_seconds())
        self.token: str | None = None
        if not any(name == HEADER_ON_THE_WIRE for name, _ in request.scope["headers"]):
            return
        if request.headers.get(HEADER) != "1":
            raise Invalid(fields=(FieldError(HEADER, f"{HEADER} must be 1, or left out"),))
        elsewhere = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
        if elsewhere or not may_ask(request.scope, own_origin(settings.public_url)):
            raise CrossSiteRequest
        self.token = request.cookies.get(self._name, "")

    def keep(self, reply: Reply[T]) -> Response[Reply[T]]:
        """The answer to a sign-in; in the cookie form, its refresh token is in the cookie."""
        pair = reply.data
        if self.token is None or not isinstance(pair, TokenPair):
            return Response(reply)
        cookie = self._cookie(str(pair.refresh_token), self._lifetime)
        without = msgspec.structs.replace(pair, refresh_token=msgspec.UNSET)
        return Response(msgspec.structs.replace(reply, data=without), cookies=[cookie])

    def clear(self, reply: Reply[T]) -> Response[Reply[T]]:
        """The answer to whose session has ended: the browser forgets the cookie."""
        return Response(reply, headers=self.clearing)

    @property
    def clearing(self) -> dict[str, str]:
        """The same for an error's headers."""
        if self.token is None:
            return {}
        return {"set-cookie": self._cookie("", 0).to_header(header="")}

    @property
    def _name(self) -> str:
        return SECURE_NAME if self._secure else NAME

    def _cookie(self, value: str, lifetime: int) -> Cookie:
        return Cookie(
            self._name,
            value=value,
            max_age=lifetime,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )


def provide_cookie(
    request: Request[Any, Any, Any], settings: NamedDependency[Settings]
) -> RefreshCookie:
    """The dependency `cookie` of the handlers that give, take or end tokens.

    Raises:
        CrossSiteRequest: a page of another origin asks for the cookie form.
        Invalid: the header is not 1.
    """
    return RefreshCookie(request, settings)
