"""Ownership: handed over, and never lost; leaving."""

import asyncio
from uuid import uuid4

import httpx

from tenantry.testing import PASSWORD, Account, Api, ok, refused

TRANSFER = "/api/organisations/transfer-ownership"
LEAVE = "/api/organisations/leave"


async def transfer(owner: Account, to: str, password: str = PASSWORD) -> httpx.Response:
    return await owner.post(TRANSFER, userId=to, password=password)


async def owners(account: Account) -> set[str]:
    return {one["id"] for one in ok(await account.get("/api/users")) if one["owner"]}


class TestTransfer:
    async def test_makes_the_one_an_owner_and_the_other_an_admin(self, api: Api) -> None:
        owner = await api.register()
        heir = await owner.add("Grace Hopper")
        answer = await transfer(owner, heir.id)
        assert ok(answer, 200, "Ownership transferred") == {"ownerId": heir.id}
        assert await owners(owner) == {heir.id}
        assert [line["metadata"] for line in await heir.feed(type="USER_ROLE_CHANGED")] == [
            {"userId": owner.id, "from": "OWNER", "to": "ADMIN", "changedBy": owner.id},
            {"userId": heir.id, "from": "MEMBER", "to": "OWNER", "changedBy": owner.id},
        ]
        refused(await transfer(owner, heir.id), 403, code="FORBIDDEN")
        ok(await heir.change_role(owner.id, role="MEMBER"))

    async def test_needs_the_password(self, api: Api) -> None:
        owner = await api.register()
        heir = await owner.add()
        refused(await transfer(owner, heir.id, "wrong"), 403, code="PASSWORD_WRONG")
        refused(await owner.post(TRANSFER, userId=heir.id), 422)
        assert await owners(owner) == {owner.id}

    async def test_is_between_members(self, api: Api) -> None:
        owner, stranger = await api.register(), await api.register()
        for unknown in (stranger.id, str(uuid4())):
            refused(await transfer(owner, unknown), 404, code="MEMBER_UNKNOWN")
        refused(await transfer(owner, owner.id), 400, "You are an owner already")
        assert await owners(owner) == {owner.id}

    async def test_is_the_owners(self, api: Api) -> None:
        owner = await api.register()
        admin = await owner.add(role="ADMIN")
        refused(await transfer(admin, admin.id), 403, code="FORBIDDEN")

    async def test_goes_to_one_however_many_it_is_promised_to(self, api: Api) -> None:
        for _ in range(3):
            owner = await api.register()
            heirs = [await owner.add() for _ in range(2)]
            answers = await asyncio.gather(*[transfer(owner, heir.id) for heir in heirs])
            assert sorted(answer.status_code for answer in answers) == [200, 403]
            assert len(await owners(owner)) == 1

    async def test_against_the_heir_leaving_leaves_an_owner(self, api: Api) -> None:
        for _ in range(5):
            owner = await api.register()
            heir = await owner.add()
            handed, left = await asyncio.gather(transfer(owner, heir.id), heir.post(LEAVE))
            if left.status_code == 200:
                assert handed.status_code == 404
                assert await owners(owner) == {owner.id}
            else:
                ok(handed)
                refused(left, 409, code="LAST_OWNER")
                assert await owners(heir) == {heir.id}


class TestLeaving:
    async def test_ends_the_membership_and_says_so(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add("Grace Hopper")
        async with owner.socket() as socket, member.socket() as theirs:
            answer = await member.post(LEAVE)
            assert ok(answer, 200, "You left the organisation") == {"left": True}
            event = await socket.next()
            assert event["type"] == "USER_REMOVED"
            assert event["payload"] == {"userId": member.id, "removedBy": member.id}
            assert (await theirs.closed())[0] == 4003
        assert (await owner.feed(limit=1))[0]["message"] == "Grace Hopper left the organisation"
        refused(await member.get("/api/organisations"), 401)
        assert ok(await owner.get("/api/organisations"))["memberCount"] == 1

    async def test_closes_the_account_of_who_is_nowhere_else(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        ok(await member.post(LEAVE))
        login = {"email": member.user["email"], "password": PASSWORD}
        refused(await api.post("/api/auth/login", **login), 401)
        await api.register(email=member.user["email"])

    async def test_leaves_the_account_of_who_is(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        ok(await member.post("/api/organisations", name="Elsewhere"), 201)
        ok(await member.post(LEAVE))
        again = await api.login(member.user["email"])
        assert (again.id, again.organisation["name"]) == (member.id, "Elsewhere")

    async def test_is_not_for_the_last_owner(self, api: Api) -> None:
        owner = await api.register()
        refused(await owner.post(LEAVE), 409, code="LAST_OWNER")
        other = await owner.add(role="ADMIN")
        refused(await owner.post(LEAVE), 409, code="LAST_OWNER")
        ok(await owner.change_role(other.id, role="OWNER"))
        ok(await owner.post(LEAVE))
        refused(await other.post(LEAVE), 409, code="LAST_OWNER")

    async def test_at_once_leaves_one_of_two_owners(self, api: Api) -> None:
        for _ in range(5):
            one = await api.register()
            other = await one.add(role="ADMIN")
            ok(await one.change_role(other.id, role="OWNER"))
            answers = await asyncio.gather(one.post(LEAVE), other.post(LEAVE))
            assert sorted(answer.status_code for answer in answers) == [200, 409]

    async def test_against_the_other_owner_stepping_down_leaves_one(self, api: Api) -> None:
        for _ in range(5):
            one = await api.register()
            other = await one.add(role="ADMIN")
            ok(await one.change_role(other.id, role="OWNER"))
            left, stepped = await asyncio.gather(
                one.post(LEAVE), other.change_role(other.id, role="ADMIN")
            )
            assert sorted((left.status_code, stepped.status_code)) == [200, 409]

    async def test_twice_at_once_is_once(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        answers = await asyncio.gather(*[member.post(LEAVE) for _ in range(5)])
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 4
        assert ok(await owner.get("/api/organisations"))["memberCount"] == 1
