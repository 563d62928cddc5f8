"""A call answered twice, directly and by the framework; and how two answers are compared."""

from http.cookies import SimpleCookie
from typing import Any, TypeAlias

import httpx

from tenantry.testing import Account, Api

Answers: TypeAlias = tuple[httpx.Response, httpx.Response]

OF_EACH = {"x-request-id", "date"}


def by_framework(path: str) -> str:
    """The same address as the framework alone takes it."""
    return f"{path}/"


async def both(account: Account, path: str, **params: Any) -> Answers:
    """Answered directly, and by the framework."""
    direct = await account.call("GET", path, params=params)
    return direct, await account.call("GET", by_framework(path), params=params)


async def posted(api: Api, path: str, *bodies: dict[str, Any], **headers: str) -> Answers:
    """Answered directly and by the framework; each has a body of its own, where there are two."""
    ours, theirs = (bodies[0], bodies[-1]) if bodies else (None, None)
    return (
        await api.http.post(path, json=ours, headers=headers),
        await api.http.post(by_framework(path), json=theirs, headers=headers),
    )


def assert_same(answers: Answers) -> httpx.Response:
    """Successes alike but for what is random, or refusals alike but for the request's id."""
    ours, theirs = answers
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    if ours.is_success:
        assert shape(ours.json()) == shape(theirs.json())
    else:
        assert without_id(ours) == without_id(theirs)
    assert headers_of(ours) == headers_of(theirs)
    return ours


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)


def headers_of(answer: httpx.Response) -> dict[str, Any]:
    """The headers, without what is random in them."""
    kept = {key: value for key, value in answer.headers.items() if key not in OF_EACH}
    cookie = SimpleCookie(kept.pop("set-cookie", ""))
    return {
        **kept,
        "cookies": [{**morsel, "value": len(morsel.value)} for morsel in cookie.values()],
    }


def without_id(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    body.pop("requestId", None)
    return body
