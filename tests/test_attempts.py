"""Guessing: counted by account and address, slowed down, and never a lock on the owner's door."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest

from tenantry.passwords import Passwords
from tenantry.testing import (
    PASSWORD,
    Account,
    Api,
    Serve,
    eventually,
    ok,
    refused,
    registration,
    unique_email,
)
from tests.authenticators import with_app
from tests.mail import Mailbox

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HOME = "192.0.2.1"
ELSEWHERE = "198.51.100.7"
ATTACKER = "203.0.113.9"
SECOND_STEP = "/api/auth/login/second-factor"
PROXY: dict[str, Any] = {"trusted_proxies": ("127.0.0.0/8",)}

COUNTERS = "SELECT count(*) FROM auth_attempts WHERE failures > 0"


def passing(seconds: float) -> str:
    """Lets time pass for every counter."""
    return f"""UPDATE auth_attempts SET counted_at = counted_at - interval '{seconds} seconds',
                      succeeded_at = succeeded_at - interval '{seconds} seconds',
                      told_at = told_at - interval '{seconds} seconds'"""


class Client:
    """Somebody at an address."""

    def __init__(self, api: Api, address: str) -> None:
        self.api = api
        self.headers = {"x-forwarded-for": address}

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.api.http.post(path, json=body, headers=self.headers)

    async def register(self) -> Account:
        answer = await self.post("/api/auth/register", **registration())
        return Account(self.api, ok(answer, 201))

    async def login(self, email: str, password: str = "wrong one") -> httpx.Response:
        return await self.post("/api/auth/login", email=email, password=password)

    async def hammer(self, email: str, times: int, owner: Db) -> list[int]:
        """That many wrong guesses, with whatever time between that they need."""
        waits = []
        for _ in range(times):
            waited = 0
            while (answer := await self.login(email)).status_code == 429:
                waited += int(answer.headers["retry-after"])
                await owner.execute(passing(int(answer.headers["retry-after"])))
            refused(answer, 401)
            waits.append(waited)
        return waits


At: TypeAlias = Callable[[str], Client]


@pytest.fixture
async def at(serve: Serve) -> At:
    """Makes clients, at addresses, of a server on the test's own database."""
    api = await serve(**PROXY)
    return lambda address: Client(api, address)


class TestDelays:
    async def test_begin_after_five_and_double_up_to_a_quarter_of_an_hour(
        self, at: At, owner: Db
    ) -> None:
        waits = await at(ATTACKER).hammer(unique_email(), 18, owner)
        assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]

    async def test_say_how_long_in_the_words_of_the_contract(self, at: At) -> None:
        email = unique_email()
        for _ in range(5):
            refused(await at(ATTACKER).login(email), 401, "Invalid email or password")
        answer = await at(ATTACKER).login(email, PASSWORD)
        message = "Too many auth attempts, please try again later"
        refused(answer, 429, message, "TOO_MANY_AUTH_ATTEMPTS")
        assert answer.headers["retry-after"] == "1"

    async def test_hash_nothing_and_refuse_the_right_password_too(
        self, at: At, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        for _ in range(5):
            await at(ATTACKER).login(email)

        async def hash_nothing(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(Passwords, "_run", hash_nothing)
        refused(await at(ATTACKER).login(email, PASSWORD), 429)

    async def test_are_the_same_whatever_the_case_of_the_address(self, at: At) -> None:
        email = unique_email()
        for spelling in (email, email.upper()) * 3:
            answer = await at(ATTACKER).login(spelling)
        assert answer.status_code == 429

    async def test_are_the_same_for_all_addresses_of_an_ipv6_network(self, at: At) -> None:
        email = unique_email()
        for number in range(6):
            answer = await at(f"2001:db8:1:2::{number}").login(email)
        assert answer.status_code == 429
        assert (await at("2001:db8:1:3::1").login(email)).status_code == 401

    async def test_end_with_the_right_password(self, at: At) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        for _ in range(3):
            for _ in range(4):
                refused(await at(ELSEWHERE).login(email), 401)
            ok(await at(ELSEWHERE).login(email, PASSWORD))

    async def test_wear_off(self, at: At, owner: Db) -> None:
        email = unique_email()
        await at(ATTACKER).hammer(email, 8, owner)
        await owner.execute(passing(8 * 900))
        for _ in range(5):
            refused(await at(ATTACKER).login(email), 401)
        refused(await at(ATTACKER).login(email), 429)

    async def test_grow_with_what_was_tried_and_not_with_what_was_refused(
        self, at: At, owner: Db
    ) -> None:
        email = unique_email()
        await at(ATTACKER).hammer(email, 6, owner)
        for _ in range(20):
            refused(await at(ATTACKER).login(email), 429)
        await owner.execute(passing(2))
        refused(await at(ATTACKER).login(email), 401)

    async def test_stay_whatever_becomes_of_the_request(self, at: At, owner: Db) -> None:
        client = at(ATTACKER)
        with pytest.raises(httpx.ReadTimeout):
            await client.api.http.post(
                "/api/auth/login",
                json={"email": unique_email(), "password": "wrong one"},
                headers=client.headers,
                timeout=httpx.Timeout(30, read=0.0001),
            )
        await eventually(lambda: owner.fetchval(COUNTERS), 3)

    async def test_let_no_two_be_the_last_free_guess(self, at: At, owner: Db) -> None:
        """Fifty at once, at two servers' processes' worth of connections."""
        email = unique_email()
        answers = await asyncio.gather(*[at(ATTACKER).login(email) for _ in range(50)])
        wrong = [answer for answer in answers if answer.status_code == 401]
        assert {answer.status_code for answer in answers} == {401, 429}
        # Five; more only as seconds go by.
        took = max(answer.elapsed.total_seconds() for answer in answers)
        assert 5 <= len(wrong) <= 5 + took.__ceil__()

    async def test_let_no_two_be_the_last_free_guess_at_the_door_itself(
        self, runtime_url: str
    ) -> None:
        connections = await asyncio.gather(*[asyncpg.connect(runtime_url) for _ in range(12)])

        async def guess(connection: Db, number: int) -> int:
            return int(
                await connection.fetchval(
                    "SELECT wait FROM tenantry.attempt('password', 'a@b.c', $1)",
                    f"192.0.2.{number}",
                )
            )

        waits = await asyncio.gather(
            *[guess(connection, number) for number, connection in enumerate(connections)]
        )
        assert sorted(waits) == [0] * 10 + [1] * 2, "ten of an account, wherever they come from"
        for connection in connections:
            await connection.close()

    async def test_do_not_meet_who_signs_in_many_times_at_once(self, at: At) -> None:
        account = await at(HOME).register()
        answers = await asyncio.gather(
            *[at(ELSEWHERE).login(account.user["email"], PASSWORD) for _ in range(20)]
        )
        assert {answer.status_code for answer in answers} == {200}


class TestAddresses:
    async def test_have_a_limit_over_all_accounts(self, at: At, owner: Db) -> None:
        """One password tried at a hundred accounts."""
        refused(await at(ATTACKER).login(unique_email()), 401)
        await owner.execute("UPDATE auth_attempts SET failures = 98 WHERE account IS NULL")
        refused(await at(ATTACKER).login(unique_email()), 401)
        refused(await at(ATTACKER).login(unique_email()), 401)
        refused(await at(ATTACKER).login(unique_email()), 429)
        refused(await at(ELSEWHERE).login(unique_email()), 401)

    async def test_get_no_more_guesses_by_signing_in_to_an_account_of_ones_own(
        self, at: At, owner: Db
    ) -> None:
        mine = await at(ATTACKER).register()
        victim = unique_email()
        for _ in range(5):
            refused(await at(ATTACKER).login(victim), 401)
            ok(await at(ATTACKER).login(mine.user["email"], PASSWORD))
        refused(await at(ATTACKER).login(victim), 429)
        of_address = "SELECT failures FROM auth_attempts WHERE account IS NULL"
        assert round(await owner.fetchval(of_address)) == 5

    async def test_where_one_has_got_in_before_do_not_suffer_from_the_others_there(
        self, at: At, owner: Db
    ) -> None:
        account = await at(HOME).register()
        refused(await at(HOME).login(unique_email()), 401)
        await owner.execute("UPDATE auth_attempts SET failures = 110 WHERE account IS NULL")
        refused(await at(HOME).login(unique_email()), 429)
        ok(await at(HOME).login(account.user["email"], PASSWORD))


class TestLockingOut:
    """The attack: somebody else's wrong guesses, to keep the owner out."""

    async def test_from_one_address_does_not_meet_the_owner_anywhere_they_have_been(
        self, at: At, owner: Db
    ) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        ok(await at(ELSEWHERE).login(email, PASSWORD))
        await at(ATTACKER).hammer(email, 30, owner)
        refused(await at(ATTACKER).login(email), 429)
        for address in (HOME, ELSEWHERE):
            ok(await at(address).login(email, PASSWORD))

    async def test_from_many_addresses_slows_those_down_where_the_owner_has_never_been(
        self, at: At, owner: Db
    ) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        for number in range(10):
            refused(await at(f"203.0.113.{number}").login(email), 401)
        refused(await at("203.0.113.77").login(email), 429)
        refused(await at(ELSEWHERE).login(email, PASSWORD), 429)
        ok(await at(HOME).login(email, PASSWORD))
        await owner.execute(passing(1))
        ok(await at(ELSEWHERE).login(email, PASSWORD))

    async def test_lasts_a_quarter_of_an_hour_at_the_most(self, at: At, owner: Db) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        for number in range(60):
            await at(f"203.0.113.{number}").hammer(email, 1, owner)
        answer = await at(ELSEWHERE).login(email, PASSWORD)
        assert 890 < int(answer.headers["retry-after"]) <= 900
        await owner.execute(passing(900))
        ok(await at(ELSEWHERE).login(email, PASSWORD))

    async def test_is_forgotten_where_the_owner_has_not_been_for_90_days(
        self, at: At, owner: Db
    ) -> None:
        account = await at(HOME).register()
        email = account.user["email"]
        await owner.execute(passing(91 * 24 * 3600))
        for number in range(10):
            await at(f"203.0.113.{number}").login(email)
        refused(await at(HOME).login(email, PASSWORD), 429)

    async def test_ends_with_a_password_reset_by_mail(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**PROXY, **mailbox.settings)
        home, new = Client(api, HOME), Client(api, ELSEWHERE)
        account = await home.register()
        email = account.user["email"]
        await mailbox.mail_to(email)
        for number in range(10):
            await Client(api, f"203.0.113.{number}").login(email)
        refused(await new.login(email, PASSWORD), 429)
        assert (await mailbox.mail_to(email)).subject == "Too many attempts to sign in"
        ok(await new.post("/api/auth/forgot-password", email=email), 202)
        token = (await mailbox.mail_to(email)).token
        password = "wholly other words"
        ok(await new.post("/api/auth/reset-password", token=token, password=password))
        ok(await new.login(email, password))
        for number in range(10):  # and goes on
            await Client(api, f"203.0.113.{number}").login(email)
        ok(await new.login(email, password))

    async def test_is_mailed_to_the_owner_once(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**PROXY, **mailbox.settings)
        account = await Client(api, HOME).register()
        email = account.user["email"]
        await mailbox.mail_to(email)
        await Client(api, ATTACKER).hammer(email, 14, owner)
        mail = await mailbox.mail_to(email)
        assert mail.subject == "Too many attempts to sign in"
        assert ATTACKER in mail.text
        jobs = "SELECT count(*) FROM tenantry_jobs.pgqueuer"
        await eventually(lambda: owner.fetchval(jobs), 0)
        assert len(mailbox.mails_to(email)) == 2  # with that about the address
        await owner.execute("UPDATE auth_attempts SET told_at = told_at - interval '25 hours'")
        await Client(api, ATTACKER).hammer(email, 1, owner)
        await mailbox.mail_to(email)


class TestOtherSecrets:
    @pytest.mark.parametrize(
        ("path", "rest"),
        [
            ("/api/auth/verify-email", {}),
            ("/api/auth/reset-password", {"password": "wholly other words"}),
            ("/api/users/accept-invite", {"password": PASSWORD, "name": "Grace Hopper"}),
        ],
    )
    async def test_tokens_have_a_limit_for_each_address(
        self, at: At, path: str, rest: dict[str, str]
    ) -> None:
        attacker = at(ATTACKER)
        answers = await asyncio.gather(
            *[attacker.post(path, token=f"guess {number}", **rest) for number in range(110)]
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {404, 429}
        assert 100 <= statuses.count(404) < 110
        refused(await at(HOME).post(path, token="guess", **rest), 404)

    async def test_an_invite_that_is_right_does_not_count(self, at: At, owner: Db) -> None:
        admin = await at(HOME).register()
        invite = ok(await admin.invite(), 201)
        body = {"token": invite["token"], "name": "Grace Hopper", "password": PASSWORD}
        ok(await at(ELSEWHERE).post("/api/users/accept-invite", **body), 201)
        assert await owner.fetchval(COUNTERS) == 0

    async def test_a_password_asked_once_more_counts_with_those_of_sign_ins(
        self, at: At, owner: Db
    ) -> None:
        account = await at(HOME).register()
        for _ in range(5):
            answer = await account.call(
                "POST",
                "/api/auth/change-password",
                json={"currentPassword": "wrong one", "newPassword": "wholly other words"},
                headers={"x-forwarded-for": HOME},
            )
            refused(answer, 403)
        # The wait is a second, which a slow machine would let pass.
        await owner.execute("UPDATE auth_attempts SET counted_at = counted_at + interval '1 hour'")
        refused(await at(HOME).login(account.user["email"]), 429)

    async def test_codes_of_a_second_factor_count_over_all_sign_ins(self, at: At) -> None:
        """Who knows the password gets no new guesses with each sign-in."""
        account = await at(HOME).register()
        app, _ = await with_app(account)
        email = account.user["email"]
        statuses = []
        for _ in range(7):
            step = ok(await at(ATTACKER).login(email, PASSWORD))["secondFactor"]
            answer = await at(ATTACKER).post(SECOND_STEP, token=step["token"], code="000000")
            statuses.append(answer.status_code)
        assert statuses == [401] * 5 + [429] * 2
        step = ok(await at(HOME).login(email, PASSWORD))["secondFactor"]
        ok(await at(HOME).post(SECOND_STEP, token=step["token"], code=app.code()))


class TestNothingIsRevealed:
    async def test_by_what_is_counted(self, at: At, owner: Db) -> None:
        account = await at(HOME).register()
        for email in (account.user["email"], unique_email()):
            statuses = [(await at(ATTACKER).login(email)).status_code for _ in range(7)]
            assert statuses == [401] * 5 + [429] * 2

    async def test_by_what_is_kept(self, at: At, owner: Db) -> None:
        email = unique_email()
        await at(ATTACKER).login(email)
        for row in await owner.fetch("SELECT t::text FROM auth_attempts AS t"):
            assert email not in row[0]
            assert ATTACKER not in row[0]

    async def test_by_the_warning_that_the_worker_is_asked_for(self, at: At, owner: Db) -> None:
        account = await at(HOME).register()
        jobs = "SELECT count(*) FROM tenantry_jobs.pgqueuer WHERE entrypoint = 'warn_of_attempts'"
        for number, email in enumerate((account.user["email"], unique_email())):
            for guess in range(10):
                await at(f"203.0.{number}.{guess}").login(email)
            assert await owner.fetchval(jobs) == number + 1

    async def test_by_the_time_of_a_sign_in(self, at: At) -> None:
        accounts = [(await at(HOME).register()).user["email"] for _ in range(30)]

        async def known(number: int) -> None:
            refused(await at(f"10.1.{number}.1").login(accounts[number]), 401)

        async def unknown(number: int) -> None:
            refused(await at(f"10.2.{number}.1").login(unique_email()), 401)

        await no_difference(known, unknown)

    async def test_by_the_time_of_a_forgotten_password(self, at: At) -> None:
        accounts = [(await at(HOME).register()).user["email"] for _ in range(30)]

        async def known(number: int) -> None:
            email = accounts[number]
            ok(await at(HOME).post("/api/auth/forgot-password", email=email), 202)

        async def unknown(_: int) -> None:
            ok(await at(HOME).post("/api/auth/forgot-password", email=unique_email()), 202)

        await no_difference(known, unknown)


async def no_difference(
    one: Callable[[int], Awaitable[None]], other: Callable[[int], Awaitable[None]]
) -> None:
    """30 samples of each in turn, so that whatever else the machine does meets both alike.

    Compares medians against the spread of the samples themselves: a hash left out, or a mail
    written, would differ by ten times this bound.
    """
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(30):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            began = time.perf_counter()
            await (one, other)[which](number)
            samples[which].append(time.perf_counter() - began)
    first, second = (statistics.median(taken) for taken in samples)
    spread = max(
        statistics.median(abs(sample - statistics.median(taken)) for sample in taken)
        for taken in samples
    )
    # The standard error of a median of 30 is about 0.34 of the median deviation.
    assert abs(first - second) < max(3 * spread, 0.003), (first, second, spread)
