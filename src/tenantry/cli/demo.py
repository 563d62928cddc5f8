"""tenantry demo"""

import json
import secrets
import sys
from typing import Any

import httpx
import rich_click as click
from rich.rule import Rule
from rich.text import Text
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tenantry.cli.console import err, load, out, plain_failures

PATIENCE = 10.0  # seconds that an event may take


class DemoError(Exception):
    """The server did not do what the demonstration shows; the message says what it did."""


class Play:
    """The main job, step by step, by HTTP and WebSocket as any client would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30)
        self.run = secrets.token_hex(3)
        self.step_number = 0

    def step(self, title: str) -> None:
        self.step_number += 1
        out.print()
        out.print(Rule(f"[bold]{self.step_number}. {title}", align="left", style="cyan"))

    def call(
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
        answer = self.http.request(method, path, headers=headers, json=body or None)
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

    def listen(self, token: str, who: str) -> ClientConnection:
        ticket = self.call("POST", "/api/realtime/ticket", token, expect=201)["ticket"]
        socket = connect(f"{self.url.replace('http', 'ws', 1)}/ws?ticket={ticket}", proxy=None)
        self.hear(socket, who, "CONNECTED")
        return socket

    def hear(self, socket: ClientConnection, who: str, expect: str) -> Any:
        """Wait for an event of this type, showing whatever arrives until then."""
        while True:
            try:
                event = json.loads(socket.recv(timeout=PATIENCE))
            except TimeoutError:
                raise DemoError(f"{expect} did not arrive on {who}'s socket") from None
            place = f"#{event['seq']} " if "seq" in event else ""
            out.print(
                Text.assemble(
                    ("   ⇐ ", "magenta"),
                    (f"{who}'s socket ", "dim"),
                    place,
                    (event["type"], "bold magenta"),
                    f" {json.dumps(event['payload'])}",
                )
            )
            if event["type"] == expect:
                return event["payload"]

    def perform(self) -> None:
        self.step("Ada founds an organisation")
        ada = self.call(
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
        with self.listen(token, "Ada") as socket:
            self.step("She invites Grace, who accepts and signs in")
            grace_email = f"grace.{self.run}@example.com"
            invite = self.call(
                "POST", "/api/users/invite", token, expect=201, email=grace_email, role="MEMBER"
            )
            password = secrets.token_urlsafe(12)
            self.call(
                "POST",
                "/api/users/accept-invite",
                expect=201,
                token=invite["token"],
                name="Grace Hopper",
                password=password,
            )
            self.hear(socket, "Ada", "USER_JOINED")
            grace = self.call(
                "POST", "/api/auth/login", expect=200, email=grace_email, password=password
            )
            with self.listen(grace["accessToken"], "Grace") as hers:
                self.together(token, socket, grace, hers)
        self.step("Another organisation sees none of it")
        eve = self.call(
            "POST",
            "/api/auth/register",
            expect=201,
            name="Eve",
            email=f"eve.{self.run}@example.com",
            password=secrets.token_urlsafe(12),
            organisationName="Elsewhere",
        )
        feed = self.call("GET", "/api/activities", eve["accessToken"], expect=200)
        out.print(f"   Eve's feed has {len(feed)} line: {feed[0]['message']}")
        self.call("DELETE", f"/api/users/{ada['user']['id']}", eve["accessToken"], expect=404)

    def together(
        self, token: str, socket: ClientConnection, grace: Any, hers: ClientConnection
    ) -> None:
        self.step("A member cannot do what an admin can")
        self.call("GET", "/api/users", grace["accessToken"], expect=403)

        self.step("Ada upgrades the plan, and everybody sees it")
        self.call("PATCH", "/api/organisations/subscription", token, expect=200, plan="PRO")
        self.hear(socket, "Ada", "PLAN_UPGRADED")
        self.hear(hers, "Grace", "PLAN_UPGRADED")

        self.step("She broadcasts a message")
        self.call(
            "POST", "/api/organisations/broadcast", token, expect=201, message="Lunch at noon?"
        )
        self.hear(hers, "Grace", "BROADCAST_MESSAGE")

        self.step("Grace is removed: her socket closes, her token is dead")
        self.call("DELETE", f"/api/users/{grace['user']['id']}", token, expect=200)
        self.hear(socket, "Ada", "USER_REMOVED")
        try:
            while True:
                hers.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            out.print(f"   Grace's socket closed: {closed.rcvd}")
        except TimeoutError:
            raise DemoError("Grace's socket stayed open") from None
        self.call("GET", "/api/organisations", grace["accessToken"], expect=401)

        self.step("The feed has it all, in order")
        for activity in self.call("GET", "/api/activities", token, expect=200):
            out.print(f"   #{activity['seq']} [bold]{activity['type']}[/] ", activity["message"])


@click.command("demo")
@click.option("--url", help="The server to play against. [http://127.0.0.1:PORT]")
def command(url: str | None) -> None:
    """Play the main job against a running server, and show each step as it happens."""
    with plain_failures():
        url = (url or f"http://127.0.0.1:{load().port}").rstrip("/")
    play = Play(url)
    try:
        play.perform()
    except httpx.TransportError as error:
        err.print(
            f"[bold red]✗[/] {url} cannot be reached ({error}). Is `tenantry serve` running?",
            soft_wrap=True,
        )
        sys.exit(1)
    except (DemoError, WebSocketException, json.JSONDecodeError) as error:
        err.print(f"[bold red]✗[/] {error}", soft_wrap=True)
        sys.exit(1)
    out.print("\n[bold green]✓ Everything as promised.[/]")
