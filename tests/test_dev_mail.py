"""/dev/mail: development's mail, for this machine only."""

import json
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tenantry.app import create_app
from tenantry.mailbox import KEPT, Mailbox
from tenantry.testing import make_settings, registration, unique_email
from tests.conftest import UNLIMITED, needs
from tests.processes import serving

NOWHERE = "postgresql://x@127.0.0.1:9/x"  # the mailbox needs no database
PATHS = ("/dev/mail", "/dev/mail/files/mail.js", "/dev/mail/messages")


def letter(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["To"] = "grace@example.com"
    message["Subject"] = subject
    message["Date"] = "Mon, 09 Mar 2026 14:05:00 +0000"
    message.set_content("The text")
    message.add_alternative("<p>The <b>HTML</b><script>alert(1)</script></p>", subtype="html")
    return message


def client(client_address: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
    """A client at this address, of an application with these settings."""
    app = create_app(make_settings(NOWHERE, **settings))
    transport = httpx.ASGITransport(app=app, client=(client_address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:3000")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(data=tmp_path) as http:
        yield http


async def test_lists_opens_and_confines(here: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await here.get("/dev/mail/messages")).json()["data"] == []
    for subject in ("first", "second"):
        Mailbox(tmp_path).add(letter(subject))
    mails = (await here.get("/dev/mail/messages")).json()["data"]
    assert [mail["subject"] for mail in mails] == ["second", "first"]
    path = f"/dev/mail/messages/{mails[0]['key']}"
    opened = (await here.get(path)).json()["data"]
    assert ["Subject", "second"] in opened["headers"]
    assert opened["text"] == "The text\n"
    shown = await here.get(f"{path}/html")
    assert "<b>HTML</b>" in shown.text
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    for missing in ("x", "%2e%2e%2f%2e%2e%2fsecrets.json"):
        assert (await here.get(f"/dev/mail/messages/{missing}")).status_code == 404


async def test_keeps_the_newest(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    for number in range(KEPT + 5):
        mailbox.add(letter(str(number)))
    subjects = [message["Subject"] for _, message in mailbox.newest_first()]
    assert subjects == [str(number) for number in reversed(range(5, KEPT + 5))]


@pytest.mark.parametrize("path", PATHS)
class TestIsThere:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:3000", "[::1]:3000"])
    async def test_for_this_machine(self, here: httpx.AsyncClient, path: str, host: str) -> None:
        assert (await here.get(path, headers={"host": host})).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"host": "evil.example"},
            {"host": "localhost.evil.example:3000"},
            {"host": "[::1"},
            {"host": "10.0.0.1"},
            {"host": ""},
            {"x-forwarded-for": "127.0.0.1"},
            {"x-forwarded-host": "localhost"},
            {"forwarded": "for=127.0.0.1"},
            {"x-real-ip": "127.0.0.1"},
            {"via": "1.1 proxy"},
        ],
    )
    async def test_for_nobody_else(
        self, here: httpx.AsyncClient, path: str, headers: dict[str, str]
    ) -> None:
        """Another name for this machine, or somebody through a proxy."""
        answer = await here.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")

    @pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", ""])
    async def test_for_no_other_machine(self, tmp_path: Path, path: str, address: str) -> None:
        async with client(address, data=tmp_path) as there:
            assert (await there.get(path)).status_code == 404

    @pytest.mark.parametrize(
        "settings", [{"app_env": "production"}, {"smtp_url": "smtp://localhost"}]
    )
    async def test_in_development_without_smtp(
        self, tmp_path: Path, path: str, settings: dict[str, str]
    ) -> None:
        async with client(data=tmp_path, **settings) as http:
            assert (await http.get(path)).status_code == 404


def arrived(page: Page, subject: str) -> None:
    """Reload until the worker has put it there."""
    for _ in range(100):
        page.get_by_role("button", name="Reload").click()
        if page.get_by_role("button", name=subject).is_visible():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.content())


@needs("chromium")
def test_shows_an_invite_whose_link_works(owner_url: str, tmp_path: Path, page: Page) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    environment = {"DATABASE_URL": owner_url, **UNLIMITED}
    with (
        serving(environment=environment, cwd=tmp_path) as server,
        httpx.Client(base_url=server.url) as http,
    ):
        page.goto(f"{server.url}/dev/mail")
        expect(page.locator("#list")).to_be_empty()
        signed_up = http.post("/api/auth/register", json=registration(name="<b>Ada</b>"))
        headers = {"authorization": f"Bearer {signed_up.json()['data']['accessToken']}"}
        invited = http.post("/api/users/invite", json={"email": unique_email()}, headers=headers)
        token = json.loads(invited.content)["data"]["token"]
        subject = "<b>Ada</b> invites you to Analytical Engines"
        arrived(page, subject)
        page.get_by_role("button", name=subject).click()
        expect(page.get_by_role("heading", name=subject)).to_be_visible()
        mail = page.frame_locator("#html")
        expect(mail.get_by_role("heading", name=subject)).to_be_visible()
        button = mail.get_by_role("link", name="Accept the invite")
        link = (
            f"http://localhost:{server.url.rpartition(':')[2]}/account/accept-invite#token={token}"
        )
        expect(button).to_have_attribute("href", link)
        expect(page.locator("#text a")).to_have_attribute("href", link)
        page.get_by_text("Headers").click()
        expect(page.locator("#headers")).to_contain_text("Message-ID")
        assert problems == []
