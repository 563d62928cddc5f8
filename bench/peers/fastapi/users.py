import secrets
from datetime import timedelta

from database import Activity, Invite, Membership, Organisation, Session, User, now
from fastapi import APIRouter, HTTPException
from models import Acceptance, Envelope, Invitation, InviteOut, Joined, Member
from organisations import MEMBER_LIMITS, send
from security import Admin, hash_password
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

router = APIRouter(prefix="/api/users")


@router.get("")
async def users(session: Session, claims: Admin) -> Envelope[list[Member]]:
    found = await session.scalars(
        select(Membership)
        .where(Membership.organisation_id == claims.organisation_id)
        .options(joinedload(Membership.user))
        .order_by(Membership.created_at)
    )
    members = [
        Member(
            id=one.user_id,
            name=one.user.name,
            email=one.user.email,
            role=one.role,
            organisation_id=one.organisation_id,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
        for one in found
    ]
    return Envelope(message="Users fetched", data=members)


@router.post("/invite", status_code=201)
async def invite(data: Invitation, session: Session, claims: Admin) -> Envelope[InviteOut]:
    here = claims.organisation_id
    plan = (await session.get_one(Organisation, here)).subscription_plan
    count = await session.scalar(
        select(func.count()).select_from(Membership).where(Membership.organisation_id == here)
    )
    limit = MEMBER_LIMITS[plan]
    if limit is not None and (count or 0) >= limit:
        raise HTTPException(403, f"Member limit reached for {plan} plan. Please upgrade.")
    if await session.scalar(
        select(Membership)
        .join(Membership.user)
        .where(Membership.organisation_id == here, User.email == data.email)
    ):
        raise HTTPException(409, "User already exists in this organisation")
    if await session.scalar(
        select(Invite).where(
            Invite.organisation_id == here,
            Invite.email == data.email,
            Invite.accepted_at.is_(None),
        )
    ):
        raise HTTPException(409, "Invite already sent to this email")
    made = Invite(
        organisation_id=here,
        email=data.email,
        role=data.role,
        token=secrets.token_urlsafe(32),
        expires_at=now() + timedelta(hours=24),
    )
    told = Activity(
        organisation_id=here,
        type="INVITE_SENT",
        message=f"{data.email} was invited",
        details={"email": data.email, "role": data.role},
        actor_id=claims.user_id,
    )
    session.add_all([made, told])
    await session.commit()
    return Envelope(message="Invite sent successfully", data=InviteOut.model_validate(made))


@router.post("/accept-invite", status_code=201)
async def accept_invite(data: Acceptance, session: Session) -> Envelope[Joined]:
    found = await session.scalar(
        select(Invite).where(Invite.token == data.token, Invite.accepted_at.is_(None))
    )
    if found is None:
        raise HTTPException(404, "Invalid or already used invite token")
    if found.expires_at < now():
        raise HTTPException(410, "Invite has expired")
    if await session.scalar(select(User).where(User.email == found.email)):
        raise HTTPException(409, "An account with this email already exists")
    user = User(name=data.name, email=found.email, password_hash=await hash_password(data.password))
    session.add(user)
    await session.flush()
    who = {"userId": str(user.id), "name": user.name, "email": user.email, "role": found.role}
    session.add(Membership(organisation_id=found.organisation_id, user_id=user.id, role=found.role))
    session.add(
        Activity(
            organisation_id=found.organisation_id,
            type="INVITE_ACCEPTED",
            message=f"{user.name} joined the organisation",
            details=who,
            actor_id=user.id,
        )
    )
    found.accepted_at = now()
    await session.commit()
    await send(found.organisation_id, "USER_JOINED", who)
    joined = Joined(
        id=user.id,
        name=user.name,
        email=user.email,
        role=found.role,
        organisation_id=found.organisation_id,
    )
    return Envelope(message="Invite accepted successfully", data=joined)
