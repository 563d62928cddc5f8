"""GET /account/<action>: the pages behind the links in mails, for who has no front end yet.

A link's token is in its fragment, which no browser sends: it is in no log and no referrer. Opening
a page spends nothing, as mail scanners open links too; that takes a press of the button.
"""

from pathlib import Path

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from tenantry.errors import NotFound
from tenantry.mail import Action
from tenantry.settings import Settings

PAGES = (*Action, "forgot-password")
FOLDER = Path(__file__).parent
SERVED = {"account.css": "text/css", "account.js": "text/javascript"}

# Nothing from elsewhere, nothing inline, and no script can make markup of text. The one image is
# the empty icon.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-cache"}


@get(
    [f"/account/{action}" for action in PAGES],
    public="Who opens the link in a mail is not signed in.",
    include_in_schema=False,
    media_type=MediaType.HTML,
)
async def page(settings: NamedDependency[Settings]) -> Response[str]:
    """One page for all: its script shows the part that the address names."""
    content = (FOLDER / "account.html").read_text()
    minimum = str(settings.password_min_length)
    return Response(
        content.replace("PASSWORD_MIN_LENGTH", minimum), media_type=MediaType.HTML, headers=HEADERS
    )


@get(
    "/account/files/{name:str}",
    public="What the pages are made of.",
    include_in_schema=False,
)
async def file(name: FromPath[str]) -> Response[bytes]:
    if name not in SERVED:
        raise NotFound
    return Response((FOLDER / name).read_bytes(), media_type=SERVED[name], headers=HEADERS)
