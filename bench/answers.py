"""Whether the contenders answer the same, and right: nobody is quick with a wrong answer."""

import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from bench.data import Shape, admin_of, organisation_name
from bench.servers import Server

PAGE = 50
# What the contract says of one; Tenantry answers more.
FIELDS = {
    "/api/organisations": (
        *("id", "name", "slug", "subscriptionPlan"),
        *("memberCount", "memberLimit", "createdAt"),
    ),
    "/api/users": ("id", "name", "email", "role", "organisationId", "createdAt", "updatedAt"),
    "/api/activities": (
        *("id", "organisationId", "type", "message", "metadata", "createdAt"),
        *("actor", "target"),
    ),
}


class AnswerError(Exception):
    """A contender's answer is not what it should be; the message says how."""


def fetch(server: Server, path: str, header: str) -> Any:
    """The JSON of a read. Raises `AnswerError` where it is refused."""
    name, _, value = header.partition(": ")
    answer = httpx.get(server.url + path, headers={name: value}, timeout=30)
    if answer.status_code != 200 or not answer.json():
        raise AnswerError(f"{server.url}{path} answered {answer.status_code}: {answer.text}")
    return answer.json()


def by_contract(path: str, body: dict[str, Any]) -> Any:
    """What was answered within the envelope: what all have, and times as times."""
    if body.get("success") is not True:
        raise AnswerError(f"{path} answered {body}")
    found = body["data"]
    return _kept(path, found) if isinstance(found, dict) else [_kept(path, one) for one in found]


def _kept(path: str, item: dict[str, Any]) -> dict[str, Any]:
    kept = {name: item[name] for name in FIELDS[path]}
    return {
        name: datetime.fromisoformat(value) if name.endswith("At") else value
        for name, value in kept.items()
    }


def check(path: str, found: Any, number: int, shape: Shape) -> None:
    """Compare a read of organisation `number` with what the database was filled with."""
    seen: object
    right: object
    match path:
        case "/api/organisations":
            seen = (found["name"], found["memberCount"])
            right = (organisation_name(number), shape.members)
        case "/api/users":
            seen = (found[0]["email"], len({user["id"] for user in found}))
            right = (admin_of(number), shape.members)
        case _:
            newest = range(shape.activities, max(0, shape.activities - PAGE), -1)
            seen = [activity["message"].partition(":")[0] for activity in found]
            right = [f"Message {seq}" for seq in newest]
    if seen != right:
        raise AnswerError(f"{path} answers {_short(seen)}, and right is {_short(right)}")


def _short(text: object) -> str:
    return textwrap.shorten(str(text), 200, placeholder=" …")


def check_better_auth(path: str, body: dict[str, Any], number: int, shape: Shape) -> None:
    """The same of Better Auth's answers, which have a form of their own."""
    if path.endswith("get-session"):
        seen: object = body["user"]["email"]
        right: object = admin_of(number)
    else:
        emails = {member["user"]["email"] for member in body["members"]}
        seen = (body["name"], len(emails), admin_of(number) in emails)
        right = (organisation_name(number), shape.members, True)
    if seen != right:
        raise AnswerError(f"{path} answers {seen}, and right is {right}")


def compare(path: str, answers: Mapping[str, Any]) -> None:
    """All contenders' answers to one request must be equal."""
    (first, expected), *others = answers.items()
    for who, found in others:
        if found != expected:
            raise AnswerError(
                f"{path}: {who} answers {_short(found)}, and {first} {_short(expected)}"
            )
