"""Rate limits: how many requests one client may make, over all and under /api/auth.

What only reads there (who is signed in), or asks beforehand (OPTIONS), is no attempt at anything,
and counts over all only. The console's own files do not count: a page is made of some fifty.

A client is an address; an IPv6 one counts by its /64, which is what one subscriber is given.
Counts are the process's own, or shared by all processes and nodes through Redis. If Redis goes
away, each process counts for itself until it is back: limits get wider, never absent.
"""

import ipaddress
import time
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.errors import StorageError

from tenantry.settings import Settings

log = structlog.get_logger()


CONSOLE = "/console"
CLIENT = "/api/realtime/client.js"  # which is one of its files
SAFE = {"GET", "HEAD", "OPTIONS"}  # RFC 9110, 9.2.1
REDIS_TIMEOUT = 0.25  # seconds that Redis may hold a request up
REDIS_PAUSE = 1.0  # seconds until a Redis that is away is asked again


class Verdict(NamedTuple):
    """The state of the limit that a request is nearest to; `reset` is in seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: str | None  # "global", "auth" or None


@lru_cache(maxsize=4096)
def client_key(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket's, or what a proxy passed on: all of them are one client
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


class RateLimiter:
    def __init__(self, settings: Settings) -> None:
        self._global = settings.rate_limit_global
        self._auth = settings.rate_limit_auth
        self._local = MemoryStorage()
        self._redis: RedisStorage | None = None
        self._redis_away_until = 0.0
        if settings.redis_url:
            self._redis = RedisStorage(
                f"async+{settings.redis_url}",
                implementation="redispy",
                wrap_exceptions=True,
                socket_timeout=REDIS_TIMEOUT,
                socket_connect_timeout=REDIS_TIMEOUT,
            )

    async def close(self) -> None:
        if self._redis:
            bridge: Any = self._redis.bridge
            await bridge.storage.aclose()  # the redis.asyncio client

    async def check(self, method: str, path: str, address: str) -> Verdict | None:
        """Count one request; None where no limit applies to it."""
        if path in (CONSOLE, CLIENT) or path.startswith(f"{CONSOLE}/"):
            return None
        client = client_key(address)
        verdict = None
        if self._auth and method not in SAFE and is_auth(path):
            verdict = await self._count("auth", self._auth, client)
        if self._global and not (verdict and verdict.exceeded):
            over_all = await self._count("global", self._global, client)
            if verdict is None or over_all.exceeded or over_all.remaining < verdict.remaining:
                verdict = over_all
        return verdict

    async def _count(self, name: str, item: RateLimitItem, client: str) -> Verdict:
        if self._redis and time.monotonic() >= self._redis_away_until:
            try:
                return await _hit(self._redis, name, item, client)
            except StorageError as error:
                self._redis_away_until = time.monotonic() + REDIS_PAUSE
                log.warning("rate limits are counted locally: Redis is away", error=str(error))
        return await _hit(self._local, name, item, client)


def is_auth(path: str) -> bool:
    """Whether the path is under /api/auth, as the router reads it: it drops empty segments."""
    return [segment for segment in path.split("/") if segment][:2] == ["api", "auth"]


async def _hit(storage: Storage, name: str, item: RateLimitItem, client: str) -> Verdict:
    """One request in a fixed window, which begins with a client's first."""
    key = item.key_for(name, client)
    hits = await storage.incr(key, item.get_expiry())
    reset = max(0, round(await storage.get_expiry(key) - time.time()))
    remaining = item.amount - hits
    return Verdict(item.amount, max(0, remaining), reset, name if remaining < 0 else None)
