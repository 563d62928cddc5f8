"""GET /console, any address below it, and its files.

The page is the same at every address: its script shows the view that the address names, so that
links into the console work. It is made of plain ES modules and one style sheet, as they are here.
"""

import hashlib
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from tenantry.errors import NotFound
from tenantry.settings import Settings

FOLDER = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {
    f"/{path.relative_to(FOLDER).as_posix()}": path
    for path in FOLDER.rglob("*.*")
    if path.suffix in TYPES
}

# Nothing from elsewhere, nothing inline, and no script can make markup of text. The pictures in
# data: addresses are the codes to scan.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-cache"}


@get(
    ["/console", "/console/{view:path}"],
    public="Who opens it is not signed in yet.",
    include_in_schema=False,
)
async def page(
    request: Request[Any, Any, Any], settings: NamedDependency[Settings]
) -> Response[bytes]:
    content = (FOLDER / "index.html").read_text()
    minimum = str(settings.password_min_length)
    return _answer(request, content.replace("PASSWORD_MIN_LENGTH", minimum).encode(), "text/html")


@get("/console/files/{name:path}", public="What the page is made of.", include_in_schema=False)
async def file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    if name not in FILES:
        raise NotFound
    path = FILES[name]
    return _answer(request, path.read_bytes(), TYPES[path.suffix])


def _answer(request: Request[Any, Any, Any], content: bytes, media_type: str) -> Response[bytes]:
    """The content, or 304 where the browser has it already."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**HEADERS, "etag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(b"", status_code=304, media_type=MediaType.TEXT, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
