"""The feed: order, pages, filters."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tenantry.testing import Account, Api, ok, refused


async def page(account: Account, **params: Any) -> tuple[list[int], int | None]:
    answer = await account.get("/api/activities", **params)
    body = answer.json()
    ok(answer, 200, "Activities fetched")
    return [line["seq"] for line in body["data"]], body["nextCursor"]


@pytest.fixture
async def talker(api: Api) -> Account:
    """An admin whose feed has USER_JOINED and seven broadcasts: eight lines."""
    account = await api.register()
    for number in range(7):
        ok(await account.broadcast(f"message {number}"), 201)
    return account


async def test_tells_what_happened_newest_first(api: Api) -> None:
    admin = await api.register()
    member = await admin.add("Grace Hopper")
    await admin.change_plan("PRO")
    await admin.remove(member.id)
    lines = await admin.feed()
    assert [(line["seq"], line["type"]) for line in lines] == [
        (6, "USER_REMOVED"),
        (5, "PLAN_UPGRADED"),
        (4, "INVITE_ACCEPTED"),
        (3, "USER_JOINED"),
        (2, "INVITE_SENT"),
        (1, "USER_JOINED"),
    ]
    assert lines[3] == {
        "id": lines[3]["id"],
        "organisationId": admin.organisation["id"],
        "seq": 3,
        "type": "USER_JOINED",
        "message": "Grace Hopper joined the organisation",
        "metadata": {
            "userId": member.id,
            "name": "Grace Hopper",
            "email": member.user["email"],
            "role": "MEMBER",
        },
        "createdAt": lines[3]["createdAt"],
        "actor": {"id": member.id, "name": "Grace Hopper", "email": member.user["email"]},
        "target": {"id": member.id, "name": "Grace Hopper", "email": member.user["email"]},
    }


async def test_is_every_members_to_read(api: Api) -> None:
    member = await (await api.register()).add()
    assert len(await member.feed()) == 4


async def test_pages_back_from_the_newest(talker: Account) -> None:
    assert await page(talker, limit=3) == ([8, 7, 6], 6)
    assert await page(talker, limit=3, before=6) == ([5, 4, 3], 3)
    assert await page(talker, limit=3, before=3) == ([2, 1], None)
    assert await page(talker, limit=3, before=1) == ([], None)


async def test_pages_forward_from_what_is_known(talker: Account) -> None:
    assert await page(talker, limit=3, after=0) == ([3, 2, 1], 3)
    assert await page(talker, limit=3, after=3) == ([6, 5, 4], 6)
    assert await page(talker, limit=3, after=6) == ([8, 7], None)
    assert await page(talker, limit=3, after=8) == ([], None)


async def test_pages_within_a_window(talker: Account) -> None:
    assert await page(talker, limit=2, after=2, before=7) == ([6, 5], 5)
    assert await page(talker, limit=2, after=2, before=5) == ([4, 3], None)


async def test_gives_fifty_unless_asked_otherwise(api: Api) -> None:
    account = await api.register()
    for number in range(51):
        ok(await account.broadcast(str(number)), 201)
    assert await page(account) == (list(range(52, 2, -1)), 3)
    assert len((await page(account, limit=100))[0]) == 52


async def test_filters_by_type_and_actor(api: Api) -> None:
    admin = await api.register()
    member = await admin.add()
    await admin.broadcast("one")
    assert await page(admin, type="BROADCAST_MESSAGE") == ([5], None)
    assert (await page(admin, type=["INVITE_SENT", "BROADCAST_MESSAGE"]))[0] == [5, 2]
    assert (await page(admin, actor=member.id))[0] == [4, 3]
    assert (await page(admin, actor=member.id, type="USER_JOINED"))[0] == [3]
    assert (await page(admin, actor=member.id, type="USER_JOINED", limit=1, after=0))[0] == [3]
    stranger = await api.register()
    assert (await page(admin, actor=stranger.id))[0] == []


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"before": -1},
        {"before": 2**53},
        {"after": "1.5"},
        {"after": "null"},
        {"type": "NONSENSE"},
        {"actor": "nobody"},
        {"actor": "null"},
        {"actor": [str(uuid4())] * 51},
        {"type": ["USER_JOINED"] * 51},
    ],
)
async def test_refuses_unfit_parameters_by_name(talker: Account, params: dict[str, Any]) -> None:
    answer = refused(await talker.get("/api/activities", **params), 422)
    assert [item["field"] for item in answer["fields"]] == list(params)


async def test_stays_gapless_under_parallel_writers(api: Api) -> None:
    admin = await api.register()
    await admin.change_plan("ENTERPRISE")
    await asyncio.gather(
        *[admin.broadcast(str(number)) for number in range(40)],
        *[admin.invite() for _ in range(10)],
        *[admin.change_plan(plan) for plan in ("PRO", "ENTERPRISE", "FREE", "PRO")],
    )
    lines = await admin.feed(limit=100)
    assert [line["seq"] for line in lines] == list(range(len(lines), 0, -1))
    assert [line["createdAt"] for line in lines] == sorted(
        (line["createdAt"] for line in lines), reverse=True
    )
