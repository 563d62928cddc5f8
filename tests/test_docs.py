"""/docs and /docs/spec: complete, from its own files, and usable in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tenantry.testing import PASSWORD, Api, registration, unique_email
from tests.conftest import UNLIMITED, needs
from tests.processes import Served, serving

CONTRACT = {
    "post /api/auth/register": {"201", "409", "422"},
    "post /api/auth/login": {"200", "401", "422"},
    "post /api/auth/refresh": {"200", "401", "422"},
    "post /api/auth/logout": {"200", "400", "401"},
    "get /api/organisations": {"200", "401"},
    "patch /api/organisations/subscription": {"200", "400", "403", "409", "422"},
    "post /api/organisations/broadcast": {"201", "403", "422"},
    "get /api/users": {"200", "401", "403"},
    "post /api/users/invite": {"201", "403", "409", "422"},
    "post /api/users/accept-invite": {"201", "404", "409", "410", "422"},
    "delete /api/users/{user_id}": {"200", "400", "403", "404"},
    "get /api/activities": {"200", "401"},
    "get /health": {"200"},
    "get /ready": {"200", "503"},
    "post /api/realtime/ticket": {"201", "401"},
    "get /api/realtime/presence": {"200", "401"},
    "get /api/events": {"200", "401", "422", "429"},
    "get /docs": {"200"},
    "get /docs/spec": {"200"},
    "get /ws": {"101", "401", "429"},
}


PUBLIC = {
    "register",
    "login",
    "refresh",
    "verifyEmail",
    "forgotPassword",
    "resetPassword",
    "giveSecondFactor",
    "beginPasskeyLogin",
    "passkeyLogin",
    "openInvite",
    "restoreOrganisation",
    "health",
    "ready",
    "docs",
    "spec",
    "connect",
}


@pytest.fixture
async def spec(api: Api) -> dict[str, Any]:
    answer = await api.get("/docs/spec")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


class TestDocument:
    async def test_is_bare_openapi_and_lists_every_route(self, spec: dict[str, Any]) -> None:
        assert spec["openapi"].startswith("3.1")
        documented = {
            f"{method} {path}": set(operation["responses"])
            for path, item in spec["paths"].items()
            for method, operation in item.items()
        }
        assert set(CONTRACT) <= set(documented)
        for route, statuses in CONTRACT.items():
            assert statuses <= documented[route], route

    async def test_describes_and_types_everything(self, spec: dict[str, Any]) -> None:
        for path, item in spec["paths"].items():
            for operation in item.values():
                assert operation["operationId"], path
                assert operation["summary"], path
                assert operation["description"], path
        text = str(spec)
        assert "tenantry." not in text
        for reference in set(re.findall(r"#/components/schemas/(\w+)", text)):
            assert reference in spec["components"]["schemas"]

    async def test_shows_errors_as_they_are_answered(self, spec: dict[str, Any]) -> None:
        conflict = spec["paths"]["/api/auth/register"]["post"]["responses"]["409"]
        example = conflict["content"]["application/json"]["examples"]["EMAIL_IN_USE"]["value"]
        assert example["message"] == "Email already in use"
        assert example["success"] is False

    async def test_asks_for_a_bearer_token_where_a_guard_stands(self, spec: dict[str, Any]) -> None:
        for path, item in spec["paths"].items():
            for method, operation in item.items():
                guarded = operation["operationId"] not in PUBLIC
                assert ("security" in operation) == guarded, f"{method} {path}"

    async def test_names_the_permission_that_a_guard_asks_for(self, spec: dict[str, Any]) -> None:
        assert spec["paths"]["/api/users/invite"]["post"]["security"] == [
            {"bearer": ["members:invite"]}
        ]
        assert spec["paths"]["/api/activities"]["get"]["security"] == [{"bearer": []}]


class TestHome:
    async def test_leads_to_the_console_the_documentation_and_the_state(self, api: Api) -> None:
        page = await api.get("/")
        assert page.headers["content-type"].startswith("text/html")
        links = set(re.findall(r'<a href="([^"]+)"', page.text))
        assert links == {"/console", "/docs", "/docs/ws", "/docs/spec", "/health", "/ready"}
        for source in re.findall(r'href="([^"]+)"', page.text):
            assert (await api.get(source)).status_code == 200


class TestPage:
    async def test_needs_nothing_from_elsewhere(self, api: Api) -> None:
        page = await api.get("/docs")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(sources) >= 3
        for source in sources:
            assert source.startswith("/docs/")
            assert (await api.get(source)).status_code == 200

    async def test_has_no_inline_script(self, api: Api) -> None:
        assert re.findall(r"<script(?![^>]*src=)[^>]*>", (await api.get("/docs")).text) == []


@pytest.fixture
def server(runtime_url: str, tmp_path: Path) -> Iterator[Served]:
    with serving(environment={"DATABASE_URL": runtime_url, **UNLIMITED}, cwd=tmp_path) as running:
        yield running


@needs("chromium")
def test_try_it_out_authorize_and_call_a_protected_route(server: Served, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url))
    page.goto(f"{server.url}/docs")

    def execute(operation: str) -> Any:
        block = page.locator(f"[id$='-{operation}']")
        block.locator(".opblock-summary-control").click()
        return block

    register = execute("register")
    register.locator("textarea").fill(
        f'{{"name": "Ada", "email": "{unique_email()}", "password": "{PASSWORD}",'
        ' "organisationName": "Analytical Engines"}'
    )
    register.get_by_role("button", name="Execute").click()
    answer = register.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status")).to_contain_text("201")
    token = re.search(r'"accessToken":\s*"([^"]+)"', answer.inner_text())
    assert token

    organisation = execute("getOrganisation")
    organisation.get_by_role("button", name="Execute").click()
    refusal = organisation.locator(".live-responses-table .response").first
    expect(refusal.locator(".response-col_status")).to_contain_text("401")

    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".auth-container")
    dialog.locator("input").fill(token[1])
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").click()
    organisation.get_by_role("button", name="Execute").click()
    answered = organisation.locator(".live-responses-table .response").first
    expect(answered.locator(".response-col_status")).to_contain_text("200")
    expect(answered).to_contain_text("Organisation fetched")
    ours = (f"{server.url}/", "data:", "Failed to load resource: the server responded with")
    assert [problem for problem in problems if not problem.startswith(ours)] == []


@needs("chromium")
def test_try_the_stream_lose_the_connection_and_resume(server: Served, page: Page) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    body = registration()
    http = httpx.Client(base_url=server.url)
    signed_in = http.post("/api/auth/register", json=body).json()["data"]
    headers = {"authorization": f"Bearer {signed_in['accessToken']}"}

    def broadcast(message: str) -> None:
        answer = http.post(
            "/api/organisations/broadcast", json={"message": message}, headers=headers
        )
        assert answer.status_code == 201

    page.goto(f"{server.url}/docs/ws")
    page.get_by_label("Email").fill(body["email"])
    page.get_by_label("Password").fill(body["password"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Connected.")
    page.get_by_label("Message").fill("from the page")
    page.get_by_role("button", name="Broadcast").click()
    expect(page.locator("#log")).to_contain_text("from the page")

    page.get_by_role("button", name="Lose the connection").click()
    expect(page.locator("#log")).to_contain_text("The connection was dropped")
    broadcast("while away")
    expect(page.get_by_role("status")).to_have_text("Connected.")
    broadcast("back again")
    expect(page.locator("#log")).to_contain_text("back again")
    assert [seq for seq in page.locator("#log .seq").all_inner_texts() if seq] == ["#4", "#3", "#2"]

    # The page has a session of its own, which somebody ends elsewhere.
    token = page.get_by_label("or an access token").input_value()
    http.post(
        "/api/auth/logout",
        json={"refreshToken": signed_in["refreshToken"]},
        headers={"authorization": f"Bearer {token}"},
    )
    expect(page.get_by_role("status")).to_have_text(
        "Closed (4001: The session has ended. Sign in again.)"
    )
    assert problems == []
    http.close()
