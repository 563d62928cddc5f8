"""Origins: which pages are the server's own, as the browser says it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def own_origin(public_url: str | None) -> set[str]:
    """PUBLIC_URL's, where it is set."""
    if not public_url:
        return set()
    public = urlsplit(public_url.lower())
    return {f"{public.scheme}://{public.netloc}"}


def may_ask(scope: Mapping[str, Any], allowed: set[str]) -> bool:
    """Whether the page that asks is of the host that it asks, or of these origins; also where no
    page does, as only browsers say which (RFC 6454, 7).
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return not origin or origin in {f"http://{host}", f"https://{host}"} | allowed
