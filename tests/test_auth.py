"""Register, login, refresh, logout."""

import asyncio
import secrets
from datetime import timedelta

import bcrypt
import pytest
from asyncpg import Connection, Record

from tenantry.passwords import Passwords
from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused, registration, unique_email

BY_OUR_PARAMETERS = "$argon2id$v=19$m=19456,t=2,p=1$"
# Of "correct horse", as argon2-cffi makes it where nothing else is asked for.
BY_FOUR_LANES = (
    "$argon2id$v=19$m=65536,t=3,p=4$"
    "tBWYsMBN8FwFu9+xZlcW0g$xHgbHfF6Trcu9HrKDuMArkEyTXhYJERPfnFAOzcfbTI"
)


class TestRegister:
    async def test_makes_an_admin_of_a_new_organisation(self, api: Api) -> None:
        email = unique_email()
        answer = await api.post("/api/auth/register", **registration(email=email))
        data = ok(answer, 201, "Registration successful")
        assert data["user"] == {
            "id": data["user"]["id"],
            "name": "Ada Lovelace",
            "email": email,
            "role": "ADMIN",
            "owner": True,
        }
        assert data["organisation"]["name"] == "Analytical Engines"
        assert data["organisation"]["slug"].startswith("analytical-engines")
        organisation = ok(await Account(api, data).get("/api/organisations"))
        assert organisation["memberCount"] == 1
        assert organisation["subscriptionPlan"] == "FREE"

    async def test_refuses_an_address_that_is_in_use_whatever_its_case(self, api: Api) -> None:
        email = unique_email("Ada")
        await api.register(email=email)
        answer = await api.post("/api/auth/register", **registration(email=email.swapcase()))
        refused(answer, 409, "Email already in use", "EMAIL_IN_USE")

    async def test_gives_every_organisation_a_slug_of_its_own(self, api: Api) -> None:
        name = f"Café Ñandú {secrets.token_hex(4)}"
        first, second = [
            (await api.register(organisationName=name)).organisation["slug"] for _ in range(2)
        ]
        assert first == f"cafe-nandu-{name[-8:]}"
        assert second.startswith(first + "-")

    async def test_lets_one_of_many_simultaneous_registrations_have_the_address(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        body = registration()
        answers = await asyncio.gather(
            *[fresh.post("/api/auth/register", **body) for _ in range(10)]
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
        assert await owner.fetchval("SELECT count(*) FROM organisations") == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "A"),
            ("name", "   "),
            ("organisationName", "x"),
            ("email", "nobody"),
            ("email", "a@b"),
            ("password", "1234567"),
            ("password", "x" * 1025),
            ("password", "é" * 513),
            ("password", 12345678),
        ],
    )
    async def test_names_the_field_that_is_wrong(self, api: Api, field: str, value: str) -> None:
        body = refused(await api.post("/api/auth/register", **registration(**{field: value})), 422)
        assert [item["field"] for item in body["fields"]] == [field]

    async def test_names_every_field_that_is_wrong(self, api: Api) -> None:
        body = refused(await api.post("/api/auth/register", name="A", email="b", more=1), 422)
        assert {item["field"] for item in body["fields"]} == {
            "name",
            "email",
            "password",
            "organisationName",
            "more",
        }

    async def test_asks_for_longer_passwords_where_it_is_told_to(self, serve: Serve) -> None:
        api = await serve(password_min_length=12)
        body = refused(
            await api.post("/api/auth/register", **registration(password="12345678901")), 422
        )
        assert body["fields"] == [
            {"field": "password", "message": "password must be at least 12 characters"}
        ]
        ok(await api.post("/api/auth/register", **registration(password="123456789012")), 201)

    async def test_never_cuts_a_password_short(self, api: Api) -> None:
        email = unique_email()
        await api.register(email=email, password="x" * 1024)
        wrong = await api.post("/api/auth/login", email=email, password="x" * 1023)
        refused(wrong, 401)
        await api.login(email, "x" * 1024)


class TestLogin:
    async def test_opens_a_session_whatever_the_case_of_the_address(self, api: Api) -> None:
        email = unique_email("Ada")
        registered = await api.register(email=email)
        answer = await api.post("/api/auth/login", email=email.upper(), password=PASSWORD)
        data = ok(answer, 200, "Login successful")
        assert data["user"] == registered.user
        assert data["organisation"]["subscriptionPlan"] == "FREE"

    async def test_does_not_tell_an_unknown_address_from_a_wrong_password(self, api: Api) -> None:
        account = await api.register()
        unknown = await api.post("/api/auth/login", email=unique_email(), password=PASSWORD)
        wrong = await api.post("/api/auth/login", email=account.user["email"], password="wrong one")
        for answer in (unknown, wrong):
            refused(answer, 401, "Invalid email or password", "CREDENTIALS_INVALID")

    async def test_succeeds_many_times_in_one_second_with_unique_tokens(self, api: Api) -> None:
        account = await api.register()
        accounts = await asyncio.gather(*[api.login(account.user["email"]) for _ in range(10)])
        assert len({one.token for one in accounts}) == 10
        assert len({one.refresh_token for one in accounts}) == 10

    async def test_takes_a_bcrypt_hash_from_elsewhere_and_renews_it(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        long = "p" * 80
        known = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
        await owner.execute("UPDATE users SET password_hash = $1", known)
        await fresh.login(account.user["email"], long)
        renewed = await owner.fetchval("SELECT password_hash FROM users")
        assert renewed.startswith(BY_OUR_PARAMETERS)
        await fresh.login(account.user["email"], long)
        cut = await fresh.post("/api/auth/login", email=account.user["email"], password="p" * 72)
        refused(cut, 401)

    async def test_takes_an_argon2id_hash_by_other_parameters_and_renews_it(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        await owner.execute("UPDATE users SET password_hash = $1", BY_FOUR_LANES)
        wrong = await fresh.post("/api/auth/login", email=account.user["email"], password="another")
        refused(wrong, 401)
        await fresh.login(account.user["email"], "correct horse")
        renewed = await owner.fetchval("SELECT password_hash FROM users")
        assert renewed.startswith(BY_OUR_PARAMETERS)
        await fresh.login(account.user["email"], "correct horse")


class TestRefresh:
    async def refresh(self, api: Api, token: str) -> tuple[int, dict[str, str]]:
        answer = await api.post("/api/auth/refresh", refreshToken=token)
        return answer.status_code, answer.json()["data"]

    async def test_gives_new_tokens(self, api: Api) -> None:
        account = await api.register()
        answer = await api.post("/api/auth/refresh", refreshToken=account.refresh_token)
        data = ok(answer, 200, "Token refreshed")
        assert data["refreshToken"] != account.refresh_token
        account.token = data["accessToken"]
        ok(await account.get("/api/organisations"))

    async def test_rotates_once_however_many_ask_at_once(self, api: Api) -> None:
        account = await api.register()
        answers = await asyncio.gather(
            *[self.refresh(api, account.refresh_token) for _ in range(20)]
        )
        assert {status for status, _ in answers} == {200}
        assert len({data["refreshToken"] for _, data in answers}) == 1

    async def test_gives_the_same_successor_to_a_replay_within_the_grace(self, api: Api) -> None:
        account = await api.register()
        _, first = await self.refresh(api, account.refresh_token)
        status, again = await self.refresh(api, account.refresh_token)
        assert (status, again["refreshToken"]) == (200, first["refreshToken"])

    async def test_ends_the_session_at_a_replay_after_the_grace(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        _, successor = await self.refresh(fresh, account.refresh_token)
        await owner.execute(
            "UPDATE refresh_families SET rotated_at = rotated_at - interval '11 seconds'"
        )
        replay = await fresh.post("/api/auth/refresh", refreshToken=account.refresh_token)
        refused(replay, 401, "Invalid or expired refresh token")
        assert (await self.refresh(fresh, successor["refreshToken"]))[0] == 401
        refused(await account.get("/api/organisations"), 401)
        assert await owner.fetchval("SELECT end_reason FROM sessions") == "token reuse"

    async def test_ends_the_session_at_a_replay_from_two_generations_ago(self, api: Api) -> None:
        account = await api.register()
        _, second = await self.refresh(api, account.refresh_token)
        _, third = await self.refresh(api, second["refreshToken"])
        assert (await self.refresh(api, account.refresh_token))[0] == 401
        assert (await self.refresh(api, third["refreshToken"]))[0] == 401

    async def test_leaves_other_sessions_alone(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        _, second = await self.refresh(api, account.refresh_token)
        await self.refresh(api, second["refreshToken"])
        await self.refresh(api, account.refresh_token)
        ok(await other.get("/api/organisations"))

    async def test_reads_the_membership_from_the_database(
        self, fresh: Api, owner: "Connection[Record]"
    ) -> None:
        account = await fresh.register()
        await owner.execute("UPDATE memberships SET role = 'MEMBER', owner = false")
        _, data = await self.refresh(fresh, account.refresh_token)
        account.token = data["accessToken"]
        refused(await account.get("/api/users"), 403)
        await owner.execute("UPDATE memberships SET removed_at = now()")
        assert (await self.refresh(fresh, data["refreshToken"]))[0] == 401

    async def test_refuses_what_is_no_refresh_token(self, api: Api) -> None:
        account = await api.register()
        for token in ("nonsense", account.token, account.refresh_token + "x"):
            answer = await api.post("/api/auth/refresh", refreshToken=token)
            refused(answer, 401, "Invalid or expired refresh token", "REFRESH_TOKEN_INVALID")
        refused(await api.post("/api/auth/refresh"), 422)

    async def test_refuses_an_expired_one(self, serve: Serve) -> None:
        api = await serve(jwt_refresh_expires_in=timedelta(seconds=-1))
        account = await api.register()
        assert (await self.refresh(api, account.refresh_token))[0] == 401


class TestLogout:
    async def test_ends_the_session_at_once(self, api: Api) -> None:
        account = await api.register()
        answer = await account.post("/api/auth/logout", refreshToken=account.refresh_token)
        assert ok(answer, 200, "Logged out successfully") is None
        refused(await account.get("/api/organisations"), 401, "Invalid or expired access token")
        refused(await api.post("/api/auth/refresh", refreshToken=account.refresh_token), 401)

    @pytest.mark.parametrize("body", [b"{}", b'{"refreshToken":""}', b'{"refreshToken":null}'])
    async def test_needs_the_refresh_token(self, api: Api, body: bytes) -> None:
        account = await api.register()
        answer = await account.call("POST", "/api/auth/logout", content=body)
        refused(answer, 400, "Refresh token is required")

    async def test_needs_a_bearer_token(self, api: Api) -> None:
        account = await api.register()
        answer = await api.post("/api/auth/logout", refreshToken=account.refresh_token)
        refused(answer, 401, "No token provided")

    async def test_cannot_end_somebody_elses_session(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        ok(await account.post("/api/auth/logout", refreshToken=other.refresh_token))
        ok(await other.get("/api/organisations"))

    async def test_ends_the_named_session_of_the_same_user_too(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        ok(await account.post("/api/auth/logout", refreshToken=other.refresh_token))
        refused(await other.get("/api/organisations"), 401)


async def test_nobody_has_an_account_to_begin_with(fresh: Api, owner: "Connection[Record]") -> None:
    ok(await fresh.get("/ready"))
    assert await owner.fetchval("SELECT count(*) FROM users") == 0


async def test_passwords_and_tokens_lie_in_the_database_as_hashes_only(
    fresh: Api, owner: "Connection[Record]"
) -> None:
    account = await fresh.register()
    invite = ok(await account.invite(), 201)
    await fresh.post("/api/auth/refresh", refreshToken=account.refresh_token)
    plain = [PASSWORD, account.token, account.refresh_token, invite["token"]]
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for table in tables:
        for row in await owner.fetch(f'SELECT t::text FROM "{table[0]}" AS t'):
            assert not any(secret in row[0] for secret in plain)


async def test_passwords_are_hashed_off_the_event_loop() -> None:
    passwords = Passwords(minimum_length=8)
    hashing = asyncio.ensure_future(passwords.hash(PASSWORD))
    for _ in range(10):
        await asyncio.sleep(0)  # the loop turns while the hash is made
    assert not hashing.done()
    assert (await passwords.verify(PASSWORD, await hashing))[0]
    passwords.close()
