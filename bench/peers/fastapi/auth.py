import uuid

from database import Membership, Organisation, RefreshToken, Session, User, now
from fastapi import APIRouter, HTTPException
from models import Credentials, Envelope, Refreshing, Registration, SignedIn, Tokens
from security import Claims, hash_password, issue, verify_password, verify_refresh
from security import SignedIn as Current
from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

router = APIRouter(prefix="/api/auth")


def signed_in(user: User, role: str, organisation: Organisation, tokens: Tokens) -> SignedIn:
    return SignedIn.model_validate(
        {
            **tokens.model_dump(),
            "user": {"id": user.id, "name": user.name, "email": user.email, "role": role},
            "organisation": organisation,
        }
    )


@router.post("/register", status_code=201)
async def register(data: Registration, session: Session) -> Envelope[SignedIn]:
    if await session.scalar(select(User).where(User.email == data.email)):
        raise HTTPException(409, "Email already in use")
    slug = f"{data.organisation_name.lower().replace(' ', '-')}-{uuid.uuid4().hex[:6]}"
    organisation = Organisation(name=data.organisation_name, slug=slug)
    user = User(name=data.name, email=data.email, password_hash=await hash_password(data.password))
    session.add_all([organisation, user])
    await session.flush()
    session.add(Membership(organisation_id=organisation.id, user_id=user.id, role="ADMIN"))
    await session.flush()
    tokens = issue(session, Claims(user_id=user.id, organisation_id=organisation.id, role="ADMIN"))
    await session.commit()
    return Envelope(
        message="Registration successful", data=signed_in(user, "ADMIN", organisation, tokens)
    )


@router.post("/login")
async def login(data: Credentials, session: Session) -> Envelope[SignedIn]:
    user = await session.scalar(select(User).where(User.email == data.email))
    if user is None or not await verify_password(data.password, user.password_hash):
        raise HTTPException(401, "Invalid email or password")
    membership = await session.scalar(
        select(Membership)
        .where(Membership.user_id == user.id)
        .options(joinedload(Membership.organisation))
        .limit(1)
    )
    if membership is None:
        raise HTTPException(401, "Invalid email or password")
    organisation, role = membership.organisation, membership.role
    tokens = issue(session, Claims(user_id=user.id, organisation_id=organisation.id, role=role))
    await session.commit()
    return Envelope(message="Login successful", data=signed_in(user, role, organisation, tokens))


@router.post("/refresh")
async def refresh(data: Refreshing, session: Session) -> Envelope[Tokens]:
    claims = verify_refresh(data.refresh_token)
    expires_at = await session.scalar(
        delete(RefreshToken)
        .where(RefreshToken.token == data.refresh_token)
        .returning(RefreshToken.expires_at)
    )
    if expires_at is None or expires_at < now():
        raise HTTPException(401, "Invalid or expired refresh token")
    tokens = issue(session, claims)
    await session.commit()
    return Envelope(message="Token refreshed", data=tokens)


@router.post("/logout")
async def logout(data: Refreshing, session: Session, _: Current) -> Envelope[None]:
    await session.execute(delete(RefreshToken).where(RefreshToken.token == data.refresh_token))
    await session.commit()
    return Envelope(message="Logged out successfully", data=None)
