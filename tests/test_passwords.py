"""Which passwords may be chosen, and changing one's own."""

import asyncio
from typing import Any, TypeAlias

import asyncpg
import bcrypt
import pytest

from tenantry.passwords import ARGON2ID, COMMON, NOBODY, verify
from tenantry.testing import PASSWORD, Account, Api, ok, refused, registration, unique_email
from tests.mail import Mailbox

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NEW = "wholly other words"

COMMON_SENTENCE = (
    "password is one of the most common ones, which are guessed first; choose another, such as "
    "a few words that do not belong together"
)
PERSONAL_SENTENCE = "password must not be your own name, address or organisation; choose another"


def wrong_field(answer: Any) -> tuple[str, str]:
    (field,) = refused(answer, 422)["fields"]
    return field["field"], field["message"]


async def change(account: Account, current: str = PASSWORD, new: str = NEW) -> Any:
    return await account.post("/api/auth/change-password", currentPassword=current, newPassword=new)


class TestChoice:
    def test_refuses_more_than_the_3000_most_common_of_the_least_length(self) -> None:
        assert len([password for password in COMMON if len(password) >= 8]) > 3000

    @pytest.mark.parametrize("password", ["password1", "PassWord1", "qwertyuiop", "iloveyou1"])
    async def test_refuses_a_common_one_whatever_its_case(self, api: Api, password: str) -> None:
        answer = await api.post("/api/auth/register", **registration(password=password))
        assert wrong_field(answer) == ("password", COMMON_SENTENCE)

    @pytest.mark.parametrize(
        "password", ["ada lovelace", "AdaLovelace", "Analytical Engines", "AdaL@Example.com"]
    )
    async def test_refuses_what_the_person_is_known_by(self, api: Api, password: str) -> None:
        body = registration(email="adal@example.com", password=password)
        answer = await api.post("/api/auth/register", **body)
        assert wrong_field(answer) == ("password", PERSONAL_SENTENCE)

    @pytest.mark.parametrize(
        "password", ["password1 and more", "Ada Lovelace, countess", "aaaa bbbb", "Zq8#zzzz"]
    )
    async def test_takes_whatever_else_there_is(self, api: Api, password: str) -> None:
        await api.register(password=password)

    async def test_is_the_same_at_an_invite(self, api: Api) -> None:
        admin = await api.register()
        invite = ok(await admin.invite(unique_email("grace.hopper")), 201)
        for password, sentence in (
            ("password1", COMMON_SENTENCE),
            ("Grace Hopper", PERSONAL_SENTENCE),
            (invite["email"], PERSONAL_SENTENCE),
        ):
            answer = await api.post(
                "/api/users/accept-invite",
                token=invite["token"],
                name="Grace Hopper",
                password=password,
            )
            assert wrong_field(answer) == ("password", sentence)

    async def test_is_the_same_at_a_change(self, api: Api) -> None:
        account = await api.register()
        for password in ("password1", "Analytical Engines", account.user["email"], "short"):
            field, _ = wrong_field(await change(account, new=password))
            assert field == "newPassword"
        await api.login(account.user["email"])


class TestChange:
    async def test_takes_the_present_one_and_ends_the_other_sessions(
        self, mail_api: Api, mailbox: Mailbox
    ) -> None:
        account = await mail_api.register()
        email = account.user["email"]
        await mailbox.mail_to(email)  # to verify it
        other = await mail_api.login(email)
        ok(await change(account), 200, "Password changed")
        ok(await account.get("/api/organisations"))
        refused(await other.get("/api/organisations"), 401)
        refused(await mail_api.post("/api/auth/refresh", refreshToken=other.refresh_token), 401)
        refused(await mail_api.post("/api/auth/login", email=email, password=PASSWORD), 401)
        await mail_api.login(email, NEW)
        mail = await mailbox.mail_to(email)
        assert mail.subject == "Your password was changed"
        assert "127.0.0.1" in mail.text

    async def test_is_recorded_as_the_sessions_end(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        await fresh.login(account.user["email"])
        ok(await change(account))
        reasons = await owner.fetch("SELECT end_reason FROM sessions ORDER BY created_at")
        assert [row[0] for row in reasons] == [None, "password changed"]

    async def test_refuses_a_wrong_present_one_and_counts_it(self, api: Api) -> None:
        account = await api.register()
        answers = [await change(account, current="wrong one") for _ in range(6)]
        for answer in answers[:5]:
            refused(answer, 403, "The password is wrong", "PASSWORD_WRONG")
        refused(answers[5], 429, code="TOO_MANY_AUTH_ATTEMPTS")
        ok(await account.get("/api/organisations"))

    async def test_lets_one_of_two_at_once_win(self, api: Api) -> None:
        account = await api.register()
        news = [f"new password no {number}" for number in range(4)]
        answers = await asyncio.gather(*[change(account, new=new) for new in news])
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
        won = news[[answer.status_code for answer in answers].index(200)]
        await api.login(account.user["email"], won)

    async def test_leaves_no_session_to_who_signs_in_with_the_old_one_meanwhile(
        self, api: Api
    ) -> None:
        for _ in range(5):
            account = await api.register()
            email = account.user["email"]
            changed, *logins = await asyncio.gather(
                change(account),
                *[api.post("/api/auth/login", email=email, password=PASSWORD) for _ in range(4)],
            )
            ok(changed)
            for login in logins:
                if login.status_code == 200:
                    session = Account(api, login.json()["data"])
                    refused(await session.get("/api/organisations"), 401)

    async def test_a_renewed_hash_does_not_undo_it(self, fresh: Api, owner: Db) -> None:
        account = await fresh.register()
        await owner.execute(
            "UPDATE users SET password_hash = $1",
            bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt()).decode(),
        )
        await asyncio.gather(
            change(account),
            *[
                fresh.post("/api/auth/login", email=account.user["email"], password=PASSWORD)
                for _ in range(3)
            ],
        )
        statuses = [
            (
                await fresh.post("/api/auth/login", email=account.user["email"], password=password)
            ).status_code
            for password in (PASSWORD, NEW)
        ]
        assert sorted(statuses) == [200, 401], "one of the two, whichever came last"


def test_nobodys_hash_takes_as_long_as_a_new_one() -> None:
    assert ARGON2ID.made(NOBODY)
    assert ARGON2ID.made(ARGON2ID.hash(PASSWORD))


@pytest.mark.parametrize("known", ["", "!", "$2b$12$short", "$argon2id$v=19$m=19456,t=2,p=1$", "ü"])
def test_what_is_no_hash_has_no_password(known: str) -> None:
    assert not verify(PASSWORD, known)
    assert not verify("", known)
