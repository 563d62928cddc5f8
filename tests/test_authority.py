"""Who may change what about whom: the rules as a table, and as they are over the wire."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tenantry.errors import (
    BeyondOwnPermissions,
    CannotChangeOwnRole,
    CannotRemoveAdmin,
    LastOwner,
    OwnersOnly,
    TenantryError,
)
from tenantry.tenancy.authority import check_change, check_grant, check_removal
from tenantry.tenancy.permissions import CustomRole, Grade, Permission, Permissions, Role
from tenantry.testing import Account, Api, ok, refused

TABLE = Permissions({})
OWNER = TABLE.grade(Role.ADMIN, owner=True)
ADMIN = TABLE.grade(Role.ADMIN)
MEMBER = TABLE.grade(Role.MEMBER)


def custom(*permissions: str) -> Grade:
    return TABLE.grade(Role.MEMBER, custom=CustomRole(UUID(int=1), "Custom", list(permissions)))


KEEPER = custom("members:change-role", "members:invite", "members:remove")
BILLING = custom("plan:change")
INVITER = custom("members:invite")
EVERYTHING = custom(*TABLE.grantable)
PRETENDER = custom(*Permission)  # as nobody can define it

CHANGES: list[tuple[Grade, Grade, Grade, type[TenantryError] | None]] = [
    # actor, before, after, what is said
    (OWNER, MEMBER, ADMIN, None),
    (OWNER, MEMBER, OWNER, None),
    (OWNER, ADMIN, MEMBER, None),
    (OWNER, ADMIN, OWNER, None),
    (OWNER, OWNER, ADMIN, None),
    (OWNER, OWNER, MEMBER, None),
    (OWNER, BILLING, ADMIN, None),
    (ADMIN, MEMBER, ADMIN, None),
    (ADMIN, MEMBER, BILLING, None),
    (ADMIN, BILLING, MEMBER, None),
    (ADMIN, MEMBER, OWNER, OwnersOnly),
    (ADMIN, ADMIN, MEMBER, OwnersOnly),
    (ADMIN, ADMIN, OWNER, OwnersOnly),
    (ADMIN, OWNER, ADMIN, OwnersOnly),
    (ADMIN, OWNER, MEMBER, OwnersOnly),
    (KEEPER, MEMBER, INVITER, None),
    (KEEPER, INVITER, MEMBER, None),
    (KEEPER, MEMBER, BILLING, BeyondOwnPermissions),
    (KEEPER, BILLING, MEMBER, BeyondOwnPermissions),
    (KEEPER, MEMBER, ADMIN, BeyondOwnPermissions),
    (KEEPER, ADMIN, MEMBER, OwnersOnly),
    (KEEPER, MEMBER, OWNER, OwnersOnly),
    (EVERYTHING, MEMBER, ADMIN, None),
    (EVERYTHING, ADMIN, MEMBER, OwnersOnly),
    (PRETENDER, MEMBER, OWNER, OwnersOnly),
    (MEMBER, MEMBER, MEMBER, None),  # whom the route's permission keeps out
    (MEMBER, MEMBER, INVITER, BeyondOwnPermissions),
]


@pytest.mark.parametrize(("actor", "before", "after", "error"), CHANGES)
def test_changing_anothers_role(
    actor: Grade, before: Grade, after: Grade, error: type[TenantryError] | None
) -> None:
    assert said(actor, before, after, oneself=False, other_owners=True) is error


@pytest.mark.parametrize(
    ("before", "after", "other_owners", "error"),
    [
        (OWNER, ADMIN, True, None),
        (OWNER, MEMBER, True, None),
        (OWNER, BILLING, True, None),
        (OWNER, ADMIN, False, LastOwner),
        (OWNER, MEMBER, False, LastOwner),
        (OWNER, OWNER, False, None),
        (ADMIN, OWNER, True, CannotChangeOwnRole),
        (ADMIN, MEMBER, True, CannotChangeOwnRole),
        (ADMIN, ADMIN, True, CannotChangeOwnRole),
        (KEEPER, MEMBER, True, CannotChangeOwnRole),
        (MEMBER, ADMIN, True, CannotChangeOwnRole),
    ],
)
def test_changing_ones_own_role(
    before: Grade, after: Grade, other_owners: bool, error: type[TenantryError] | None
) -> None:
    assert said(before, before, after, oneself=True, other_owners=other_owners) is error


def said(
    actor: Grade, before: Grade, after: Grade, *, oneself: bool, other_owners: bool
) -> type[TenantryError] | None:
    try:
        check_change(actor, before, after, oneself=oneself, other_owners=other_owners)
    except TenantryError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("actor", "target", "error"),
    [
        (OWNER, MEMBER, None),
        (OWNER, EVERYTHING, None),
        (OWNER, ADMIN, CannotRemoveAdmin),
        (OWNER, OWNER, CannotRemoveAdmin),
        (ADMIN, MEMBER, None),
        (ADMIN, EVERYTHING, None),
        (ADMIN, ADMIN, CannotRemoveAdmin),
        (KEEPER, MEMBER, None),
        (KEEPER, INVITER, None),
        (KEEPER, KEEPER, None),
        (KEEPER, BILLING, BeyondOwnPermissions),
        (KEEPER, ADMIN, CannotRemoveAdmin),
    ],
)
def test_removing_somebody(actor: Grade, target: Grade, error: type[TenantryError] | None) -> None:
    if error is None:
        check_removal(actor, target)
    else:
        with pytest.raises(error):
            check_removal(actor, target)


@pytest.mark.parametrize(
    ("actor", "given", "may"),
    [
        (OWNER, ADMIN, True),
        (ADMIN, ADMIN, True),
        (ADMIN, BILLING, True),
        (INVITER, MEMBER, True),
        (INVITER, INVITER, True),
        (INVITER, BILLING, False),
        (INVITER, ADMIN, False),
    ],
)
def test_inviting_somebody(actor: Grade, given: Grade, may: bool) -> None:
    if may:
        check_grant(actor, given)
    else:
        with pytest.raises(BeyondOwnPermissions):
            check_grant(actor, given)


async def enterprise(api: Api) -> Account:
    """The owner of an organisation that may define roles."""
    owner = await api.register()
    ok(await owner.change_plan("ENTERPRISE"))
    return owner


async def with_role(owner: Account, name: str, *permissions: str) -> Account:
    """A new member who has a custom role of these permissions."""
    role = await owner.define(name, *permissions)
    member = await owner.add(name)
    ok(await owner.change_role(member.id, customRoleId=role))
    return member


class TestOverTheWire:
    async def test_a_role_takes_effect_with_the_next_request_both_ways(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        refused(await member.get("/api/users"), 403)
        changed = ok(await owner.change_role(member.id, role="ADMIN"), 200, "Role changed")
        assert (changed["role"], changed["owner"], changed["customRole"]) == ("ADMIN", False, None)
        ok(await member.get("/api/users"))
        ok(await owner.change_role(member.id, role="MEMBER"))
        refused(await member.get("/api/users"), 403)

    async def test_the_change_is_an_event_on_the_sockets_of_both(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add("Grace Hopper")
        async with owner.socket() as one, member.socket() as other:
            ok(await owner.change_role(member.id, role="ADMIN"))
            for socket in (one, other):
                event = await socket.next()
                assert event["type"] == "USER_ROLE_CHANGED"
                assert event["payload"] == {
                    "userId": member.id,
                    "from": "MEMBER",
                    "to": "ADMIN",
                    "changedBy": owner.id,
                }
            # The socket of whoever was demoted goes on, and they may do no more than a member.
            ok(await owner.change_role(member.id, role="MEMBER"))
            assert (await other.next())["payload"]["from"] == "ADMIN"
            refused(await member.broadcast("no"), 403)
            ok(await owner.broadcast("yes"), 201)
            assert (await other.next())["payload"]["message"] == "yes"
        line = (await owner.feed(type="USER_ROLE_CHANGED"))[0]
        assert (line["message"], line["target"]["id"]) == (
            "Grace Hopper is now MEMBER, and was ADMIN",
            member.id,
        )

    async def test_an_owner_makes_owners_and_steps_down(self, api: Api) -> None:
        owner = await api.register()
        other = await owner.add()
        ok(await owner.change_role(other.id, role="OWNER"))
        ok(await owner.change_role(owner.id, role="MEMBER"))
        refused(await owner.get("/api/users"), 403)
        listed = {one["id"]: one["owner"] for one in ok(await other.get("/api/users"))}
        assert listed == {owner.id: False, other.id: True}

    async def test_an_admin_cannot_demote_an_admin_and_then_remove_them(self, api: Api) -> None:
        owner = await api.register()
        await owner.change_plan("PRO")
        one, other = await owner.add(role="ADMIN"), await owner.add(role="ADMIN")
        refused(await one.change_role(other.id, role="MEMBER"), 403, code="OWNERS_ONLY")
        refused(await one.change_role(owner.id, role="MEMBER"), 403, code="OWNERS_ONLY")
        refused(await one.change_role(one.id, role="OWNER"), 400, code="CANNOT_CHANGE_OWN_ROLE")
        refused(await one.remove(other.id), 403, "You cannot remove an admin from the organisation")

    async def test_what_is_so_already_is_no_activity(self, api: Api) -> None:
        owner = await api.register()
        member = await owner.add()
        ok(await owner.change_role(member.id, role="MEMBER"))
        ok(await owner.change_role(owner.id, role="OWNER"))
        assert await owner.feed(type="USER_ROLE_CHANGED") == []

    @pytest.mark.parametrize(
        "body",
        [{}, {"role": "ADMIN", "customRoleId": str(UUID(int=1))}, {"role": "admin"}, {"role": 1}],
    )
    async def test_names_exactly_one_role(self, api: Api, body: dict[str, object]) -> None:
        owner = await api.register()
        answer = refused(await owner.change_role(owner.id, **body), 422)
        assert answer["fields"][0]["field"] == "role"

    async def test_of_nobody_are_not_changed(self, api: Api) -> None:
        owner, stranger = await api.register(), await api.register()
        for unknown in (stranger.id, str(uuid4()), "nonsense"):
            refused(await owner.change_role(unknown, role="ADMIN"), 404, code="MEMBER_UNKNOWN")
        member = await owner.add()
        answer = await owner.change_role(member.id, customRoleId=str(uuid4()))
        refused(answer, 404, code="ROLE_UNKNOWN")

    async def test_a_custom_role_gives_no_more_than_its_permissions(self, api: Api) -> None:
        owner = await enterprise(api)
        keeper = await with_role(
            owner, "Keeper", "members:read", "members:invite", "members:remove"
        )
        biller = await with_role(owner, "Billing", "plan:change")
        listed = {one["name"]: one["customRole"] for one in ok(await keeper.get("/api/users"))}
        assert listed["Billing"]["name"] == "Billing"
        refused(await keeper.change_plan("FREE"), 403)
        refused(await keeper.change_role(biller.id, role="MEMBER"), 403, code="FORBIDDEN")
        refused(await keeper.invite(role="ADMIN"), 403, code="BEYOND_OWN_PERMISSIONS")
        refused(await keeper.remove(biller.id), 403, code="BEYOND_OWN_PERMISSIONS")
        refused(await keeper.remove(owner.id), 403, code="CANNOT_REMOVE_ADMIN")
        plain = await keeper.add("Plain")
        ok(await keeper.remove(plain.id))

    async def test_a_custom_role_is_named_in_the_change(self, api: Api) -> None:
        owner = await enterprise(api)
        await with_role(owner, "Billing", "plan:change")
        [line] = await owner.feed(type="USER_ROLE_CHANGED")
        assert (line["metadata"]["from"], line["metadata"]["to"]) == ("MEMBER", "Billing")


class TestRaces:
    async def test_of_two_owners_who_step_down_at_once_one_stays(self, api: Api) -> None:
        for _ in range(5):
            one = await api.register()
            other = await one.add(role="ADMIN")
            ok(await one.change_role(other.id, role="OWNER"))
            answers = await asyncio.gather(
                one.change_role(one.id, role="ADMIN"), other.change_role(other.id, role="ADMIN")
            )
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            assert sum(one["owner"] for one in ok(await one.get("/api/users"))) == 1

    async def test_of_two_owners_who_demote_each_other_one_stays(self, api: Api) -> None:
        """Whoever waited for the lock is no owner any more when they get it."""
        for _ in range(5):
            one = await api.register()
            other = await one.add(role="ADMIN")
            ok(await one.change_role(other.id, role="OWNER"))
            answers = await asyncio.gather(
                one.change_role(other.id, role="MEMBER"), other.change_role(one.id, role="MEMBER")
            )
            assert sorted(answer.status_code for answer in answers) == [200, 403]

    async def test_who_was_demoted_while_they_waited_invites_no_admin(self, api: Api) -> None:
        for _ in range(5):
            owner = await api.register()
            admin = await owner.add(role="ADMIN")
            demoted, *invites = await asyncio.gather(
                owner.change_role(admin.id, role="MEMBER"),
                *[admin.invite(role="ADMIN") for _ in range(4)],
            )
            ok(demoted)
            feed = await owner.feed()
            changed = next(line["seq"] for line in feed if line["type"] == "USER_ROLE_CHANGED")
            assert not [
                line for line in feed if line["seq"] > changed and line["type"] == "INVITE_SENT"
            ]
            assert {answer.status_code for answer in invites} <= {201, 403}
