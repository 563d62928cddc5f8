"""tenantry demo"""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeAlias

import httpx
import rich_click as click
from rich.rule import Rule
from rich.text import Text

from tenantry.cli.console import err, load, out, plain_failures
from tenantry.client import Event, Resync, StreamEnded, listen

PATIENCE = 10.0  # seconds that an event may take

Stream: TypeAlias = AsyncGenerator[Event | Resync]


class DemoError(Exception):
    """The server did not do what the demonstration shows; the message says what it did."""


class Play:
    """The main job, step by step, by HTTP and WebSocket as any client would."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http
        self.run = secrets.token_hex(3)
        self.step_number = 0

    def step(self, title: str) -> None:
        self.step_number += 1
        out.print()
        out.print(Rule(f"[bold]{self.step_number}. {title}", align="left", style="cyan"))

    async def call(
        self,
        method: str,
        path: str,
        bearer: str | None = None,
        *,
        expect: int,
        **body: Any,
    ) -> Any:
        """One request, shown with what it was answered; gives its data."""
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        answer = await self.http.request(method, path, headers=headers, json=body or None)
        envelope = answer.json()
        colour = "green" if answer.status_code == expect else "red"
        out.print(
            f"[bold]{method}[/] {path} → [{colour}]{answer.status_code}[/] ", envelope["message"]
        )
        if answer.status_code == 429:
            wait = answer.headers.get("retry-after", "60")
            raise DemoError(f"The rate limit is reached; try again in {wait} seconds.")
        if answer.status_code != expect:
            raise DemoError(f"expected {expect}, and was answered {answer.text}")
        return envelope["data"]

    async def hear(self, stream: Stream, who: str, expect: str) -> None:
        """Wait for an event of this type, showing whatever arrives until then."""
        heard = ""
        while heard != expect:
            try:
                async with asyncio.timeout(PATIENCE):
                    event = await anext(stream)
            except TimeoutError:
                raise DemoError(f"{expect} did not arrive on {who}'s stream") from None
            if isinstance(event, Resync):
                continue
            heard = event.type
            out.print(
                Text.assemble(
                    ("   ⇐ ", "magenta"),
                    (f"{who}'s stream ", "dim"),
                    f"#{event.seq} ",
                    (event.type, "bold magenta"),
                    f" {json.dumps(event.payload)}",
                )
            )

    async def perform(self) -> None:
        self.step("Ada founds an organisation")
        ada = await self.call(
            "POST",
            "/api/auth/register",
            expect=201,
            name="Ada Lovelace",
            email=f"ada.{self.run}@example.com",
            password=secrets.token_urlsafe(12),
            organisationName=f"Analytical Engines {self.run}",
        )
        token = ada["accessToken"]
        out.print(f"   organisation [bold]{ada['organisation']['slug']}[/], Ada is its admin")
        async with aclosing(listen(self.url, token, after=0)) as ada_hears:
            await self.hear(ada_hears, "Ada", "USER_JOINED")
            self.step("She invites Grace, who accepts and signs in")
            grace_email = f"grace.{self.run}@example.com"
            invite = await self.call(
                "POST", "/api/users/invite", token, expect=201, email=grace_email, role="MEMBER"
            )
            password = secrets.token_urlsafe(12)
            await self.call(
                "POST",
                "/api/users/accept-invite",
                expect=201,
                token=invite["token"],
                name="Grace Hopper",
                password=password,
            )
            await self.hear(ada_hears, "Ada", "USER_JOINED")
            grace = await self.call(
                "POST", "/api/auth/login", expect=200, email=grace_email, password=password
            )
            async with aclosing(listen(self.url, grace["accessToken"], after=0)) as grace_hears:
                await self.together(token, ada_hears, grace, grace_hears)
        self.step("Another organisation sees none of it")
        eve = await self.call(
            "POST",
            "/api/auth/register",
            expect=201,
            name="Eve",
            email=f"eve.{self.run}@example.com",
            password=secrets.token_urlsafe(12),
            organisationName="Elsewhere",
        )
        feed = await self.call("GET", "/api/activities", eve["accessToken"], expect=200)
        out.print(f"   Eve's feed has {len(feed)} line: {feed[0]['message']}")
        await self.call("DELETE", f"/api/users/{ada['user']['id']}", eve["accessToken"], expect=404)

    async def together(
        self, token: str, ada_hears: Stream, grace: Any, grace_hears: Stream
    ) -> None:
        self.step("A member cannot do what an admin can")
        await self.call("GET", "/api/users", grace["accessToken"], expect=403)

        self.step("Ada upgrades the plan, and everybody sees it")
        await self.call("PATCH", "/api/organisations/subscription", token, expect=200, plan="PRO")
        await self.hear(ada_hears, "Ada", "PLAN_UPGRADED")
        await self.hear(grace_hears, "Grace", "PLAN_UPGRADED")

        self.step("She broadcasts a message")
        await self.call(
            "POST", "/api/organisations/broadcast", token, expect=201, message="Lunch at noon?"
        )
        await self.hear(grace_hears, "Grace", "BROADCAST_MESSAGE")

        self.step("Grace is removed: her stream ends, her token is dead")
        await self.call("DELETE", f"/api/users/{grace['user']['id']}", token, expect=200)
        await self.hear(ada_hears, "Ada", "USER_REMOVED")
        try:
            await self.hear(grace_hears, "Grace", "USER_REMOVED")
        except StreamEnded as ended:
            out.print(f"   Grace's stream has ended: [bold]{ended.code}[/] {ended.reason}")
        else:
            raise DemoError("Grace's stream told her of her own removal")
        await self.call("GET", "/api/organisations", grace["accessToken"], expect=401)

        self.step("The feed has it all, in order")
        for activity in await self.call("GET", "/api/activities", token, expect=200):
            out.print(f"   #{activity['seq']} [bold]{activity['type']}[/] ", activity["message"])


@click.command("demo")
@click.option("--url", help="The server to play against. [http://127.0.0.1:PORT]")
def command(url: str | None) -> None:
    """Play the main job against a running server, and show each step as it happens."""
    with plain_failures():
        url = (url or f"http://127.0.0.1:{load().port}").rstrip("/")
    try:
        asyncio.run(_play(url))
    except httpx.TransportError as error:
        err.print(
            f"[bold red]✗[/] {url} cannot be reached ({error}). Is `tenantry serve` running?",
            soft_wrap=True,
        )
        sys.exit(1)
    except (DemoError, StreamEnded, json.JSONDecodeError) as error:
        err.print(f"[bold red]✗[/] {error}", soft_wrap=True)
        sys.exit(1)
    out.print("\n[bold green]✓ Everything as promised.[/]")


async def _play(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        await Play(url, http).perform()
