"""/api/realtime and /api/events."""

from litestar import Router

from tenantry.realtime.events import listen
from tenantry.realtime.presence import list_present
from tenantry.realtime.tickets import issue_ticket

routers = [
    Router("/api/realtime", route_handlers=[issue_ticket, list_present], tags=["Real time"]),
    Router("/api/events", route_handlers=[listen], tags=["Real time"]),
]
