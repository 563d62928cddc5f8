"""/api/realtime and /api/events."""

from pathlib import Path

from litestar import Response, get

from tenantry.realtime.events import listen
from tenantry.realtime.presence import list_present
from tenantry.realtime.tickets import issue_ticket
from tenantry.routing import Router

CLIENT = Path(__file__).with_name("client.js")


@get("/client.js", public="Code that anybody may read.", include_in_schema=False)
async def client() -> Response[bytes]:
    """The client for browsers, as an ES module."""
    return Response(
        CLIENT.read_bytes(),
        media_type="text/javascript",
        headers={"cache-control": "public, max-age=3600"},
    )


routers = [
    Router(
        "/api/realtime", route_handlers=[issue_ticket, list_present, client], tags=["Real time"]
    ),
    Router("/api/events", route_handlers=[listen], tags=["Real time"]),
]
