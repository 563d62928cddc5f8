"""Addresses: proven, changed; and names."""

import asyncio
from typing import Any, TypeAlias

import asyncpg

from tenantry.testing import PASSWORD, Account, Api, Serve, ok, refused, unique_email
from tests.mail import Mailbox

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def verify(api: Api, token: str) -> Any:
    return await api.post("/api/auth/verify-email", token=token)


async def verified(account: Account) -> bool:
    return bool(ok(await account.get("/api/auth/me"))["emailVerified"])


async def change(account: Account, email: str, password: str = PASSWORD) -> Any:
    return await account.post("/api/auth/change-email", email=email, password=password)


async def settled(api: Api, mailbox: Mailbox) -> Account:
    """Somebody who has read the mail about their address."""
    account = await api.register()
    await mailbox.mail_to(account.user["email"])
    return account


class TestVerification:
    async def test_takes_the_link_that_signing_up_mails(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await mail_api.register()
        assert not await verified(account)
        mail = await mailbox.mail_to(account.user["email"])
        assert mail.subject == "Confirm your email address"
        assert mail.link.startswith("https://app.example.com/account/verify-email#token=")
        data = ok(await verify(mail_api, mail.token), 200, "Email address verified")
        assert data == {"email": account.user["email"]}
        assert await verified(account)
        refused(await verify(mail_api, mail.token), 404, code="LINK_INVALID")

    async def test_takes_no_made_up_and_no_expired_token(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await api.register()
        token = (await mailbox.mail_to(account.user["email"])).token
        refused(await verify(api, token[:-1]), 404, code="LINK_INVALID")
        await owner.execute("UPDATE one_time_tokens SET expires_at = now()")
        refused(await verify(api, token), 410, code="LINK_EXPIRED")
        assert not await verified(account)

    async def test_mails_another_link_after_a_pause(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await api.register()
        first = await mailbox.mail_to(account.user["email"])
        soon = await account.post("/api/auth/verify-email/resend")
        refused(soon, 429, code="MAIL_SENT_RECENTLY")
        assert 0 < int(soon.headers["retry-after"]) <= 60
        await owner.execute("UPDATE one_time_tokens SET created_at = now() - interval '61 s'")
        ok(await account.post("/api/auth/verify-email/resend"), 202)
        second = await mailbox.mail_to(account.user["email"])
        refused(await verify(api, first.token), 404, code="LINK_INVALID")
        ok(await verify(api, second.token))
        again = await account.post("/api/auth/verify-email/resend")
        refused(again, 409, code="EMAIL_VERIFIED")

    async def test_mails_once_however_many_ask_at_once(
        self, serve: Serve, owner: Db, mailbox: Mailbox, worker: None
    ) -> None:
        api = await serve(**mailbox.settings)
        account = await settled(api, mailbox)
        await owner.execute("UPDATE one_time_tokens SET created_at = now() - interval '61 s'")
        answers = await asyncio.gather(
            *[account.post("/api/auth/verify-email/resend") for _ in range(6)]
        )
        assert sorted(answer.status_code for answer in answers) == [202, *[429] * 5]

    async def test_comes_with_an_invite_that_was_mailed(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        admin, email = await mail_api.register(), unique_email("grace")
        ok(await admin.invite(email), 201)
        ok(await mail_api.accept((await mailbox.mail_to(email)).token), 201)
        assert await verified(await mail_api.login(email))
        newcomer, other = await settled(mail_api, mailbox), await mail_api.register()
        ok(await other.invite(newcomer.user["email"]), 201)
        token = (await mailbox.mail_to(newcomer.user["email"])).token
        ok(await newcomer.post("/api/users/accept-invite", token=token), 201)
        assert await verified(newcomer)

    async def test_does_not_come_with_an_invite_that_was_handed_over(self, api: Api) -> None:
        assert not await verified(await (await api.register()).add())

    async def test_needs_mail(self, serve: Serve) -> None:
        api = await serve(app_env="production")
        account = await api.register()
        for answer in (
            await account.post("/api/auth/verify-email/resend"),
            await change(account, unique_email()),
        ):
            refused(answer, 503, code="MAIL_NOT_CONFIGURED")


class TestChangeOfAddress:
    async def test_takes_the_link_at_the_new_one_and_tells_the_old_one(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account, new = await settled(mail_api, mailbox), unique_email("new")
        old = account.user["email"]
        ok(await change(account, new), 202, "A link is on its way to the new address")
        mail = await mailbox.mail_to(new)
        assert mail.subject == "Confirm your new email address"
        await mail_api.login(old)
        assert ok(await verify(mail_api, mail.token)) == {"email": new}
        told = await mailbox.mail_to(old)
        assert told.subject == "Your email address was changed"
        assert new not in told.text
        refused(await mail_api.post("/api/auth/login", email=old, password=PASSWORD), 401)
        assert (await mail_api.login(new)).id == account.id
        assert await verified(account)
        await mail_api.register(email=old)  # it is free
        refused(await verify(mail_api, mail.token), 404, code="LINK_INVALID")

    async def test_needs_the_password_and_counts_wrong_ones(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await settled(mail_api, mailbox)
        for _ in range(5):
            answer = await change(account, unique_email(), "wrong one")
            refused(answer, 403, code="PASSWORD_WRONG")
        answer = await change(account, unique_email())
        refused(answer, 429, code="TOO_MANY_AUTH_ATTEMPTS")

    async def test_does_not_reveal_whether_the_new_one_has_an_account(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        accounts = [await settled(mail_api, mailbox) for _ in range(2)]
        taken = await settled(mail_api, mailbox)
        free = await change(accounts[0], unique_email())
        other = await change(accounts[1], taken.user["email"].upper())
        assert (free.status_code, free.text) == (other.status_code, other.text)
        mail = await mailbox.mail_to(taken.user["email"].upper())
        assert mail.subject == "You already have an account"
        assert "#token=" not in mail.text
        assert "Ada Lovelace" in mail.text

    async def test_lets_one_of_two_have_an_address(self, mail_api: Api, mailbox: Mailbox) -> None:
        new = unique_email("wanted")
        accounts = [await settled(mail_api, mailbox) for _ in range(2)]
        for account in accounts:
            ok(await change(account, new), 202)
        links = [(await mailbox.mail_to(new)).token for _ in accounts]
        answers = await asyncio.gather(*[verify(mail_api, token) for token in links])
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        lost = next(answer for answer in answers if answer.status_code == 409)
        refused(lost, 409, "Email already in use", "EMAIL_IN_USE")
        await mail_api.login(new)

    async def test_loses_against_who_signs_up_with_it_meanwhile(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account, new = await settled(mail_api, mailbox), unique_email("new")
        ok(await change(account, new), 202)
        token = (await mailbox.mail_to(new)).token
        await mail_api.register(email=new)
        refused(await verify(mail_api, token), 409, code="EMAIL_IN_USE")
        await mail_api.login(account.user["email"])

    async def test_refuses_the_present_one(self, api: Api) -> None:
        account = await api.register()
        body = refused(await change(account, account.user["email"].upper()), 422)
        assert [field["field"] for field in body["fields"]] == ["email"]

    async def test_has_a_pause(self, api: Api) -> None:
        account = await api.register()
        ok(await change(account, unique_email()), 202)
        refused(await change(account, unique_email()), 429, code="MAIL_SENT_RECENTLY")

    async def test_is_called_off_by_a_change_of_password(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account, new = await settled(mail_api, mailbox), unique_email("new")
        ok(await change(account, new), 202)
        token = (await mailbox.mail_to(new)).token
        body = {"currentPassword": PASSWORD, "newPassword": "wholly other words"}
        ok(await account.post("/api/auth/change-password", **body))
        refused(await verify(mail_api, token), 404, code="LINK_INVALID")


class TestName:
    async def test_changes_everywhere(self, api: Api) -> None:
        account = await api.register()
        answer = await account.call("PATCH", "/api/auth/me", json={"name": " Augusta King "})
        assert ok(answer, 200, "Account updated") == {"name": "Augusta King"}
        assert ok(await account.get("/api/auth/me"))["name"] == "Augusta King"
        assert [one["actor"]["name"] for one in await account.feed()] == ["Augusta King"]

    async def test_is_checked(self, api: Api) -> None:
        account = await api.register()
        answer = await account.call("PATCH", "/api/auth/me", json={"name": "A"})
        assert [field["field"] for field in refused(answer, 422)["fields"]] == ["name"]
