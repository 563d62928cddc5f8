"""Whether the contenders answer the same, and right: nobody is quick with a wrong answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from bench.data import Shape, admin_of, organisation_name
from bench.servers import Server

PAGE = 50
# What the contract says; Tenantry answers more.
ORGANISATION = ("id", "name", "slug", "subscriptionPlan", "memberCount", "memberLimit", "createdAt")
USER = ("id", "name", "email", "role", "organisationId", "createdAt", "updatedAt")
ACTIVITY = (
    *("id", "organisationId", "type", "message", "metadata", "createdAt"),
    *("actor", "target"),
)


class AnswerError(Exception):
    """A contender's answer is not what it should be; the message says how."""


def fetch(server: Server, path: str, header: str) -> Any:
    """What a read answers, with only what all contenders have, and times as times."""
    name, _, value = header.partition(": ")
    answer = httpx.get(server.url + path, headers={name: value}, timeout=30)
    body = answer.json()
    if answer.status_code != 200 or body["success"] is not True:
        raise AnswerError(f"{server.url}{path} answered {answer.status_code}: {answer.text}")
    fields = {"/api/organisations": ORGANISATION, "/api/users": USER, "/api/activities": ACTIVITY}
    found = body["data"]
    kept = fields[path]
    return _only(found, kept) if isinstance(found, dict) else [_only(item, kept) for item in found]


def _only(item: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(item[name]) for name in kept if name.endswith("At")}
    return {name: item[name] for name in kept} | times


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
        raise AnswerError(f"{path} answers {seen}, and right is {right}")


def compare(path: str, answers: dict[str, Any]) -> None:
    """All contenders' answers to one request must be equal."""
    (first, expected), *others = answers.items()
    for who, found in others:
        if found != expected:
            raise AnswerError(f"{path}: {who} answers\n{found}\nand {first}\n{expected}")
