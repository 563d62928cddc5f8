"""Passwords and tokens."""

import os
import uuid
from datetime import timedelta
from typing import Annotated, Any

import jwt
from database import RefreshToken, now
from fastapi import Depends, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from models import Tokens
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

ACCESS_SECRET = os.environ["JWT_ACCESS_SECRET"]
REFRESH_SECRET = os.environ["JWT_REFRESH_SECRET"]
ACCESS_LIFETIME, REFRESH_LIFETIME = timedelta(minutes=15), timedelta(days=7)
# The benchmark lowers it where it measures what is around the hashing.
time_cost, memory_cost = (1, 8) if "ARGON2_LOWEST" in os.environ else (2, 19 * 1024)
hasher = Argon2Hasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=1)
bearer = HTTPBearer(auto_error=False)


class Claims(BaseModel):
    user_id: uuid.UUID
    organisation_id: uuid.UUID
    role: str


async def hash_password(password: str) -> str:
    return await run_in_threadpool(hasher.hash, password)


async def verify_password(password: str, known: str) -> bool:
    return await run_in_threadpool(hasher.verify, password, known)


def issue(session: AsyncSession, claims: Claims) -> Tokens:
    refresh = _sign(claims, REFRESH_SECRET, REFRESH_LIFETIME)
    session.add(
        RefreshToken(user_id=claims.user_id, token=refresh, expires_at=now() + REFRESH_LIFETIME)
    )
    return Tokens(access_token=_sign(claims, ACCESS_SECRET, ACCESS_LIFETIME), refresh_token=refresh)


def _sign(claims: Claims, secret: str, lifetime: timedelta) -> str:
    content: dict[str, Any] = claims.model_dump(mode="json")
    content |= {"exp": now() + lifetime, "jti": uuid.uuid4().hex}
    return jwt.encode(content, secret, algorithm="HS256")


def verify_refresh(token: str) -> Claims:
    try:
        return Claims(**jwt.decode(token, REFRESH_SECRET, algorithms=["HS256"]))
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid or expired refresh token") from None


def verify_access(token: str) -> Claims:
    try:
        return Claims(**jwt.decode(token, ACCESS_SECRET, algorithms=["HS256"]))
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid or expired access token") from None


async def current(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Claims:
    if credentials is None:
        raise HTTPException(401, "No token provided")
    return verify_access(credentials.credentials)


SignedIn = Annotated[Claims, Depends(current)]


async def admin(claims: SignedIn) -> Claims:
    if claims.role != "ADMIN":
        raise HTTPException(403, "You do not have permission to perform this action")
    return claims


Admin = Annotated[Claims, Depends(admin)]
