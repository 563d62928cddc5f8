"""Logs: a structured line a request, and no secret in any."""

import asyncio
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import pytest

from tenantry import logs
from tenantry.testing import PASSWORD, Api, connect_socket, ok, unique_email
from tests.conftest import UNLIMITED
from tests.processes import serving


async def test_one_line_a_request_that_names_who_but_no_secret(
    runtime_url: str, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": runtime_url, **UNLIMITED}
    with serving(environment=environment, cwd=tmp_path) as server:
        async with Api(server.url) as api:
            await api.get("/docs/spec")
            admin = await api.register()
            member = await admin.add()
            invite = ok(await admin.invite(), 201)
            await api.post("/api/auth/refresh", refreshToken=member.refresh_token)
            await api.post("/api/auth/login", email=unique_email(), password="wrong " + PASSWORD)
            await api.get("/api/organisations", token=admin.token)
            async with connect_socket(api.url, f"/ws?token={admin.token}"):
                pass
            await api.get("/ws", token=member.token)
            answer = await admin.get("/api/users", secret=PASSWORD)
            ok(answer)
            await admin.call("GET", "/nowhere", headers={"x-request-id": "mine-1"})
        output = server.stop()
    for secret in (
        PASSWORD,
        admin.token,
        admin.refresh_token,
        member.token,
        member.refresh_token,
        invite["token"],
        "argon2",
        runtime_url.split(":")[2].split("@", maxsplit=1)[0],
    ):
        assert secret not in output
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    users = next(line for line in requests if line["path"] == "/api/users")
    assert users["request_id"] == answer.headers["x-request-id"]
    assert (users["method"], users["status"]) == ("GET", 200)
    assert (users["user"], users["organisation"]) == (admin.id, admin.organisation["id"])
    assert users["milliseconds"] > 0
    assert datetime.fromisoformat(users["timestamp"]).tzinfo == UTC
    assert [line["request_id"] for line in requests if line["path"] == "/nowhere"] == ["mine-1"]
    for path in ("/api/auth/register", "/api/auth/refresh", "/api/users/accept-invite"):
        assert all(line["user"] for line in requests if line["path"] == path)
    sockets = [line for line in requests if line["method"] == "WEBSOCKET"]
    assert [(line["path"], line["status"]) for line in sockets] == [("/ws", 101)]
    assert [line for line in lines if line["level"] != "info"] == []


class Written(io.BytesIO):
    """What is written, and in which pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return super().write(piece)


async def test_lines_of_one_moment_are_written_together_and_none_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = Written()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    write_line = logs.request_line()
    for number in range(100):
        write_line(path=f"/{number}")
    await asyncio.sleep(0)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["path"] for line in lines] == [f"/{number}" for number in range(100)]
    assert len(written.pieces) < 10
    # More than that in one piece, and another process's lines could come in between.
    assert all(len(piece) <= PIPE_BUF and piece.endswith(b"\n") for piece in written.pieces)
