"""`tenantry serve --demo`: two organisations to try it with, and printed sign-ins."""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from tenantry.events import EVENTS
from tenantry.testing import Account, Api, ok, refused, registration
from tests.conftest import UNLIMITED
from tests.processes import Served, serving, tenantry

LONG = {"PASSWORD_MIN_LENGTH": "40"}
SIGN_IN = re.compile(r"│\s+(\w+ \w+)\s+│ (\w+)\s+│ (\S+@example\.com)\s+│")


HELD = (
    *("organisations", "organisations/roles", "users", "users/invites"),
    "activities?limit=100",
)


class Demo(NamedTuple):
    """A server that was started with --demo twice: what it printed each time, and what there was
    after the first.
    """

    first: str
    again: str
    before: list[Any]
    mails: tuple[str, list[Any]]  # what waits, and what was delivered
    url: str
    folder: Path

    @property
    def sign_ins(self) -> list[tuple[str, str, str]]:
        """Name, role and address of each."""
        return SIGN_IN.findall(self.again)

    @property
    def password(self) -> str:
        return printed_password(self.again)


def printed_password(output: str) -> str:
    found = re.search(r"Everybody's password is (\S+)", output)
    assert found
    return found[1]


def printed(server: Served) -> str:
    """What was printed before it served."""
    return "".join(server.output).partition("Serving on")[0]


def held(url: str, output: str) -> list[Any]:
    """What the owners of both organisations see of them."""
    answers = []
    with httpx.Client(base_url=url) as http:
        for email in ("ada@example.com", "joan@example.com"):
            body = {"email": email, "password": printed_password(output)}
            token = ok(http.post("/api/auth/login", json=body))["accessToken"]
            headers = {"authorization": f"Bearer {token}"}
            answers += [ok(http.get(f"/api/{path}", headers=headers)) for path in HELD]
    return answers


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the embedded database's user may enter."""
    yield from new_folder()


def new_folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tenantry-demo-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    for folder in new_folder():
        environment = {**UNLIMITED, **LONG}
        with serving("--demo", environment=environment, cwd=folder) as server:
            first = printed(server)
            queue = tenantry("mail", cwd=folder).stdout
            mails = queue, ok(httpx.get(f"{server.url}/dev/mail/messages"))
            before = held(server.url, first)
            server.stop()
        with serving("--demo", environment=environment, cwd=folder) as server:
            yield Demo(first, printed(server), before, mails, server.url, folder)


@pytest.fixture
async def api(demo: Demo) -> AsyncIterator[Api]:
    async with Api(demo.url) as client:
        yield client


@pytest.fixture
async def ada(demo: Demo, api: Api) -> Account:
    return await api.login("ada@example.com", demo.password)


@pytest.fixture
async def joan(demo: Demo, api: Api) -> Account:
    return await api.login("joan@example.com", demo.password)


def test_a_second_start_adds_nothing_and_prints_the_same(demo: Demo) -> None:
    # First of this file, so that no other test has changed anything.
    port = re.compile(r"localhost:\d+")
    tables = [port.sub("", text[text.index("Sign in at") :]) for text in (demo.first, demo.again)]
    assert tables[0] == tables[1]
    assert held(demo.url, demo.again) == demo.before


class TestSignIns:
    async def test_are_everybodys(self, demo: Demo, api: Api) -> None:
        assert len(demo.sign_ins) == 10
        for name, role, email in demo.sign_ins:
            account = await api.login(email, demo.password)
            assert account.user["name"] == name
            me = ok(await account.get("/api/auth/me"))
            assert role in {
                "OWNER" if one["owner"] else one["customRole"] or one["role"]
                for one in me["memberships"]
            }

    async def test_have_one_person_in_both_organisations(self, demo: Demo, api: Api) -> None:
        grace = await api.login("grace@example.com", demo.password)
        me = ok(await grace.get("/api/auth/me"))
        names = [one["organisation"]["name"] for one in me["memberships"]]
        assert names == ["Analytical Engines", "Difference Bakery"]

    def test_lead_to_the_console(self, demo: Demo) -> None:
        port = demo.url.rpartition(":")[2]
        assert f"Sign in at http://localhost:{port}/console" in demo.again

    async def test_have_a_password_by_the_rules(self, demo: Demo, api: Api) -> None:
        ok(await api.post("/api/auth/register", **registration(password=demo.password)), 201)

    def test_have_one_that_is_made_for_this_database_and_kept_beside_it(
        self, demo: Demo, folder: Path
    ) -> None:
        with serving("--demo", environment=UNLIMITED, cwd=folder) as server:
            password = printed_password(printed(server))
            server.stop()
        assert re.fullmatch(r"demo-[0-9a-f]{8}", password)
        assert password != demo.password[: len(password)]
        kept = folder / ".tenantry/demo-password"
        assert kept.stat().st_mode & 0o077 == 0
        kept.unlink()
        run = tenantry("serve", "--demo", "--port", "0", cwd=folder)
        assert run.returncode == 1
        assert "begin anew, with another --data" in run.stderr


class TestFeeds:
    @pytest.mark.parametrize("owner", ["ada@example.com", "joan@example.com"])
    async def test_are_whole_and_of_the_past_weeks(self, demo: Demo, api: Api, owner: str) -> None:
        account = await api.login(owner, demo.password)
        feed = await account.feed(limit=100)
        assert [line["seq"] for line in feed] == list(range(len(feed), 0, -1))
        times = [datetime.fromisoformat(line["createdAt"]) for line in reversed(feed)]
        assert times == sorted(times)
        assert times[-1] < datetime.now(UTC)
        assert times[-1] - times[0] > timedelta(weeks=3)
        async with account.socket() as socket:
            assert socket.connected["seq"] == len(feed)
            ok(await account.broadcast("Hello"), 201)
            assert (await socket.next())["seq"] == len(feed) + 1

    async def test_have_the_payload_of_their_kind_in_each_line(self, ada: Account) -> None:
        kinds = {event.type: event for event in EVENTS}
        feed = await ada.feed(limit=100)
        for line in feed:
            event = msgspec.convert(line["metadata"], kinds[line["type"]])
            assert msgspec.to_builtins(event) == line["metadata"], line
            assert line["actor"]
        assert len({line["type"] for line in feed}) >= 10

    async def test_read_as_if_the_server_had_written_them(
        self, demo: Demo, api: Api, ada: Account
    ) -> None:
        """What is made to happen again reads the same in all but who, what and when."""
        past = await ada.feed(limit=100)
        role = await ada.define("Treasurer", "plan:change")
        account = {"name": "Eve Polastri", "password": demo.password}
        token = ok(await ada.invite("eve@example.com"), 201)["token"]
        eve = ok(await api.post("/api/users/accept-invite", token=token, **account), 201)["id"]
        ok(await ada.change_role(eve, customRoleId=role))
        ok(await ada.change_role(eve, role="MEMBER"))
        ok(await ada.patch(f"/api/organisations/roles/{role}", permissions=[]))
        eves = await api.login("eve@example.com", demo.password)
        ok(await eves.post("/api/organisations/leave"))
        revoked = ok(await ada.invite("mallory@example.com"), 201)
        ok(await ada.delete(f"/api/users/invites/{revoked['id']}"))
        ok(await ada.broadcast("Hello"), 201)
        written = await ada.feed(limit=100, after=past[0]["seq"])
        assert {line["type"] for line in written} >= {
            *("USER_JOINED", "USER_REMOVED", "USER_ROLE_CHANGED", "INVITE_SENT"),
            *("INVITE_ACCEPTED", "INVITE_REVOKED", "ROLE_CREATED", "ROLE_CHANGED"),
            "BROADCAST_MESSAGE",
        }
        shapes = {shape(line) for line in past}
        assert [line for line in written if shape(line) not in shapes] == []


def shape(line: dict[str, Any]) -> tuple[Any, ...]:
    """A line without its particulars: its words, its fields, and whether there is a target."""
    message = line["message"]
    for known in (
        *(line[who]["name"] for who in ("actor", "target") if line[who]),
        *(str(value) for value in line["metadata"].values()),
    ):
        message = message.replace(known, "…")
    return line["type"], message, tuple(line["metadata"]), line["target"] is None


class TestOrganisations:
    async def test_one_has_a_custom_role_that_works(self, demo: Demo, api: Api) -> None:
        margaret = await api.login("margaret@example.com", demo.password)
        ok(await margaret.broadcast("Hello"), 201)
        refused(await margaret.invite(), 403)

    async def test_one_has_open_invites_and_one_that_expired(self, ada: Account) -> None:
        invites = ok(await ada.get("/api/users/invites"))
        seeded = [
            one for one in invites if one["email"].split("@")[0] in {"hedy", "tim", "dorothy"}
        ]
        assert [one["expired"] for one in seeded] == [False, False, True]
        assert seeded[1]["customRole"]["name"] == "Announcer"
        ok(await ada.post(f"/api/users/invites/{seeded[2]['id']}/resend"))

    async def test_one_is_nearly_full(self, joan: Account) -> None:
        organisation = ok(await joan.get("/api/organisations"))
        assert (organisation["memberCount"], organisation["memberLimit"]) == (2, 3)
        assert len(ok(await joan.get("/api/users"))) == 2
        ok(await joan.invite(), 201)
        refused(await joan.invite(), 403, code="SEAT_LIMIT_REACHED")

    def test_are_isolated(self, demo: Demo) -> None:
        check = tenantry("check", cwd=demo.folder)
        assert check.returncode == 0, check.stdout + check.stderr


def test_seeding_sends_no_mail(demo: Demo) -> None:
    assert demo.mails == ("0 waiting, none dead.\n", [])


class TestRefusal:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("DATABASE_URL", "postgresql://owner@127.0.0.1:9/tenantry"),
            ("PUBLIC_URL", "https://tenantry.example.com"),
            ("APP_ENV", "production"),
            ("TENANTRY_PLANS", "plans.toml"),
        ],
    )
    def test_where_others_may_depend_on_it(self, variable: str, value: str, folder: Path) -> None:
        run = tenantry("serve", "--demo", environment={variable: value}, cwd=folder)
        assert run.returncode == 1
        assert f"unset {variable}, or leave --demo out" in run.stderr
        assert list(folder.iterdir()) == []

    def test_where_there_are_other_organisations(self, folder: Path) -> None:
        body = registration()
        with serving(environment=UNLIMITED, cwd=folder) as server:
            ok(httpx.post(f"{server.url}/api/auth/register", json=body), 201)
            server.stop()
        run = tenantry("serve", "--demo", "--port", "0", cwd=folder)
        assert run.returncode == 1
        assert "choose another folder, as with --data .tenantry-demo" in run.stderr
        assert not (folder / ".tenantry/demo-password").exists()
        with serving(environment=UNLIMITED, cwd=folder) as server:
            sign_in = {name: body[name] for name in ("email", "password")}
            opened = ok(httpx.post(f"{server.url}/api/auth/login", json=sign_in))
            assert opened["organisation"]["name"] == body["organisationName"]
