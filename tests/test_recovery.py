"""A forgotten password: asked for, mailed, chosen anew."""

import asyncio
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from tenantry.testing import PASSWORD, Account, Api, Serve, eventually, ok, refused, unique_email
from tests.authenticators import with_app
from tests.mail import Mailbox

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NEW = "wholly other words"
SECOND_STEP = "/api/auth/login/second-factor"
JOBS = "SELECT count(*) FROM tenantry_jobs.pgqueuer WHERE entrypoint = 'reset_password'"


async def forgot(api: Api, email: str) -> Any:
    return await api.post("/api/auth/forgot-password", email=email)


async def reset(api: Api, token: str, password: str = NEW) -> Any:
    return await api.post("/api/auth/reset-password", token=token, password=password)


async def registered(api: Api, mailbox: Mailbox) -> Account:
    """Somebody who has read the mail about their address."""
    account = await api.register()
    await mailbox.mail_to(account.user["email"])
    return account


async def link_for(api: Api, mailbox: Mailbox, account: Account) -> str:
    """The token of a link for a new password."""
    ok(await forgot(api, account.user["email"]), 202)
    mail = await mailbox.mail_to(account.user["email"])
    assert mail.link.startswith("https://app.example.com/account/reset-password#token=")
    return mail.token


class TestForgot:
    async def test_answers_the_same_whether_there_is_an_account(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        known, unknown = await registered(mail_api, mailbox), unique_email("nobody")
        answers = [await forgot(mail_api, email) for email in (unknown, known.user["email"])]
        sentence = "If the address has an account, a link is on its way to it"
        for answer in answers:
            assert ok(answer, 202, sentence) is None
        assert answers[0].content == answers[1].content
        mail = await mailbox.mail_to(known.user["email"])
        assert mail.subject == "Choose a new password"
        assert mailbox.mails_to(unknown) == []

    async def test_does_the_same_work_for_both(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        for email in (account.user["email"], unique_email()):
            ok(await forgot(fresh, email), 202)
        assert await owner.fetchval(JOBS) == 2
        kinds = await owner.fetch("SELECT DISTINCT purpose FROM one_time_tokens")
        assert [row[0] for row in kinds] == ["verify-email"], "the worker makes the link"

    async def test_mails_one_link_a_minute(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await registered(api, mailbox)
        email = account.user["email"]
        for _ in range(3):
            ok(await forgot(api, email), 202)
        await mailbox.mail_to(email)
        await eventually(lambda: owner.fetchval(JOBS), 0)
        assert len(mailbox.mails_to(email)) == 2  # with that about the address
        await owner.execute("UPDATE one_time_tokens SET created_at = now() - interval '61 s'")
        ok(await forgot(api, email), 202)
        await mailbox.mail_to(email)

    async def test_keeps_a_good_link_in_the_mailbox_however_many_are_asked_for(
        self, fresh: Api, owner: Db, runtime: Db, worker_url: str
    ) -> None:
        """The pause between two grows, but stays below a link's life."""
        account = await fresh.register()
        worker = await asyncpg.connect(worker_url)
        pauses = []
        for number in range(10):
            issued = None
            minutes = 0
            while issued is None:
                issued = await worker.fetchval(
                    "SELECT expires_at FROM tenantry.issue_password_reset($1, $2, '1 hour')",
                    account.user["email"],
                    bytes([number]),
                )
                if issued is None:
                    minutes += 1
                    await owner.execute(
                        "UPDATE one_time_tokens SET created_at = created_at - interval '1 minute'"
                    )
            pauses.append(minutes)
        await worker.close()
        assert pauses == [0, 1, 2, 4, 8, 16, 30, 30, 30, 30]

    async def test_says_so_where_the_server_sends_no_mail(self, serve: Serve) -> None:
        api = await serve(app_env="production")
        refused(await forgot(api, unique_email()), 503, code="MAIL_NOT_CONFIGURED")

    async def test_writes_to_the_address_as_the_account_has_it(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await registered(mail_api, mailbox)
        ok(await forgot(mail_api, account.user["email"].upper()), 202)
        await mailbox.mail_to(account.user["email"])


class TestReset:
    async def test_sets_the_password_and_ends_every_session(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await registered(mail_api, mailbox)
        email = account.user["email"]
        other = await mail_api.login(email)
        async with other.socket() as socket:
            token = await link_for(mail_api, mailbox, account)
            answer = await reset(mail_api, token)
            assert ok(answer, 200, "Password changed; sign in with the new one") is None
            assert (await socket.closed())[0] == 4001
        for session in (account, other):
            refused(await session.get("/api/organisations"), 401)
            answer = await mail_api.post("/api/auth/refresh", refreshToken=session.refresh_token)
            refused(answer, 401)
        refused(await mail_api.post("/api/auth/login", email=email, password=PASSWORD), 401)
        await mail_api.login(email, NEW)
        assert (await mailbox.mail_to(email)).subject == "Your password was changed"

    async def test_does_not_get_round_the_second_factor(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await registered(mail_api, mailbox)
        _, codes = await with_app(account)
        email = account.user["email"]
        await mailbox.mail_to(email)  # of the app
        login = {"email": email, "password": PASSWORD}
        begun = ok(await mail_api.post("/api/auth/login", **login))["secondFactor"]["token"]
        ok(await reset(mail_api, await link_for(mail_api, mailbox, account)))
        old = await mail_api.post(SECOND_STEP, token=begun, recoveryCode=codes[0])
        refused(old, 401, code="SIGN_IN_EXPIRED")
        answer = await mail_api.post("/api/auth/login", email=email, password=NEW)
        step = ok(answer, 200, "Second factor required")["secondFactor"]
        ok(await mail_api.post(SECOND_STEP, token=step["token"], recoveryCode=codes[0]))

    async def test_is_recorded_as_the_sessions_end(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await registered(api, mailbox)
        ok(await reset(api, await link_for(api, mailbox, account)))
        assert await owner.fetchval("SELECT end_reason FROM sessions") == "password reset"
        assert await owner.fetchval("SELECT email_verified_at IS NOT NULL FROM users")

    async def test_works_once(self, mail_api: Api, mailbox: Mailbox) -> None:
        token = await link_for(mail_api, mailbox, await registered(mail_api, mailbox))
        answers = await asyncio.gather(
            *[reset(mail_api, token, f"new password no {number}") for number in range(5)]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]
        refused(
            await reset(mail_api, token),
            404,
            "This link is not valid, or has been used already; ask for a new one",
            "LINK_INVALID",
        )

    async def test_refuses_an_expired_and_a_superseded_link(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await registered(api, mailbox)
        first = await link_for(api, mailbox, account)
        await owner.execute("UPDATE one_time_tokens SET created_at = now() - interval '1 hour'")
        second = await link_for(api, mailbox, account)
        refused(await reset(api, first), 404, code="LINK_INVALID")
        await owner.execute("UPDATE one_time_tokens SET expires_at = now()")
        refused(await reset(api, second), 410, code="LINK_EXPIRED")
        await api.login(account.user["email"])

    async def test_refuses_a_link_to_an_address_that_is_not_the_accounts_any_more(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await registered(api, mailbox)
        token = await link_for(api, mailbox, account)
        await owner.execute("UPDATE users SET email = $1", unique_email("new"))
        refused(await reset(api, token), 404, code="LINK_INVALID")

    async def test_refuses_a_link_that_a_changed_password_came_before(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await registered(mail_api, mailbox)
        token = await link_for(mail_api, mailbox, account)
        body = {"currentPassword": PASSWORD, "newPassword": NEW}
        ok(await account.post("/api/auth/change-password", **body))
        refused(await reset(mail_api, token, "something else"), 404, code="LINK_INVALID")

    async def test_refuses_another_purposes_link(self, mail_api: Api, mailbox: Mailbox) -> None:
        account = await mail_api.register()
        to_verify = (await mailbox.mail_to(account.user["email"])).token
        refused(await reset(mail_api, to_verify), 404, code="LINK_INVALID")
        to_reset = await link_for(mail_api, mailbox, account)
        answer = await mail_api.post("/api/auth/verify-email", token=to_reset)
        refused(answer, 404, code="LINK_INVALID")

    @pytest.mark.parametrize("password", ["password1", "Analytical Engines", "short", None])
    async def test_refuses_a_bad_password_and_keeps_the_link(
        self, mail_api: Api, mailbox: Mailbox, password: str | None
    ) -> None:
        account = await registered(mail_api, mailbox)
        token = await link_for(mail_api, mailbox, account)
        answer = await reset(mail_api, token, password or account.user["email"])
        assert [field["field"] for field in refused(answer, 422)["fields"]] == ["password"]
        ok(await reset(mail_api, token))

    async def test_leaves_no_session_to_who_signs_in_with_the_old_one_meanwhile(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await registered(mail_api, mailbox)
        token = await link_for(mail_api, mailbox, account)
        email = account.user["email"]
        answer, *logins = await asyncio.gather(
            reset(mail_api, token),
            *[mail_api.post("/api/auth/login", email=email, password=PASSWORD) for _ in range(4)],
        )
        ok(answer)
        for login in logins:
            if login.status_code == 200:
                session = Account(mail_api, login.json()["data"])
                refused(await session.get("/api/organisations"), 401)


async def test_a_token_lies_in_the_database_as_a_hash_only(
    serve: Serve, owner: Db, mailbox: Mailbox, worker: None
) -> None:
    api = await serve(**mailbox.settings)
    account = await registered(api, mailbox)
    token = await link_for(api, mailbox, account)
    for table in ("one_time_tokens", "tenantry_jobs.pgqueuer", "tenantry_jobs.pgqueuer_log"):
        for row in await owner.fetch(f"SELECT t::text FROM {table} AS t"):
            assert token not in row[0]


async def test_the_server_cannot_make_links_for_passwords_nor_the_worker_use_them(
    runtime: Db, worker_url: str
) -> None:
    refusal = asyncpg.InsufficientPrivilegeError
    with pytest.raises(refusal):
        await runtime.execute("SELECT tenantry.issue_password_reset('a@b.c', '', '1 hour')")
    with pytest.raises(refusal):
        await runtime.execute(
            "SELECT tenantry.issue_token($1, 'reset-password', 'a@b.c', '', '1 hour')", UUID(int=1)
        )
    with pytest.raises(refusal):
        await runtime.execute("SELECT tenantry.set_password($1, 'hash')", UUID(int=1))
    worker = await asyncpg.connect(worker_url)
    with pytest.raises(refusal):
        await worker.execute("SELECT tenantry.reset_password('', 'hash', '')")
    with pytest.raises(refusal):
        await worker.execute("SELECT * FROM one_time_tokens")
    await worker.close()


async def test_a_refresh_token_that_is_used_twice_is_told_to_its_owner(
    mail_api: Api, mailbox: Mailbox
) -> None:
    account = await registered(mail_api, mailbox)
    token = account.refresh_token
    for _ in range(2):
        answer = await mail_api.post("/api/auth/refresh", refreshToken=token)
        token = ok(answer)["refreshToken"]
    for _ in range(3):
        thief = await mail_api.post("/api/auth/refresh", refreshToken=account.refresh_token)
        refused(thief, 401, code="REFRESH_TOKEN_INVALID")
    refused(await mail_api.post("/api/auth/refresh", refreshToken=token), 401)
    mail = await mailbox.mail_to(account.user["email"])
    assert mail.subject == "A device was signed out for your safety"
    assert "python-httpx" in mail.text
    assert len(mailbox.mails_to(account.user["email"])) == 2  # with that about the address
