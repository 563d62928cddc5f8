"""Who may see /dev: a client on this machine, asking this machine by its own name."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from tenantry.errors import NotFound

# Whose presence says that somebody else asked: a proxy on this machine.
FORWARDING = {"forwarded", "via", "x-real-ip"}


async def this_machine(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Only this machine; a page elsewhere cannot get in by a name that resolves to it either."""
    forwarded = any(
        name in FORWARDING or name.startswith("x-forwarded") for name in connection.headers
    )
    client = connection.client.host if connection.client else ""
    if forwarded or not is_loopback(client) or not is_loopback(_hostname(connection)):
        raise NotFound


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    try:
        return urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
