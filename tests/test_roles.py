"""Custom roles: defined, changed, deleted; who may, and on which plan."""

import asyncio
from uuid import uuid4

import pytest

from tenantry.testing import Account, Api, ok, refused
from tests.test_authority import enterprise, with_role

ROLES = "/api/organisations/roles"


async def test_are_listed_for_every_member_with_how_many_have_them(api: Api) -> None:
    owner = await enterprise(api)
    await owner.define("Zebra", "members:read")
    biller = await with_role(owner, "billing", "plan:change", "plan:change", "members:read")
    billing, zebra = ok(await biller.get(ROLES), 200, "Roles fetched")
    assert (billing["name"], billing["members"]) == ("billing", 1)
    assert billing["permissions"] == ["members:read", "plan:change"]
    assert (zebra["name"], zebra["members"]) == ("Zebra", 0)


async def test_say_in_the_document_which_permissions_there_are(api: Api) -> None:
    spec = (await api.get("/docs/spec")).json()
    assert "members:change-role" in spec["components"]["schemas"]["Permission"]["enum"]


async def test_can_have_the_permissions_that_are_listed(api: Api) -> None:
    owner = await enterprise(api)
    listed = ok(await owner.get("/api/organisations/permissions"), 200, "Permissions fetched")
    assert {"name": "plan:change", "ofMembers": False} in listed
    names = [permission["name"] for permission in listed]
    assert "organisation:own" not in names
    await owner.define("All of it", *names)


class TestDefining:
    @pytest.mark.parametrize("plan", ["FREE", "PRO"])
    async def test_needs_the_plan_for_it(self, api: Api, plan: str) -> None:
        owner = await api.register()
        await owner.change_plan(plan)
        answer = await owner.post(ROLES, name="Billing", permissions=["plan:change"])
        message = f"The {plan} plan has no custom roles; change to ENTERPRISE"
        refused(answer, 403, message, "NOT_IN_PLAN")

    async def test_is_told_to_everybody(self, api: Api) -> None:
        owner = await enterprise(api)
        async with owner.socket() as socket:
            role = await owner.define(" Billing ", "plan:change")
            event = await socket.next()
        assert event["type"] == "ROLE_CREATED"
        assert event["payload"] == {
            "roleId": role,
            "name": "Billing",
            "permissions": ["plan:change"],
            "changedBy": owner.id,
        }

    async def test_gives_no_more_than_one_has(self, api: Api) -> None:
        owner = await enterprise(api)
        manager = await with_role(owner, "Manager", "roles:manage", "members:read")
        await manager.define("Reader", "members:read")
        answer = await manager.post(ROLES, name="Sneak", permissions=["plan:change"])
        refused(answer, 403, code="BEYOND_OWN_PERMISSIONS")

    async def test_gives_nobody_what_is_the_owners(self, api: Api) -> None:
        owner = await enterprise(api)
        answer = await owner.post(ROLES, name="Sneak", permissions=["organisation:own"])
        assert refused(answer, 422)["fields"][0]["field"] == "permissions"

    @pytest.mark.parametrize("name", ["billing", "BILLING", "owner", "Admin", "MEMBER"])
    async def test_needs_a_name_of_its_own(self, api: Api, name: str) -> None:
        owner = await enterprise(api)
        await owner.define("Billing")
        refused(await owner.post(ROLES, name=name, permissions=[]), 409, code="ROLE_NAME_TAKEN")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "x", "permissions": []}, "name"),
            ({"name": "x" * 51, "permissions": []}, "name"),
            ({"name": "Billing", "permissions": ["everything"]}, "permissions"),
            ({"name": "Billing"}, "permissions"),
        ],
    )
    async def test_names_the_field_that_is_wrong(
        self, api: Api, body: dict[str, object], field: str
    ) -> None:
        owner = await enterprise(api)
        assert refused(await owner.post(ROLES, **body), 422)["fields"][0]["field"] == field

    async def test_ends_at_fifty_and_knows_each_name_once_under_load(self, api: Api) -> None:
        owner = await enterprise(api)
        answers = await asyncio.gather(
            *[
                owner.post(ROLES, name=f"Role {number}", permissions=[])
                for number in [*range(51), *range(51)]
            ]
        )
        assert [answer.status_code for answer in answers].count(201) == 50
        assert len(ok(await owner.get(ROLES))) == 50
        answer = await owner.post(ROLES, name="One too many", permissions=[])
        refused(answer, 409, code="TOO_MANY_ROLES")

    async def test_is_for_whoever_has_the_permission(self, api: Api) -> None:
        owner = await enterprise(api)
        member = await owner.add()
        role = await owner.define("Billing")
        refused(await member.post(ROLES, name="Sneak", permissions=[]), 403)
        refused(await member.patch(f"{ROLES}/{role}", name="Sneak"), 403)
        refused(await member.delete(f"{ROLES}/{role}"), 403)


class TestChanging:
    async def test_takes_effect_with_the_next_request_of_whoever_has_it(self, api: Api) -> None:
        owner = await enterprise(api)
        member = await with_role(owner, "Reader", "members:read")
        [role] = ok(await owner.get(ROLES))
        ok(await member.get("/api/users"))
        changed = ok(await owner.patch(f"{ROLES}/{role['id']}", permissions=["broadcast:send"]))
        assert (changed["name"], changed["permissions"]) == ("Reader", ["broadcast:send"])
        refused(await member.get("/api/users"), 403)
        ok(await member.broadcast("hello"), 201)
        assert (await owner.feed(type="ROLE_CHANGED"))[0][
            "message"
        ] == "The role Reader was changed"

    async def test_takes_and_gives_only_what_one_has(self, api: Api) -> None:
        owner = await enterprise(api)
        manager = await with_role(owner, "Manager", "roles:manage")
        [mine] = ok(await owner.get(ROLES))
        theirs = await owner.define("Billing", "plan:change")
        for path, body in (
            (mine["id"], {"permissions": ["roles:manage", "plan:change"]}),
            (theirs, {"permissions": []}),
            (theirs, {"name": "Mine now"}),
        ):
            answer = await manager.patch(f"{ROLES}/{path}", **body)
            refused(answer, 403, code="BEYOND_OWN_PERMISSIONS")
        refused(await manager.delete(f"{ROLES}/{theirs}"), 403, code="BEYOND_OWN_PERMISSIONS")

    async def test_may_change_the_case_of_a_name(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("billing")
        assert ok(await owner.patch(f"{ROLES}/{role}", name="Billing"))["name"] == "Billing"
        other = await owner.define("Reader")
        answer = await owner.patch(f"{ROLES}/{other}", name="BILLING")
        refused(answer, 409, code="ROLE_NAME_TAKEN")

    async def test_does_not_reach_into_another_organisation(self, api: Api) -> None:
        owner, other = await enterprise(api), await enterprise(api)
        theirs = await other.define("Billing", "plan:change")
        member = await owner.add()
        for unknown in (theirs, str(uuid4()), "nonsense"):
            refused(await owner.patch(f"{ROLES}/{unknown}", name="Mine"), 404, code="ROLE_UNKNOWN")
            refused(await owner.delete(f"{ROLES}/{unknown}"), 404, code="ROLE_UNKNOWN")
        refused(await owner.change_role(member.id, customRoleId=theirs), 404, code="ROLE_UNKNOWN")
        answer = await owner.post("/api/users/invite", email="x@example.com", customRoleId=theirs)
        refused(answer, 404, code="ROLE_UNKNOWN")


class TestDeleting:
    async def test_waits_until_no_member_and_no_open_invite_has_it(self, api: Api) -> None:
        owner = await enterprise(api)
        member = await with_role(owner, "Billing", "plan:change")
        [role] = ok(await owner.get(ROLES))
        invite = ok(
            await owner.post("/api/users/invite", email="new@example.com", customRoleId=role["id"]),
            201,
        )
        path = f"{ROLES}/{role['id']}"
        refused(await owner.delete(path), 409, code="ROLE_IN_USE")
        ok(await owner.change_role(member.id, role="MEMBER"))
        refused(await owner.delete(path), 409, code="ROLE_IN_USE")
        ok(await owner.delete(f"/api/users/invites/{invite['id']}"))
        assert ok(await owner.delete(path), 200, "Role deleted") == {"deleted": True}
        assert ok(await owner.get(ROLES)) == []
        assert (await owner.feed(limit=1))[0]["type"] == "ROLE_DELETED"

    async def test_does_not_wait_for_who_was_removed(self, api: Api) -> None:
        owner = await enterprise(api)
        member = await with_role(owner, "Billing", "plan:change")
        [role] = ok(await owner.get(ROLES))
        ok(await owner.remove(member.id))
        ok(await owner.delete(f"{ROLES}/{role['id']}"))

    async def test_never_comes_between_a_role_and_who_is_given_it(self, api: Api) -> None:
        owner = await enterprise(api)
        member = await owner.add()
        for _ in range(5):
            role = await owner.define("Billing", "plan:change")
            given, deleted = await asyncio.gather(
                owner.change_role(member.id, customRoleId=role), owner.delete(f"{ROLES}/{role}")
            )
            assert (given.status_code, deleted.status_code) in ((200, 409), (404, 200))
            if given.status_code == 200:
                ok(await owner.change_role(member.id, role="MEMBER"))
                ok(await owner.delete(f"{ROLES}/{role}"))


class TestDowngrade:
    async def test_waits_until_no_custom_role_is_left(self, api: Api) -> None:
        owner = await enterprise(api)
        role = await owner.define("Billing", "plan:change")
        answer = refused(await owner.change_plan("PRO"), 409, code="CUSTOM_ROLES_EXIST")
        assert "delete them first" in answer["message"]
        ok(await owner.delete(f"{ROLES}/{role}"))
        ok(await owner.change_plan("PRO"))

    async def test_and_a_new_role_never_meet(self, api: Api) -> None:
        for _ in range(5):
            owner: Account = await enterprise(api)
            downgrade, role = await asyncio.gather(
                owner.change_plan("FREE"), owner.post(ROLES, name="Billing", permissions=[])
            )
            assert (downgrade.status_code, role.status_code) in ((200, 403), (409, 201))
