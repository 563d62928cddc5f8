"""The contract's routes as FastAPI's users write them: uvicorn main:app."""

import json

import activities
import auth
import organisations
import users
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from security import verify_access

app = FastAPI()
for module in (auth, organisations, users, activities):
    app.include_router(module.router)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.exception_handler(HTTPException)
async def refused(_: Request, error: HTTPException) -> JSONResponse:
    answer = {"success": False, "message": error.detail, "data": None}
    return JSONResponse(answer, error.status_code)


@app.websocket("/ws")
async def stream(socket: WebSocket, token: str) -> None:
    room = organisations.rooms[verify_access(token).organisation_id]
    await socket.accept()
    room.add(socket)
    payload = {"message": "Connected to real-time channel"}
    await socket.send_json({"type": "CONNECTED", "payload": payload})
    try:
        while True:
            try:
                if (await socket.receive_json()).get("type") == "PING":
                    await socket.send_json({"type": "PONG"})
            except json.JSONDecodeError:
                continue
    except WebSocketDisconnect:
        room.discard(socket)
