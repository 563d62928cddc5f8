"""What tests say of answers, and what they send."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

PASSWORD = "correct horse battery"
PATIENCE = 30.0  # seconds until something that must happen counts as not happening


def ok(answer: httpx.Response, status: int = 200, message: str | None = None) -> Any:
    """The data of a success in the envelope.

    Raises:
        AssertionError: another status or message, or no envelope.
    """
    body = _body(answer, status)
    _same(answer, "success", body.get("success"), True)
    said = body.get("message")
    _same(answer, "message", said, str(said) if message is None else message)
    return body["data"]


def refused(
    answer: httpx.Response, status: int, message: str | None = None, code: str | None = None
) -> Any:
    """The body of an error in the envelope.

    Raises:
        AssertionError: another status, message or code, or no envelope.
    """
    body = _body(answer, status)
    _same(answer, "success", body.get("success"), False)
    _same(answer, "data", body.get("data"), None)
    _same(answer, "content-type", answer.headers["content-type"], "application/json")
    _same(answer, "requestId", body.get("requestId"), answer.headers["x-request-id"])
    _same(answer, "code", body.get("code"), code or str(body.get("code")))
    _same(answer, "message", body.get("message"), message or str(body.get("message")))
    return body


async def eventually(read: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Read until it is this."""
    async with asyncio.timeout(PATIENCE):
        while await read() != expected:
            pass


def unique_email(name: str = "somebody") -> str:
    """An address that nobody has yet."""
    return f"{name}.{secrets.token_hex(6)}@example.com"


def registration(**changes: Any) -> dict[str, Any]:
    """The body of a registration that succeeds, but for the changes."""
    return {
        "name": "Ada Lovelace",
        "email": unique_email(),
        "password": PASSWORD,
        "organisationName": "Analytical Engines",
        **changes,
    }


def _body(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise AssertionError(
            f"{_route(answer)} answered {answer.status_code}, not {status}: {answer.text}"
        )
    body: dict[str, Any] = answer.json()
    return body


def _same(answer: httpx.Response, name: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(
            f"{_route(answer)} answered with {name} {found!r}, not {expected!r}: {answer.text}"
        )


def _route(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}"
