"""Routers: Litestar's, but for one bug of its version 2."""

import litestar
from litestar.routes import HTTPRoute
from litestar.types.internal_types import RouteHandlerMapItem


class Router(litestar.Router):
    """Answers OPTIONS with every method of a path.

    Litestar makes that answer when a path gets its first handler, and keeps it when the path gets
    more (litestar-org/litestar#4169). Left out here, it is made anew each time.
    """

    @property
    def route_handler_method_map(self) -> dict[str, RouteHandlerMapItem]:
        handlers = super().route_handler_method_map
        for route in self.routes:
            if isinstance(route, HTTPRoute):
                handlers[route.path].pop("OPTIONS", None)
        return handlers
