"""Pictures of every view of the console, light, dark and narrow, in build/screenshots: for looking
at. `make screenshots`
"""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import CHROMIUM, UNLIMITED
from tests.processes import serving

FOLDER = Path("build/screenshots")
LOOKS = {
    "light": ("light", 1280),
    "dark": ("dark", 1280),
    "narrow": ("light", 390),
    "narrow-dark": ("dark", 390),
}
FRONT = {"sign-in": "", "sign-up": "/sign-up"}
VIEWS = {
    "overview": "",
    "members": "/members",
    "activity": "/activity",
    "plan": "/plan",
    "broadcast": "/broadcast",
    "settings": "/settings",
    "account": "/account",
}


def take(page: Page, url: str, password: str) -> None:
    for name, path in FRONT.items():
        page.goto(f"{url}/console{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        picture(page, name)
    sign_in(page, url, "ada@example.com", password)
    for name, path in VIEWS.items():
        page.goto(f"{url}/console{path}")
        expect(page.locator("[data-connection=live]")).to_be_visible()
        picture(page, name)


def sign_in(page: Page, url: str, email: str, password: str) -> None:
    page.goto(f"{url}/console")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("[data-connection=live]")).to_be_visible()


def picture(page: Page, name: str) -> None:
    """As it is seen first, and with `-whole` all of it."""
    expect(page.locator(".skeleton")).to_have_count(0)
    for look, (scheme, width) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=FOLDER / f"{name}-{look}.png")
        height = page.evaluate("document.documentElement.scrollHeight")
        if height > 800:
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=FOLDER / f"{name}-{look}-whole.png")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving("--demo", "--data", data, environment=UNLIMITED) as server,
        sync_playwright() as playwright,
    ):
        said = re.search(r"password is (\S+)", "".join(server.output))
        assert said, server.output
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for email in ("grace@example.com", "radia@example.com"):  # who are online, too
            sign_in(browser.new_page(), server.url, email, said[1])
        take(browser.new_page(reduced_motion="reduce"), server.url, said[1])
        browser.close()


if __name__ == "__main__":
    main()
