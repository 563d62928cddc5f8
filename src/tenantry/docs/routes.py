"""GET /, GET /docs, its files, and GET /docs/spec."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from litestar import MediaType, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from tenantry.errors import NotFound

# Swagger UI, as the flask-swagger-ui package ships it; nothing of Flask is imported.
FILES = Path(str(distribution("flask-swagger-ui").locate_file("flask_swagger_ui/dist")))
OURS = Path(__file__).parent
SERVED = {
    "swagger-ui.css": (FILES, "text/css"),
    "swagger-ui-bundle.js": (FILES, "text/javascript"),
    "favicon-32x32.png": (FILES, "image/png"),
    "ws.css": (OURS, "text/css"),
    "ws.js": (OURS, "text/javascript"),
}

# Nothing from elsewhere and nothing inline; Swagger UI draws its icons from data: URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "public, max-age=3600"}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tenantry API</title>
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/files/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/files/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/docs/spec",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


@get("/", public="Documentation.", include_in_schema=False, media_type=MediaType.HTML)
async def home() -> Response[bytes]:
    """What this server is, and where to go on."""
    content = (OURS / "home.html").read_bytes()
    return Response(content, media_type=MediaType.HTML, headers=HEADERS)


@get(
    "/docs",
    public="Documentation.",
    media_type=MediaType.HTML,
    tags=["Operations"],
    summary="This documentation",
    operation_id="docs",
)
async def page() -> Response[str]:
    """Swagger UI, from its own files."""
    return Response(PAGE, media_type=MediaType.HTML, headers=HEADERS)


@get("/docs/files/{name:str}", public="Documentation.", include_in_schema=False)
async def file(name: FromPath[str]) -> Response[bytes]:
    if name == "start.js":
        return Response(START.encode(), media_type="text/javascript", headers=HEADERS)
    if name not in SERVED:
        raise NotFound
    folder, media_type = SERVED[name]
    return Response((folder / name).read_bytes(), media_type=media_type, headers=HEADERS)


@get("/docs/ws", public="Documentation.", include_in_schema=False, media_type=MediaType.HTML)
async def stream_page() -> Response[bytes]:
    """A page to try the event stream with."""
    content = (OURS / "ws.html").read_bytes()
    return Response(content, media_type=MediaType.HTML, headers=HEADERS)


@get(
    "/docs/spec",
    public="Documentation.",
    tags=["Operations"],
    summary="The OpenAPI document",
    operation_id="spec",
)
async def spec(state: State) -> dict[str, Any]:
    """OpenAPI 3.1, made from the handlers."""
    document: dict[str, Any] = state.document()
    return document
