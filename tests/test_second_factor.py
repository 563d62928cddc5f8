"""An authenticator app, recovery codes, and signing in in two steps."""

import asyncio
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from tenantry.auth.codes import step_of
from tenantry.auth.vault import Vault, VaultError
from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused, unique_email
from tenantry.testing.servers import REFRESH_SECRET
from tests.authenticators import App, with_app, with_passkey
from tests.mail import Mailbox

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# RFC 6238, appendix B: SHA-1, the last six digits of the eight.
RFC_6238 = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


async def first_step(account: Account) -> dict[str, Any]:
    """The password is given; what the second step wants."""
    email = account.user["email"]
    answer = await account.api.post("/api/auth/login", email=email, password=PASSWORD)
    step: dict[str, Any] = ok(answer, 200, "Second factor required")["secondFactor"]
    return step


async def second_step(api: Api, token: str, **proof: Any) -> Any:
    return await api.post("/api/auth/login/second-factor", token=token, **proof)


async def is_strong(account: Account) -> bool:
    strong: bool = ok(await account.get("/api/auth/me"))["secondFactor"]
    return strong


async def require_second_factor(owner: Db, account: Account, required: bool = True) -> None:
    await owner.execute(
        "UPDATE organisations SET requires_second_factor = $2 WHERE id = $1",
        UUID(account.organisation["id"]),
        required,
    )


class TestCodes:
    @pytest.mark.parametrize(("time", "code"), RFC_6238.items())
    def test_are_those_of_rfc_6238(self, time: int, code: str) -> None:
        assert step_of(RFC_SECRET, code, time) == time // 30

    @pytest.mark.parametrize(("seconds", "taken"), [(-31, False), (-30, True), (30, True)])
    def test_may_be_one_step_early_or_late(self, seconds: int, taken: bool) -> None:
        at = 1111111110  # when a step begins; its code is 050471
        assert (step_of(RFC_SECRET, "050471", at + seconds) is not None) is taken
        assert step_of(RFC_SECRET, "050471", at + 59) == at // 30
        assert step_of(RFC_SECRET, "050471", at + 60) is None

    def test_secrets_are_sealed_for_one_person_and_under_one_key(self) -> None:
        vault, one, other = Vault("a" * 32), UUID(int=1), UUID(int=2)
        sealed = vault.seal(one, RFC_SECRET)
        assert vault.unseal(one, sealed) == RFC_SECRET
        assert RFC_SECRET.encode() not in sealed
        assert vault.seal(one, RFC_SECRET) != sealed
        for foreign, user in ((vault, other), (Vault("b" * 32), one)):
            with pytest.raises(VaultError):
                foreign.unseal(user, sealed)


class TestAdding:
    async def test_begins_with_the_password_and_a_picture(self, api: Api) -> None:
        account = await api.register()
        refused(await account.post("/api/auth/totp", password="wrong"), 403, code="PASSWORD_WRONG")
        data = ok(await account.post("/api/auth/totp", password=PASSWORD), 201)
        assert data["uri"].startswith("otpauth://totp/Tenantry:")
        assert f"secret={data['secret']}" in data["uri"]
        assert account.user["email"].replace("@", "%40") in data["uri"]
        assert data["qrCode"].startswith("<svg")

    async def test_counts_for_nothing_until_a_code_is_confirmed(self, api: Api) -> None:
        account = await api.register()
        ok(await account.post("/api/auth/totp", password=PASSWORD), 201)
        await api.login(account.user["email"])
        assert ok(await account.get("/api/auth/second-factors")) == {
            "totpSince": None,
            "passkeys": 0,
            "recoveryCodes": 0,
        }

    async def test_gives_ten_recovery_codes_and_makes_this_session_strong(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        _, codes = await with_app(account)
        assert len(set(codes)) == 10
        assert await is_strong(account)
        assert not await is_strong(other)
        factors = ok(await account.get("/api/auth/second-factors"))
        assert factors["totpSince"].endswith("Z")
        assert factors["recoveryCodes"] == 10

    async def test_begun_again_forgets_the_first_secret(self, api: Api) -> None:
        account = await api.register()
        first, second = [
            App(ok(await account.post("/api/auth/totp", password=PASSWORD), 201)["secret"])
            for _ in range(2)
        ]
        answer = await account.post("/api/auth/totp/confirm", code=first.code())
        refused(answer, 403, code="PROOF_WRONG")
        ok(await account.post("/api/auth/totp/confirm", code=second.code()))

    async def test_waits_for_its_first_code_five_tries_and_ten_minutes(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        refused(
            await account.post("/api/auth/totp/confirm", code="123456"),
            400,
            code="TOTP_UNCONFIRMED",
        )
        app = App(ok(await account.post("/api/auth/totp", password=PASSWORD), 201)["secret"])
        for _ in range(5):
            answer = await account.post("/api/auth/totp/confirm", code=app.wrong())
            refused(answer, 403, code="PROOF_WRONG")
        answer = await account.post("/api/auth/totp/confirm", code=app.code())
        refused(answer, 400, code="TOTP_UNCONFIRMED")

        app = App(ok(await account.post("/api/auth/totp", password=PASSWORD), 201)["secret"])
        await owner.execute("UPDATE totp_secrets SET created_at = now() - interval '10 minutes'")
        answer = await account.post("/api/auth/totp/confirm", code=app.code())
        refused(answer, 400, code="TOTP_UNCONFIRMED")

    async def test_a_second_app_is_refused(self, api: Api) -> None:
        account = await api.register()
        await with_app(account)
        answer = await account.post("/api/auth/totp", password=PASSWORD)
        refused(answer, 409, code="TOTP_EXISTS")

    async def test_is_refused_to_a_session_that_has_not_given_the_factor_there_is(
        self, api: Api
    ) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        started = ok(await other.post("/api/auth/totp", password=PASSWORD), 201)
        assert started
        await with_app(account)
        answer = await other.post("/api/auth/totp", password=PASSWORD)
        refused(answer, 403, code="STEP_UP_REQUIRED")


class TestSigningIn:
    async def test_asks_for_the_second_factor_instead_of_giving_tokens(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        email = account.user["email"]
        answer = await api.post("/api/auth/login", email=email, password=PASSWORD)
        data = ok(answer, 200, "Second factor required")
        assert set(data) == {"secondFactor"}
        step = data["secondFactor"]
        assert step["methods"] == ["totp", "recovery"]
        assert step["passkeyOptions"] is None
        answer = await second_step(api, step["token"], code=app.code())
        signed_in = ok(answer, 200, "Login successful")
        assert set(signed_in) == {"accessToken", "refreshToken", "user", "organisation"}
        assert signed_in["user"] == account.user
        assert await is_strong(Account(api, signed_in))

    async def test_asks_nobody_who_gave_a_wrong_password(self, api: Api) -> None:
        account = await api.register()
        await with_app(account)
        email = account.user["email"]
        answer = await api.post("/api/auth/login", email=email, password="wrong one")
        refused(answer, 401, "Invalid email or password", "CREDENTIALS_INVALID")

    async def test_takes_a_code_once(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        token = (await first_step(account))["token"]
        answer = await second_step(api, token, code=app.last())  # it confirmed the app
        refused(answer, 401, code="SECOND_FACTOR_INVALID")
        ok(await second_step(api, token, code=app.code()))
        token = (await first_step(account))["token"]
        refused(await second_step(api, token, code=app.last()), 401, code="SECOND_FACTOR_INVALID")

    async def test_takes_no_code_from_before_one_that_was_used(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        answer = await second_step(api, (await first_step(account))["token"], code=app.earlier())
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_takes_each_recovery_code_once_however_it_is_written(self, api: Api) -> None:
        account = await api.register()
        _, codes = await with_app(account)
        written = codes[0].upper().replace("-", " ")
        ok(await second_step(api, (await first_step(account))["token"], recoveryCode=written))
        assert ok(await account.get("/api/auth/second-factors"))["recoveryCodes"] == 9
        answer = await second_step(api, (await first_step(account))["token"], recoveryCode=codes[0])
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_takes_nobody_elses_recovery_code(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        await with_app(account)
        _, codes = await with_app(other)
        answer = await second_step(api, (await first_step(account))["token"], recoveryCode=codes[0])
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_ends_after_five_wrong_codes_even_for_the_right_one(self, api: Api) -> None:
        account = await api.register()
        app, codes = await with_app(account)
        token = (await first_step(account))["token"]
        for _ in range(5):
            answer = await second_step(api, token, code=app.wrong())
            refused(answer, 401, code="SECOND_FACTOR_INVALID")
        refused(await second_step(api, token, code=app.code()), 401, code="SIGN_IN_EXPIRED")
        refused(await second_step(api, token, recoveryCode=codes[0]), 401, code="SIGN_IN_EXPIRED")

    async def test_lets_a_hundred_simultaneous_guesses_compare_five(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        app, _ = await with_app(account)
        token = (await first_step(account))["token"]
        answers = await asyncio.gather(
            *[second_step(fresh, token, code=app.wrong()) for _ in range(100)]
        )
        codes = [answer.json()["code"] for answer in answers]
        assert codes.count("SECOND_FACTOR_INVALID") == 5
        assert codes.count("SIGN_IN_EXPIRED") == 95
        assert await owner.fetchval("SELECT tries FROM challenges") == 5

    async def test_expires_after_five_minutes(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        app, _ = await with_app(account)
        token = (await first_step(account))["token"]
        await owner.execute("UPDATE challenges SET expires_at = expires_at - interval '5 minutes'")
        refused(await second_step(fresh, token, code=app.code()), 401, code="SIGN_IN_EXPIRED")
        await first_step(account)
        assert await owner.fetchval("SELECT count(*) FROM challenges") == 1, "expired ones go"

    async def test_goes_on_where_it_began(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        token = (await first_step(account))["token"]
        answer = await api.http.post(
            "/api/auth/login/second-factor",
            json={"token": token, "code": app.code()},
            headers={"user-agent": "another device"},
        )
        refused(answer, 401, code="SIGN_IN_EXPIRED")

    async def test_ends_with_a_new_password(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        app, _ = await with_app(account)
        token = (await first_step(account))["token"]
        await owner.execute("UPDATE users SET password_hash = password_hash || ''")
        refused(await second_step(fresh, token, code=app.code()), 401, code="SIGN_IN_EXPIRED")

    async def test_wants_one_proof(self, api: Api) -> None:
        account = await api.register()
        app, codes = await with_app(account)
        token = (await first_step(account))["token"]
        refused(await second_step(api, token), 422)
        refused(await second_step(api, token, code=app.code(), recoveryCode=codes[0]), 422)
        body = refused(await second_step(api, token, code="12345"), 422)
        assert body["fields"] == [
            {"field": "code", "message": "code must be the six digits that the app shows"}
        ]
        refused(await second_step(api, "nonsense", code="123456"), 401, code="SIGN_IN_EXPIRED")
        assert ok(await account.get("/api/auth/second-factors"))["recoveryCodes"] == 10

    async def test_under_another_secret_takes_recovery_codes_only(
        self, serve: Serve, owner: Db
    ) -> None:
        one = await serve()
        account = await one.register()
        app, codes = await with_app(account)
        other = await serve(jwt_refresh_secret=REFRESH_SECRET[::-1])
        step = await first_step(account.at(other))
        answer = await second_step(other, step["token"], code=app.code())
        refused(answer, 401, code="SECOND_FACTOR_INVALID")
        ok(await second_step(other, step["token"], recoveryCode=codes[0]))


class TestRaces:
    """Of several who give the same at the same time, one is let in. No more of them than guesses
    are free, so that none has to wait.
    """

    async def won(self, *attempts: Any) -> int:
        answers = await asyncio.gather(*attempts)
        assert {answer.status_code for answer in answers} <= {200, 401, 429}  # guesses wait
        return [answer.status_code for answer in answers].count(200)

    async def test_with_one_code_in_several_sign_ins(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        tokens = [(await first_step(account))["token"] for _ in range(5)]
        code = app.code()
        assert await self.won(*[second_step(api, token, code=code) for token in tokens]) == 1

    async def test_with_one_recovery_code_in_several_sign_ins(self, api: Api) -> None:
        for _ in range(3):
            account = await api.register()
            _, codes = await with_app(account)
            tokens = [(await first_step(account))["token"] for _ in range(5)]
            attempts = [second_step(api, token, recoveryCode=codes[0]) for token in tokens]
            assert await self.won(*attempts) == 1

    async def test_with_several_good_proofs_in_one_sign_in(self, api: Api) -> None:
        account = await api.register()
        _, codes = await with_app(account)
        token = (await first_step(account))["token"]
        attempts = [second_step(api, token, recoveryCode=code) for code in codes[:5]]
        assert await self.won(*attempts) == 1
        left = ok(await account.get("/api/auth/second-factors"))["recoveryCodes"]
        assert left == 9, "what did not sign in has not been used up"

    async def test_with_one_first_code(self, api: Api) -> None:
        account = await api.register()
        app = App(ok(await account.post("/api/auth/totp", password=PASSWORD), 201)["secret"])
        code = app.code()
        answers = await asyncio.gather(
            *[account.post("/api/auth/totp/confirm", code=code) for _ in range(5)]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


class TestStepUp:
    async def test_makes_a_session_from_before_strong(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        app, _ = await with_app(account)
        answer = await other.post("/api/auth/second-factor", code=app.wrong())
        refused(answer, 403, code="PROOF_WRONG")
        assert not await is_strong(other)
        ok(await other.post("/api/auth/second-factor", code=app.code()))
        assert await is_strong(other)

    async def test_lets_into_an_organisation_that_asks_for_it(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        other = await fresh.login(account.user["email"])
        await require_second_factor(owner, account)
        answer = await account.get("/api/organisations")
        refused(answer, 403, code="SECOND_FACTOR_REQUIRED")
        app, _ = await with_app(account)
        ok(await account.get("/api/organisations"))
        refused(await other.get("/api/organisations"), 403, code="SECOND_FACTOR_REQUIRED")
        ok(await other.post("/api/auth/second-factor", code=app.code()))
        ok(await other.get("/api/organisations"))

    async def test_comes_before_what_could_take_the_account_over(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await mail_api.register()
        weak = await mail_api.login(account.user["email"])
        app, _ = await with_app(account)
        new = {"currentPassword": PASSWORD, "newPassword": "wholly other words"}
        change = {"email": unique_email("thief"), "password": PASSWORD}
        for answer in (
            await weak.post("/api/auth/change-password", **new),
            await weak.post("/api/auth/change-email", **change),
            await weak.get("/api/auth/me/export"),
            await weak.delete("/api/auth/me", password=PASSWORD),
        ):
            refused(answer, 403, code="STEP_UP_REQUIRED")
        assert mailbox.mails_to(change["email"]) == []
        ok(await weak.post("/api/auth/second-factor", code=app.code()))
        ok(await weak.get("/api/auth/me/export"))
        ok(await weak.post("/api/auth/change-email", **change), 202)
        ok(await weak.post("/api/auth/change-password", **new))

    async def test_needs_a_factor(self, api: Api) -> None:
        account = await api.register()
        answer = await account.post("/api/auth/second-factor", code="123456")
        refused(answer, 409, code="NO_SECOND_FACTOR")

    async def test_a_refreshed_session_stays_strong(self, api: Api) -> None:
        account = await api.register()
        await with_app(account)
        answer = await api.post("/api/auth/refresh", refreshToken=account.refresh_token)
        account.token = ok(answer)["accessToken"]
        assert await is_strong(account)


class TestRecoveryCodes:
    async def test_are_renewed_with_password_and_factor(self, api: Api) -> None:
        account = await api.register()
        app, old = await with_app(account)
        answer = await account.post("/api/auth/recovery-codes", password="wrong", code=app.code())
        refused(answer, 403, code="PASSWORD_WRONG")
        answer = await account.post("/api/auth/recovery-codes", password=PASSWORD, code=app.last())
        new = ok(answer, 201)["recoveryCodes"]
        assert not set(new) & set(old)
        step = await first_step(account)
        refused(await second_step(api, step["token"], recoveryCode=old[0]), 401)
        ok(await second_step(api, step["token"], recoveryCode=new[0]))

    async def test_are_none_without_a_factor(self, api: Api) -> None:
        account = await api.register()
        answer = await account.post("/api/auth/recovery-codes", password=PASSWORD, code="123456")
        refused(answer, 409, code="NO_SECOND_FACTOR")


class TestRemoving:
    async def remove(self, account: Account, **body: Any) -> Any:
        return await account.call("DELETE", "/api/auth/totp", json=body)

    async def test_the_last_factor_makes_every_session_weak(self, api: Api) -> None:
        account = await api.register()
        app, codes = await with_app(account)
        other = Account(
            api, ok(await second_step(api, (await first_step(account))["token"], code=app.code()))
        )
        answer = await self.remove(account, password="wrong", recoveryCode=codes[0])
        refused(answer, 403, code="PASSWORD_WRONG")
        answer = await self.remove(account, password=PASSWORD, code=app.wrong())
        refused(answer, 403, code="PROOF_WRONG")
        ok(await self.remove(account, password=PASSWORD, recoveryCode=codes[0]))
        assert not await is_strong(account)
        assert not await is_strong(other)
        assert ok(await account.get("/api/auth/second-factors")) == {
            "totpSince": None,
            "passkeys": 0,
            "recoveryCodes": 0,
        }
        await api.login(account.user["email"])

    async def test_is_refused_where_an_organisation_asks_for_one(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        _, codes = await with_app(account)
        await require_second_factor(owner, account)
        answer = await self.remove(account, password=PASSWORD, recoveryCode=codes[0])
        refused(answer, 409, code="SECOND_FACTOR_NEEDED")
        assert ok(await account.get("/api/auth/second-factors"))["recoveryCodes"] == 10
        await require_second_factor(owner, account, False)
        ok(await self.remove(account, password=PASSWORD, recoveryCode=codes[0]))

    async def test_a_closed_account_keeps_nothing(self, fresh: Api, owner: Db) -> None:
        admin = await fresh.register()
        member = await admin.add()
        await with_app(member)
        await first_step(member)
        ok(await admin.remove(member.id))
        for table in ("totp_secrets", "recovery_codes", "challenges"):
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_secrets_and_codes_lie_in_the_database_sealed_or_hashed(
    fresh: Api, owner: Db
) -> None:
    account = await fresh.register()
    app, codes = await with_app(account)
    token = (await first_step(account))["token"]
    plain = [app.totp.secret, app.last(), token, *codes, *[code.replace("-", "") for code in codes]]
    for table in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        for row in await owner.fetch(f'SELECT t::text FROM "{table[0]}" AS t'):
            assert not any(secret in row[0] for secret in plain)


class TestMails:
    """Whoever's account it is hears of every change, at the address that it has."""

    async def test_tell_of_apps_codes_and_passkeys(self, mail_api: Api, mailbox: Mailbox) -> None:
        account = await mail_api.register("Ada")
        app, codes = await with_app(account)
        body: dict[str, Any] = {"password": PASSWORD, "code": app.code()}
        ok(await account.post("/api/auth/recovery-codes", **body), 201)
        await with_passkey(account, origin="https://app.example.com")
        passkey = ok(await account.get("/api/auth/passkeys"))[0]["id"]
        path = f"/api/auth/passkeys/{passkey}"
        ok(await account.call("DELETE", path, json={"password": PASSWORD}))
        # The first of them asks whether the address is theirs.
        mails = [await mailbox.mail_to(account.user["email"]) for _ in range(5)]
        for text in (
            "an authenticator app was added to your account",
            "your recovery codes were replaced by new ones",
            'the passkey "Phone" was added',
            'the passkey "Phone" was removed',
        ):
            assert any(text in mail.text for mail in mails), text
        assert not any(
            secret in mail.text for mail in mails for secret in (app.totp.secret, *codes)
        )


class TestGuessing:
    """Over all sign-ins and sessions of an account, wrong codes have to wait."""

    async def test_is_delayed_in_new_sign_ins_too(self, api: Api) -> None:
        account = await api.register()
        app, _ = await with_app(account)
        for _ in range(5):
            token = (await first_step(account))["token"]
            answer = await second_step(api, token, code=app.wrong())
            refused(answer, 401, code="SECOND_FACTOR_INVALID")
        token = (await first_step(account))["token"]
        answer = await second_step(api, token, code=app.code())
        refused(answer, 429, code="TOO_MANY_AUTH_ATTEMPTS")
        assert int(answer.headers["retry-after"]) > 0

    async def test_is_delayed_in_a_session(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        app, _ = await with_app(account)
        for _ in range(5):
            answer = await other.post("/api/auth/second-factor", code=app.wrong())
            refused(answer, 403, code="PROOF_WRONG")
        answer = await other.post("/api/auth/second-factor", code=app.code())
        refused(answer, 429, code="TOO_MANY_AUTH_ATTEMPTS")
        assert not await is_strong(other)
