import uuid
from collections import defaultdict

from database import Activity, Membership, Organisation, Session, User, now
from fastapi import APIRouter, HTTPException, WebSocket
from fastapi.encoders import jsonable_encoder
from models import ActivityOut, Envelope, Message, OrganisationOut
from security import Admin, SignedIn
from sqlalchemy import func, select

router = APIRouter(prefix="/api")
MEMBER_LIMITS = {"FREE": 3, "PRO": 10, "ENTERPRISE": None}
rooms: dict[uuid.UUID, set[WebSocket]] = defaultdict(set)


async def send(organisation_id: uuid.UUID, type: str, payload: dict[str, object]) -> None:  # noqa: A002
    message = jsonable_encoder({"type": type, "payload": payload})
    for socket in list(rooms.get(organisation_id, ())):
        await socket.send_json(message)


@router.get("/organisations")
async def organisation(session: Session, claims: SignedIn) -> Envelope[OrganisationOut]:
    members = (
        select(func.count())
        .select_from(Membership)
        .where(Membership.organisation_id == Organisation.id)
        .scalar_subquery()
    )
    found = await session.execute(
        select(Organisation, members).where(Organisation.id == claims.organisation_id)
    )
    row = found.one_or_none()
    if row is None:
        raise HTTPException(404, "Organisation not found")
    one, count = row
    data = OrganisationOut(
        id=one.id,
        name=one.name,
        slug=one.slug,
        subscription_plan=one.subscription_plan,
        member_count=count,
        member_limit=MEMBER_LIMITS[one.subscription_plan],
        created_at=one.created_at,
    )
    return Envelope(message="Organisation fetched", data=data)


@router.post("/organisations/broadcast", status_code=201)
async def broadcast(data: Message, session: Session, claims: Admin) -> Envelope[ActivityOut]:
    payload = {"message": data.message, "sentBy": str(claims.user_id), "sentAt": now().isoformat()}
    activity = Activity(
        organisation_id=claims.organisation_id,
        type="BROADCAST_MESSAGE",
        message=data.message,
        details=payload,
        actor_id=claims.user_id,
        actor=await session.get(User, claims.user_id),
        target=None,
    )
    session.add(activity)
    await session.commit()
    await send(claims.organisation_id, "BROADCAST_MESSAGE", payload)
    return Envelope(message="Message broadcasted", data=ActivityOut.model_validate(activity))
