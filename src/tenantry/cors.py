"""Cross-origin requests: what pages of the origins in CORS_ORIGINS may do (Fetch, 3.2).

Promises: a page of these origins can read every response, errors included; no other page can. A
preflight is answered before anything else sees the request.

Does not promise anything about cookies: none is ever accepted from another origin.
"""

from tenantry.asgi import Headers
from tenantry.errors import HeaderNotAllowed, OriginNotAllowed
from tenantry.settings import Settings

METHODS = b"DELETE, GET, HEAD, PATCH, POST, PUT"
REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "traceparent",
    "x-request-id",
)
RESPONSE_HEADERS = (
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "x-request-id",
)
MAX_AGE = b"7200"  # seconds; Chromium keeps a preflight no longer


class Cors:
    def __init__(self, settings: Settings) -> None:
        self._allowed_headers = {*REQUEST_HEADERS, *settings.cors_allowed_headers}
        exposed = ", ".join(RESPONSE_HEADERS).encode()
        # Caches must not give one origin's response to another.
        self._of_others: Headers = [(b"vary", b"Origin")] if settings.cors_origins else []
        self._of_origins: dict[bytes | None, Headers] = {
            origin.encode(): [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-expose-headers", exposed),
                *self._of_others,
            ]
            for origin in settings.cors_origins
        }

    def response_headers(self, origin: bytes | None) -> Headers:
        """What every response to a request of this origin carries."""
        return self._of_origins.get(origin, self._of_others)

    def preflight(self, headers: Headers) -> Headers | None:
        """The headers that answer a preflight; None where the request is none, or no origin is set.

        Raises:
            OriginNotAllowed, HeaderNotAllowed.
        """
        asked = dict(headers)
        if not self._of_origins or b"access-control-request-method" not in asked:
            return None
        if asked.get(b"origin") not in self._of_origins:
            raise OriginNotAllowed
        wanted = asked.get(b"access-control-request-headers", b"").decode("latin-1").lower()
        names = {name.strip() for name in wanted.split(",")} - {""}
        if refused := sorted(names - self._allowed_headers):
            raise HeaderNotAllowed(
                f"Pages of another origin may not send {', '.join(refused)[:200]}. "
                "Add what your front end sends to CORS_ALLOWED_HEADERS."
            )
        return [
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", ", ".join(sorted(self._allowed_headers)).encode()),
            (b"access-control-max-age", MAX_AGE),
        ]
