"""Passkeys: as a second factor, and alone in place of password and second factor."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import CapturingLogger

from tenantry.auth import proofs
from tenantry.auth.relying_party import RelyingParty
from tenantry.settings import Settings
from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused
from tests.authenticators import ORIGIN, Authenticator, to_text, with_app, with_passkey
from tests.test_second_factor import (
    Db,
    first_step,
    is_strong,
    require_second_factor,
    second_step,
)

# What a browser on another page, a phisher's relay or a broken authenticator would send.
WRONG: dict[str, dict[str, Any]] = {
    "origin": {"origin": "https://evil.example"},
    "port": {"origin": "http://localhost:3001"},
    "name": {"rp_id": "evil.example"},
    "challenge": {"challenge": to_text(bytes(32))},
    "frame": {"cross_origin": True},
}


async def options(account: Account) -> Any:
    answer = await account.post("/api/auth/passkeys/options", password=PASSWORD)
    return ok(answer)["passkeyOptions"]


async def add(account: Account, credential: dict[str, Any]) -> Any:
    return await account.post("/api/auth/passkeys", name="Phone", credential=credential)


async def begin(api: Api) -> tuple[str, Any]:
    """Signing in with a passkey alone: the token, and what is to be signed."""
    begun = ok(await api.post("/api/auth/login/passkey/options"))
    return begun["token"], begun["passkeyOptions"]


async def passkey_login(api: Api, token: str, credential: dict[str, Any]) -> Any:
    return await api.post("/api/auth/login/passkey", token=token, credential=credential)


async def sign_in(api: Api, authenticator: Authenticator, **wrong: Any) -> Any:
    token, asked = await begin(api)
    return await passkey_login(api, token, authenticator.get(asked, **wrong))


class TestAdding:
    async def test_makes_the_session_strong_and_gives_recovery_codes(self, api: Api) -> None:
        account = await api.register()
        asked = await options(account)
        assert asked["rp"]["id"] == "localhost"
        assert asked["user"]["name"] == account.user["email"]
        assert asked["attestation"] == "none"
        answer = await add(account, Authenticator().create(asked))
        assert len(ok(answer, 201, "Passkey added")["recoveryCodes"]) == 10
        assert await is_strong(account)
        (passkey,) = ok(await account.get("/api/auth/passkeys"))
        assert passkey["name"] == "Phone"
        assert passkey["userVerified"] is True
        assert passkey["transports"] == ["internal"]
        assert passkey["usedAt"] is None

    async def test_begins_with_the_password(self, api: Api) -> None:
        account = await api.register()
        answer = await account.post("/api/auth/passkeys/options", password="wrong")
        refused(answer, 403, code="PASSWORD_WRONG")

    async def test_another_one_leaves_the_recovery_codes_as_they_are(self, api: Api) -> None:
        account = await api.register()
        await with_app(account)
        answer = await add(account, Authenticator().create(await options(account)))
        assert ok(answer, 201)["recoveryCodes"] is None
        assert len((await options(account))["excludeCredentials"]) == 1

    async def test_is_refused_to_a_session_that_has_not_given_the_factor_there_is(
        self, api: Api
    ) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        begun = await options(other)
        await with_app(account)
        answer = await other.post("/api/auth/passkeys/options", password=PASSWORD)
        refused(answer, 403, code="STEP_UP_REQUIRED")
        answer = await add(other, Authenticator().create(begun))
        refused(answer, 403, code="STEP_UP_REQUIRED")

    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
    async def test_refuses_what_was_not_made_here(self, api: Api, wrong: dict[str, Any]) -> None:
        account = await api.register()
        answer = await add(account, Authenticator().create(await options(account), **wrong))
        code = "CHALLENGE_INVALID" if "challenge" in wrong else "PASSKEY_REFUSED"
        refused(answer, 400, code=code)
        assert ok(await account.get("/api/auth/passkeys")) == []

    async def test_takes_a_challenge_once_from_the_session_that_asked(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        credential = Authenticator().create(await options(account))
        refused(await add(other, credential), 400, code="CHALLENGE_INVALID")
        refused(await add(await api.register(), credential), 400, code="CHALLENGE_INVALID")
        ok(await add(account, credential), 201)
        refused(await add(account, credential), 400, code="CHALLENGE_INVALID")

    async def test_refuses_a_credential_that_somebody_has(self, api: Api) -> None:
        authenticator = await with_passkey(await api.register())
        account = await api.register()
        answer = await add(account, authenticator.create(await options(account)))
        refused(answer, 409, code="PASSKEY_EXISTS")
        assert not await is_strong(account)

    @pytest.mark.parametrize(
        "part", ["clientDataJSON", "attestationObject"], ids=["client data", "attestation"]
    )
    async def test_refuses_nonsense(self, api: Api, part: str) -> None:
        account = await api.register()
        for nonsense in ("", "!", "AAAA", "oWNmbXRkbm9uZQ", "e30", "bnVsbA", "W10", "é"):
            credential = Authenticator().create(await options(account))
            credential["response"][part] = nonsense
            refused(await add(account, credential), 400)
        refused(await add(account, {"id": 1}), 422)

    async def test_stops_at_twenty(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        await with_passkey(account)
        begun = await options(account)
        await owner.execute(
            """INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count,
                                     transports, name, user_verified)
               SELECT gen_random_uuid(), $1, int4send(n), '', 0, '{}', 'Key', false
                 FROM generate_series(1, 19) AS n""",
            UUID(account.id),
        )
        refused(await add(account, Authenticator().create(begun)), 409, code="TOO_MANY_PASSKEYS")
        answer = await account.post("/api/auth/passkeys/options", password=PASSWORD)
        refused(answer, 409, code="TOO_MANY_PASSKEYS")


class TestSecondStep:
    async def test_takes_a_passkey(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        step = await first_step(account)
        assert step["methods"] == ["passkey", "recovery"]
        allowed = step["passkeyOptions"]["allowCredentials"]
        assert [one["id"] for one in allowed] == [to_text(authenticator.id)]
        credential = authenticator.get(step["passkeyOptions"], user_verified=False)
        signed_in = ok(await second_step(api, step["token"], credential=credential), 200)
        assert await is_strong(Account(api, signed_in))
        (passkey,) = ok(await account.get("/api/auth/passkeys"))
        assert passkey["usedAt"] is not None

    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
    async def test_refuses_what_was_not_signed_here(self, api: Api, wrong: dict[str, Any]) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        step = await first_step(account)
        credential = authenticator.get(step["passkeyOptions"], **wrong)
        answer = await second_step(api, step["token"], credential=credential)
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_refuses_somebody_elses_passkey(self, api: Api) -> None:
        account, other = await api.register(), await api.register()
        await with_passkey(account)
        authenticator = await with_passkey(other)
        step = await first_step(account)
        credential = authenticator.get(step["passkeyOptions"])
        answer = await second_step(api, step["token"], credential=credential)
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_refuses_another_key_under_the_same_name(self, api: Api) -> None:
        account = await api.register()
        authenticator, forged = await with_passkey(account), Authenticator()
        forged.id, forged.user_handle = authenticator.id, authenticator.user_handle
        step = await first_step(account)
        credential = forged.get(step["passkeyOptions"])
        answer = await second_step(api, step["token"], credential=credential)
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_refuses_what_was_signed_for_an_earlier_sign_in(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        step = await first_step(account)
        credential = authenticator.get(step["passkeyOptions"])
        ok(await second_step(api, step["token"], credential=credential))
        answer = await second_step(api, step["token"], credential=credential)
        refused(answer, 401, code="SIGN_IN_EXPIRED")
        answer = await second_step(api, (await first_step(account))["token"], credential=credential)
        refused(answer, 401, code="SECOND_FACTOR_INVALID")

    async def test_lets_one_of_many_simultaneous_answers_in(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account, Authenticator(counts=False))
        step = await first_step(account)
        credential = authenticator.get(step["passkeyOptions"])
        answers = await asyncio.gather(
            *[second_step(api, step["token"], credential=credential) for _ in range(5)]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


class TestCounters:
    async def test_that_do_not_grow_are_refused_and_logged(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged = CapturingLogger()
        monkeypatch.setattr(proofs, "log", logged)
        account = await api.register()
        authenticator = await with_passkey(account)
        ok(await sign_in(api, authenticator, count=7))
        for count in (7, 6, 0):
            refused(await sign_in(api, authenticator, count=count), 401, code="PASSKEY_INVALID")
        assert [call.kwargs["count"] for call in logged.calls] == [7, 6, 0]
        assert {call.method_name for call in logged.calls} == {"warning"}
        ok(await sign_in(api, authenticator, count=8))

    async def test_may_be_zero_for_ever(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account, Authenticator(counts=False))
        for _ in range(2):
            ok(await sign_in(api, authenticator))

    async def test_of_a_clone_let_one_of_two_in(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        begun = [await begin(api) for _ in range(4)]
        answers = await asyncio.gather(
            *[
                passkey_login(api, token, authenticator.get(asked, count=5))
                for token, asked in begun
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


class TestAlone:
    async def test_signs_in_strong_without_a_password(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        token, asked = await begin(api)
        assert asked["allowCredentials"] == []
        assert asked["userVerification"] == "required"
        answer = await passkey_login(api, token, authenticator.get(asked))
        signed_in = ok(answer, 200, "Login successful")
        assert set(signed_in) == {"accessToken", "refreshToken", "user", "organisation"}
        assert signed_in["user"] == account.user
        assert await is_strong(Account(api, signed_in))

    async def test_wants_its_person_verified(self, api: Api) -> None:
        authenticator = await with_passkey(await api.register())
        answer = await sign_in(api, authenticator, user_verified=False)
        refused(answer, 401, code="PASSKEY_INVALID")

    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
    async def test_refuses_what_was_not_signed_here(self, api: Api, wrong: dict[str, Any]) -> None:
        authenticator = await with_passkey(await api.register())
        refused(await sign_in(api, authenticator, **wrong), 401, code="PASSKEY_INVALID")

    async def test_refuses_a_passkey_that_says_it_is_somebody_elses(self, api: Api) -> None:
        other = await api.register()
        authenticator = await with_passkey(await api.register())
        for handle in (to_text(UUID(other.id).bytes), "", None):
            answer = await sign_in(api, authenticator, user_handle=handle)
            refused(answer, 401, code="PASSKEY_INVALID")

    async def test_refuses_one_that_nobody_has(self, api: Api) -> None:
        refused(await sign_in(api, Authenticator()), 401, code="PASSKEY_INVALID")
        token, asked = await begin(api)
        credential = {**Authenticator().get(asked), "id": "é", "rawId": "!"}
        refused(await passkey_login(api, token, credential), 401, code="PASSKEY_INVALID")

    async def test_takes_a_challenge_once_and_for_this_only(self, api: Api) -> None:
        account = await api.register()
        authenticator = await with_passkey(account)
        token, asked = await begin(api)
        credential = authenticator.get(asked)
        ok(await passkey_login(api, token, credential))
        refused(await passkey_login(api, token, credential), 401, code="SIGN_IN_EXPIRED")
        step = await first_step(account)
        credential = authenticator.get(step["passkeyOptions"])
        refused(await passkey_login(api, step["token"], credential), 401, code="SIGN_IN_EXPIRED")

    async def test_refuses_nonsense(self, api: Api) -> None:
        authenticator = await with_passkey(await api.register())
        for part in ("clientDataJSON", "authenticatorData", "signature"):
            for nonsense in ("", "!", "AAAA", "bnVsbA", "é"):
                token, asked = await begin(api)
                credential = authenticator.get(asked)
                credential["response"][part] = nonsense
                refused(await passkey_login(api, token, credential), 401, code="PASSKEY_INVALID")


class TestStepUp:
    async def test_takes_a_passkey(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        refused(await other.post("/api/auth/second-factor/options"), 409, code="NO_SECOND_FACTOR")
        authenticator = await with_passkey(account)
        asked = ok(await other.post("/api/auth/second-factor/options"))["passkeyOptions"]
        credential = authenticator.get(asked)
        answer = await account.post("/api/auth/second-factor", credential=credential)
        refused(answer, 400, code="CHALLENGE_INVALID")  # another session's
        ok(await other.post("/api/auth/second-factor", credential=credential))
        assert await is_strong(other)
        answer = await other.post("/api/auth/second-factor", credential=credential)
        refused(answer, 400, code="CHALLENGE_INVALID")

    async def test_refuses_somebody_elses_passkey(self, api: Api) -> None:
        account, mallory = await api.register(), await api.register()
        other = await api.login(account.user["email"])
        await with_passkey(account)
        authenticator = await with_passkey(mallory)
        asked = ok(await other.post("/api/auth/second-factor/options"))["passkeyOptions"]
        answer = await other.post("/api/auth/second-factor", credential=authenticator.get(asked))
        refused(answer, 403, code="PROOF_WRONG")
        assert not await is_strong(other)


class TestManaging:
    async def passkey(self, account: Account) -> str:
        return str(ok(await account.get("/api/auth/passkeys"))[0]["id"])

    async def remove(self, account: Account, passkey: str, password: str = PASSWORD) -> Any:
        path = f"/api/auth/passkeys/{passkey}"
        return await account.call("DELETE", path, json={"password": password})

    async def test_renames_ones_own(self, api: Api) -> None:
        account, mallory = await api.register(), await api.register()
        await with_passkey(account)
        path = f"/api/auth/passkeys/{await self.passkey(account)}"
        answer = await mallory.call("PATCH", path, json={"name": "Mine"})
        refused(answer, 404, code="PASSKEY_UNKNOWN")
        refused(await account.call("PATCH", path, json={"name": " "}), 422)
        ok(await account.call("PATCH", path, json={"name": "Ada's key"}))
        assert ok(await account.get("/api/auth/passkeys"))[0]["name"] == "Ada's key"

    async def test_removes_ones_own_with_the_password(self, api: Api) -> None:
        account, mallory = await api.register(), await api.register()
        authenticator = await with_passkey(account)
        passkey = await self.passkey(account)
        refused(await self.remove(account, passkey, "wrong"), 403, code="PASSWORD_WRONG")
        refused(await self.remove(mallory, passkey), 404, code="PASSKEY_UNKNOWN")
        refused(await self.remove(account, "nonsense"), 404, code="PASSKEY_UNKNOWN")
        ok(await self.remove(account, passkey))
        assert not await is_strong(account)
        refused(await sign_in(api, authenticator), 401, code="PASSKEY_INVALID")
        await api.login(account.user["email"])

    async def test_keeps_sessions_strong_while_a_factor_is_left(self, api: Api) -> None:
        account = await api.register()
        await with_app(account)
        await with_passkey(account)
        ok(await self.remove(account, await self.passkey(account)))
        assert await is_strong(account)

    async def test_a_weak_session_removes_nothing(self, api: Api) -> None:
        account = await api.register()
        other = await api.login(account.user["email"])
        await with_passkey(account)
        passkey = await self.passkey(account)
        refused(await self.remove(other, passkey), 403, code="STEP_UP_REQUIRED")

    async def test_keeps_the_last_one_where_an_organisation_asks_even_if_two_go_at_once(
        self, fresh: Api, owner: Db
    ) -> None:
        account = await fresh.register()
        _, codes = await with_app(account)
        await with_passkey(account)
        await require_second_factor(owner, account)
        answers = await asyncio.gather(
            self.remove(account, await self.passkey(account)),
            account.call(
                "DELETE",
                "/api/auth/totp",
                json={"password": PASSWORD, "recoveryCode": codes[0]},
            ),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        refused(
            next(answer for answer in answers if answer.status_code == 409),
            409,
            code="SECOND_FACTOR_NEEDED",
        )
        ok(await account.get("/api/organisations"))


class TestWhereTheyWork:
    def party(self, **changes: Any) -> RelyingParty:
        return RelyingParty(Settings(**changes))

    def test_is_localhost_in_development(self) -> None:
        party = self.party(port=4000)
        assert (party.works, party.id) == (True, "localhost")
        assert party.origins == ["http://localhost:4000"]

    def test_is_the_name_of_public_url(self) -> None:
        party = self.party(
            public_url="https://Example.com/",
            cors_origins=(
                "https://app.example.com",
                "https://example.com:8443",
                "http://app.example.com",
                "https://evilexample.com",
                "https://other.example",
            ),
        )
        assert party.id == party.name == "example.com"
        assert party.origins == [
            "https://example.com",
            "https://app.example.com",
            "https://example.com:8443",
        ]

    @pytest.mark.parametrize(
        "url", [None, "http://example.com", "https://192.0.2.1", "https://[2001:db8::1]"]
    )
    def test_is_nowhere_else_in_production(self, url: str | None) -> None:
        assert not self.party(app_env="production", public_url=url).works

    async def test_says_so_where_they_do_not(self, serve: Serve) -> None:
        api = await serve(public_url="https://192.0.2.1")
        account = await api.register()
        for answer in (
            await account.post("/api/auth/passkeys/options", password=PASSWORD),
            await api.post("/api/auth/login/passkey/options"),
        ):
            assert "PUBLIC_URL" in refused(answer, 409, code="PASSKEYS_NOT_SET_UP")["message"]

    async def test_offers_what_is_left_where_they_work_no_more(self, serve: Serve) -> None:
        account = await (await serve()).register()
        authenticator = await with_passkey(account)
        api = await serve(public_url="http://192.0.2.1")
        step = await first_step(account.at(api))
        assert step["methods"] == ["recovery"]
        credential = authenticator.get({"challenge": step["token"], "rpId": "localhost"})
        answer = await second_step(api, step["token"], credential=credential)
        refused(answer, 401, code="SECOND_FACTOR_INVALID")


def test_the_software_authenticator_is_where_the_servers_are() -> None:
    assert RelyingParty(Settings()).origins == [ORIGIN]


async def test_changes_that_cross_each_other_all_end(api: Api) -> None:
    """Proofs, removals, additions and step-ups of one person at once: none waits for ever, and
    the database never has to choose a victim.
    """
    account = await api.register()
    app, codes = await with_app(account)
    authenticator = await with_passkey(account, Authenticator(counts=False))
    others = [Account(api, ok(await sign_in(api, authenticator))) for _ in range(3)]
    passkey = ok(await account.get("/api/auth/passkeys"))[0]["id"]
    asked = ok(await others[0].post("/api/auth/second-factor/options"))["passkeyOptions"]
    begun = await options(others[2])
    answers = await asyncio.gather(
        others[0].post("/api/auth/second-factor", credential=authenticator.get(asked)),
        others[1].post("/api/auth/recovery-codes", password=PASSWORD, code=app.code()),
        add(others[2], Authenticator().create(begun)),
        account.call("DELETE", f"/api/auth/passkeys/{passkey}", json={"password": PASSWORD}),
        account.call(
            "DELETE", "/api/auth/totp", json={"password": PASSWORD, "recoveryCode": codes[0]}
        ),
        sign_in(api, authenticator),
        *[
            api.post("/api/auth/login", email=account.user["email"], password=PASSWORD)
            for _ in range(3)
        ],
    )
    statuses = [answer.status_code for answer in answers]
    assert max(statuses) < 500, statuses
