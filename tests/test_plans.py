"""Plans from a file, and what they entitle to."""

from pathlib import Path

import pytest

from tenantry.tenancy.plans import Entitlement, Period, PlansError, load
from tenantry.testing import Api, Serve, ok, refused
from tests.processes import tenantry

PLANS = """
[HOBBY]
seats = 1
projects = 2
exports = "3/day"
support = false

[TEAM]
seats = "unlimited"
projects = "unlimited"
exports = "1000/month"
support = true
custom_roles = true
"""


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    file = tmp_path / "plans.toml"
    file.write_text(PLANS)
    return file


def test_without_a_file_are_the_contracts() -> None:
    plans = load()
    assert [(plan.name, plan.seats) for plan in plans.all] == [
        ("FREE", 3),
        ("PRO", 10),
        ("ENTERPRISE", None),
    ]
    assert plans.with_entitlement("custom_roles") == ["ENTERPRISE"]


def test_say_what_each_plan_entitles_to(plans: Path) -> None:
    hobby, team = load(plans).all
    assert hobby.entitlement("projects") == Entitlement(allowed=True, limit=2)
    assert hobby.entitlement("exports") == Entitlement(allowed=True, limit=3, per=Period.DAY)
    assert not hobby.entitlement("support").allowed
    assert not hobby.custom_roles
    assert team.entitlement("projects") == Entitlement(allowed=True)
    assert team.entitlement("exports").per is Period.MONTH
    assert not team.entitlement("unheard of").allowed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no plan"),
        ("[FREE", "cannot be read"),
        ("[free]\nseats = 1", "free is no plan"),
        ("FREE = 3", "FREE is no plan"),
        ("[FREE]\nprojects = 1", "must say seats"),
        ("[FREE]\nseats = 0", "must say seats"),
        ("[FREE]\nseats = true", "must say seats"),
        ('[FREE]\nseats = "3/month"', "must say seats"),
        ('[FREE]\nseats = 1\nexports = "many"', "that must be true, false, a number"),
        ("[FREE]\nseats = 1\nexports = -1", "that must be true, false, a number"),
        ("[FREE]\nseats = 1\nexports = 1.5", "that must be true, false, a number"),
        ("[A]\nseats = 1\nx = 1\n[B]\nseats = 2", "The plan B does not say x, which another"),
    ],
)
def test_that_are_wrong_are_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(text)
    with pytest.raises(PlansError, match=sentence):
        load(file)


async def test_of_ones_own_are_what_the_api_knows(serve: Serve, plans: Path) -> None:
    api: Api = await serve(plans=plans)
    admin = await api.register()
    organisation = ok(await admin.get("/api/organisations"))
    assert (organisation["subscriptionPlan"], organisation["memberLimit"]) == ("HOBBY", 1)
    refused(await admin.invite(), 403, "Member limit reached for HOBBY plan. Please upgrade.")
    body = refused(await admin.change_plan("ENTERPRISE"), 422)
    assert body["fields"] == [{"field": "plan", "message": "plan must be one of HOBBY, TEAM"}]
    assert ok(await admin.change_plan("TEAM"))["memberLimit"] is None
    ok(await admin.invite(), 201)
    spec = (await api.get("/docs/spec")).json()
    plan = spec["components"]["schemas"]["Plan"]
    assert plan["enum"] == ["HOBBY", "TEAM"]


async def test_that_are_no_longer_offered_entitle_to_nothing_and_can_be_left(
    serve: Serve, plans: Path
) -> None:
    admin = await (await serve()).register()
    later = admin.at(await serve(plans=plans))
    assert ok(await later.get("/api/organisations"))["memberLimit"] == 0
    refused(await later.invite(), 403, code="SEAT_LIMIT_REACHED")
    ok(await later.change_plan("TEAM"))


def test_that_are_wrong_stop_the_start_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text("[FREE]")
    run = tenantry("serve", environment={"TENANTRY_PLANS": str(file)}, cwd=tmp_path)
    assert run.returncode == 1
    assert "The plan FREE must say seats" in run.stderr
    assert "Traceback" not in run.stderr


async def test_are_listed_for_who_is_to_choose(serve: Serve, plans: Path) -> None:
    member = await (await serve(plans=plans)).register()
    hobby, team = ok(await member.get("/api/organisations/plans"), message="Plans fetched")
    assert hobby == {
        "name": "HOBBY",
        "seats": 1,
        "customRoles": False,
        "entitlements": {
            "projects": {"allowed": True, "limit": 2},
            "exports": {"allowed": True, "limit": 3, "per": "day"},
            "support": {"allowed": False, "limit": 0},
        },
    }
    assert (team["seats"], team["customRoles"]) == (None, True)


async def test_are_listed_for_who_is_signed_in_only(api: Api) -> None:
    refused(await api.get("/api/organisations/plans"), 401)
