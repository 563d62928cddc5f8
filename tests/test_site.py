"""`make docs`: the site is built strictly, has all of the reference, and needs no other host."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tools.docs.operations import operations_of

from tenantry import errors
from tenantry.app import describe
from tenantry.cli import COMMANDS
from tenantry.errors import TenantryError
from tenantry.settings import Settings, variables
from tests.conftest import needs

ROOT = Path(__file__).parent.parent
ELSEWHERE = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)

# What a page loads by itself; links are for a reader to follow.
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a broken link or anchor would fail it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class TestReference:
    def test_has_every_operation_with_who_may_call_it(self, site: Path) -> None:
        operations = list(operations_of(describe(Settings())))
        assert len(operations) > 60
        for operation in operations:
            page = read(site, operation.page.removesuffix(".md"))
            section = page.partition(f'<h2 id="{operation.id}"')[2].partition("<h2 ")[0]
            assert f"<code>{operation.path}</code>" in section, operation.id
            assert operation.who.replace("`", "") in plain(section), operation.id
            for _, code in operation.errors:
                assert f"<code>{code}</code>" in section, (operation.id, code)

    def test_shows_a_body_field_by_field_and_as_an_example(self, site: Path) -> None:
        page = plain(read(site, "api/users"))
        section = page.partition("Invite somebody ¶ ")[2].partition("Accept an invite ¶")[0]
        assert "members with the permission members:invite" in section
        assert "email string, up to 254 characters needed" in section
        assert """-d '{"email": "ada@example.com"}'""" in section

    def test_has_every_error_code_with_its_sentence(self, site: Path) -> None:
        page = plain(read(site, "errors"))
        for kind in vars(errors).values():
            if isinstance(kind, type) and issubclass(kind, TenantryError):
                assert f"{kind.code} {kind.message}" in page

    def test_has_every_setting_with_its_default(self, site: Path) -> None:
        page = read(site, "settings")
        for field in variables():
            assert f'<h2 id="{field.metadata["name"]}"' in page
        assert (
            "JWT_REFRESH_EXPIRES_IN ¶ How long a session holds without being used. Default: 7d"
            in (plain(page))
        )

    def test_has_every_command(self, site: Path) -> None:
        page = plain(read(site, "commands"))
        for command in COMMANDS:
            assert f"tenantry {command}" in page
        assert "--host The address to listen on. [127.0.0.1]" in page

    def test_has_every_decision(self, site: Path) -> None:
        page = read(site, "decisions")
        for file in (ROOT / "docs/decisions").glob("*.md"):
            assert f'href="{file.stem}/"' in page


def test_the_quickstart_is_the_readme(site: Path) -> None:
    assert "# 4. Upgrade the plan, from 3 seats to 10." in plain(read(site, "quickstart"))


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found, page
        assert [address for address in loads.found if ELSEWHERE.match(address)] == [], page
    for style in site.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", style.read_text()):
            assert not ELSEWHERE.match(address), style


@needs("chromium")
def test_a_browser_asks_no_other_host_and_finds_what_it_searches(site: Path, page: Page) -> None:
    with serving(site) as url:
        elsewhere: list[str] = []
        page.on("request", lambda request: elsewhere.append(request.url))
        page.on("pageerror", lambda error: elsewhere.append(str(error)))
        page.goto(f"{url}/concepts/")
        expect(page.locator("svg.diagram")).to_have_count(4)
        page.get_by_placeholder("Search").press_sequentially("SEAT_LIMIT_REACHED")
        expect(page.get_by_role("search")).to_contain_text("Error codes")
        page.goto(f"{url}/api/authentication/#login")
        expect(page.get_by_role("heading", name="Sign in", exact=False).first).to_be_visible()
        assert [asked for asked in elsewhere if not asked.startswith(url)] == []


class Loads(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        address = dict(attributes).get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


class Text(HTMLParser):
    """The text of a page, part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def read(site: Path, page: str) -> str:
    return (site / page / "index.html").read_text()


def plain(html: str) -> str:
    """What a reader sees: the text, with single spaces."""
    text = Text()
    text.feed(html)
    return " ".join(" ".join(text.parts).split())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
