from database import Activity, Session
from fastapi import APIRouter
from models import ActivityOut, Envelope
from security import SignedIn
from sqlalchemy import select
from sqlalchemy.orm import joinedload

router = APIRouter(prefix="/api/activities")


@router.get("")
async def activities(session: Session, claims: SignedIn) -> Envelope[list[ActivityOut]]:
    found = await session.scalars(
        select(Activity)
        .where(Activity.organisation_id == claims.organisation_id)
        .options(joinedload(Activity.actor), joinedload(Activity.target))
        .order_by(Activity.created_at.desc())
        .limit(50)
    )
    page = [ActivityOut.model_validate(activity) for activity in found]
    return Envelope(message="Activities fetched", data=page)
