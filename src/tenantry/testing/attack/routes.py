"""Every route of the app, called by one organisation with another's ids."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from tenantry.app import Server
from tenantry.db import isolation
from tenantry.db.catalogue import Fault
from tenantry.docs.spec import handlers_of, undeclared
from tenantry.errors import Invalid, SecondFactorRequired
from tenantry.testing.answers import PASSWORD, PATIENCE
from tenantry.testing.attack.ids import Ids, ids_of, rows_of, secrets_of
from tenantry.testing.attack.populated import Populate, fill
from tenantry.testing.attack.requests import Request, Route
from tenantry.testing.client import Account
from tenantry.testing.servers import Installation

# Mounted in development only, where one mailbox is everybody's.
DEVELOPMENT = "/dev/"

ORDER = "HEAD GET POST PUT PATCH DELETE"

BY_TENANT = (
    "read and write by the handler's `tenant`, whose connection is bound by the tables' policies, "
    "keep nothing of an organisation in the process, and see that `tenantry check` finds nothing "
    "wrong with the tables and their foreign keys"
)
ANSWERED = (
    "answer what the database refuses, such as asyncpg.ForeignKeyViolationError, with an error of "
    "your own, or look first whether the row is there"
)


def undeclared_faults(app: Server) -> list[Fault]:
    """The routes that nobody has said who may call."""
    return [
        Fault(
            route,
            "has neither a guard nor a reason to be public",
            'say guards=[any_member] or guards=[allowed("…")] at the route, or public="why anybody '
            'may"',
        )
        for route in undeclared(app.litestar)
    ]


async def attack_routes(
    installation: Installation,
    populate: Populate,
    victim: Account,
    account: Account,
    bodies: Mapping[str, Mapping[str, Any]],
) -> list[Fault]:
    attack = Attack(installation, populate, victim)
    await attack.begin(account)
    found: list[Fault] = []
    for route in attack.routes(bodies):
        found += await attack.on(route)
    if (await victim.get("/api/organisations")).status_code != 200:
        found.append(
            Fault(
                "the other organisation's session",
                "has been ended by somebody who is not in it",
                "end sessions of the one asking only",
            )
        )
    return found


class Attack:
    """`victim`'s organisation is reached for by somebody else's, which is made anew where a route
    has ended it.
    """

    def __init__(self, installation: Installation, populate: Populate, victim: Account) -> None:
        self.installation, self.populate, self.victim = installation, populate, victim
        self.document: dict[str, Any] = installation.app.litestar.state.document()
        self.theirs, self.mine = Ids(), Ids()
        self.secrets: dict[str, str] = {}

    async def begin(self, account: Account) -> None:
        """Look at both organisations before anything is done."""
        self.account = account
        self.tables = await isolation.tenant_tables(self.installation.owner)
        self.rows = await self._rows(self.victim)
        others = await self._rows(account)
        self.secrets = secrets_of(self.rows, others)
        owner, paths = self.installation.owner, list(self._readable())
        self.theirs = await ids_of(owner, self.rows, self.victim, paths)
        self.mine = await ids_of(owner, others, account, paths)
        self.rows = await self._rows(self.victim)  # reading may have been recorded

    def routes(self, bodies: Mapping[str, Mapping[str, Any]]) -> Iterator[Route]:
        """What reads comes first, and what deletes last: a hole must not hide another."""
        components = self.document.get("components", {})
        found = list(handlers_of(self.installation.app.litestar))
        for path, method, handler in sorted(found, key=lambda one: ORDER.find(one[1])):
            operation = self.document["paths"].get(path, {}).get(method.lower(), {})
            given = bodies.get(operation.get("operationId", ""), {})
            route = Route(method, path, operation, components, given=given, ids=self.theirs)
            endless = route.streams or "event-stream" in str(handler.media_type)
            if not path.startswith(DEVELOPMENT) and not endless:
                yield route

    async def on(self, route: Route) -> list[Fault]:
        found: list[Fault] = []
        await self._revive()
        refused = 0
        requests = list(route.requests(self.theirs, self.mine))
        for request in requests:
            answer = await self._call(route, request)
            if answer is None:
                found.append(
                    Fault(
                        route.label,
                        f"did not answer within {PATIENCE:.0f} seconds",
                        "see what it waits for; say media_type='text/event-stream' of a stream",
                    )
                )
                break
            found += self._faults(route, request, answer)
            refused += _invalid(answer)
            if answer.status_code >= 500:
                break  # once is enough
        if route.slots and refused == len(requests):
            found.append(
                Fault(
                    route.label,
                    "refused every made-up request as not valid, so it was not attacked",
                    f'give what is valid: assert_isolated(…, bodies={{"{route.operation_id}": '
                    "{…}})",
                )
            )
        return [*found, *await self._changes(route)]

    def _faults(self, route: Route, request: Request, answer: httpx.Response) -> Iterator[Fault]:
        if answer.status_code >= 500:
            yield Fault(
                route.label,
                f"answered {answer.status_code} to another organisation's ids",
                ANSWERED,
            )
        # An error may name what was asked for; a success would say that it is there.
        asked = request.asked if answer.status_code >= 400 else frozenset()
        leaked = [one for one in self.secrets if one in answer.text and one not in asked]
        if leaked:
            # Not the name of the organisation where it stands in a text that is there as a whole.
            leaked = [one for one in leaked if sum(one in other for other in leaked) == 1]
            columns = sorted({self.secrets[secret] for secret in leaked})
            yield Fault(
                route.label,
                f"answered {answer.status_code} with another organisation's data: "
                f"{', '.join(columns)}, as {leaked[0]!r}",
                BY_TENANT,
            )

    async def _changes(self, route: Route) -> list[Fault]:
        """What is not as it was. It is told of once."""
        before, self.rows = self.rows, await self._rows(self.victim)
        changed = [table for table in before if before[table] != self.rows[table]]
        if not changed:
            return []
        problem = f"changed another organisation's rows in {', '.join(changed)}"
        return [Fault(route.label, problem, BY_TENANT)]

    async def _call(self, route: Route, request: Request) -> httpx.Response | None:
        answer = await self._send(route, request)
        if answer is not None and _outside(answer) and await self._revive():
            answer = await self._send(route, request)
        return answer

    async def _send(self, route: Route, request: Request) -> httpx.Response | None:
        body = {} if request.body is None else {"json": request.body}
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.account.call(
                    route.method, request.path, params=request.params, **body
                )
        except TimeoutError:
            return None

    async def _revive(self) -> bool:
        """Sign in again, or begin with a new organisation, where a route has ended the session."""
        if (await self.account.get("/api/organisations")).status_code == 200:
            return False
        organisation = self.account.organisation["id"]
        body = {"email": self.account.user["email"], "password": PASSWORD}
        answer = await self.installation.api.post("/api/auth/login", **body)
        if answer.status_code == 200 and "accessToken" in answer.json()["data"]:
            self.account = Account(self.installation.api, answer.json()["data"])
            again = await self.account.get("/api/organisations")
            if again.status_code == 200 and again.json()["data"]["id"] == organisation:
                return True
        self.account = await fill(self.installation, self.populate)
        rows = await self._rows(self.account)
        self.mine = await ids_of(self.installation.owner, rows, self.account, [])
        return True

    async def _rows(self, account: Account) -> dict[str, list[str]]:
        return await rows_of(self.installation.owner, self.tables, account.organisation["id"])

    def _readable(self) -> Iterator[str]:
        """What can be read without an id."""
        for path, item in self.document["paths"].items():
            read = item.get("get", {})
            streams = "event-stream" in str(read.get("responses"))
            if "{" not in path and read.get("security") and not streams:
                yield path


def _outside(answer: httpx.Response) -> bool:
    """Whether the session is over, or does not let in any more."""
    return answer.status_code == 401 or SecondFactorRequired.code in answer.text


def _invalid(answer: httpx.Response) -> bool:
    return answer.status_code == Invalid.status and f'"{Invalid.code}"' in answer.text
