"""GET /api/auth/me, GET and DELETE …/sessions, POST …/logout-all, POST …/switch."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tenantry.auth.cookies import RefreshCookie
from tenantry.auth.sessions import Session, SignedIn, end_sessions, list_sessions, switch
from tenantry.errors import NotAMember, SessionUnknown, TokenInvalid
from tenantry.inputs import Input, PathId
from tenantry.reply import Reply
from tenantry.tenancy.guards import note_identity, signed_in
from tenantry.tenancy.permissions import Role
from tenantry.tenancy.person import Person
from tenantry.tenancy.tokens import Tokens

PERSON = "SELECT id, name, email, email_verified_at, created_at FROM tenantry.person($1)"
MEMBERSHIPS = """
SELECT organisation_id, organisation_name, slug, subscription_plan, requires_second_factor,
       role, owner, custom_role, joined_at
  FROM tenantry.memberships_of($1)
"""


class MyOrganisation(msgspec.Struct, frozen=True, rename="camel"):
    """An organisation that one is in."""

    id: UUID
    name: str
    slug: str
    subscription_plan: str
    requires_second_factor: bool


class Membership(msgspec.Struct, frozen=True, rename="camel"):
    """Where one belongs, and as what. An owner has the role ADMIN."""

    organisation: MyOrganisation
    role: Role
    owner: bool
    custom_role: str | None
    joined_at: datetime


class Me(msgspec.Struct, frozen=True, rename="camel"):
    """One's own account. `organisation_id` is what the token is for; `second_factor` whether this
    session has given one.
    """

    id: UUID
    name: str
    email: str
    email_verified: bool
    second_factor: bool
    organisation_id: UUID
    memberships: list[Membership]
    created_at: datetime


class SwitchInput(Input):
    organisation_id: UUID


class Ended(msgspec.Struct, frozen=True):
    """How many sessions have ended."""

    ended: int


@get("/me", guards=[signed_in], summary="One's own account", operation_id="getMe")
async def get_me(person: NamedDependency[Person]) -> Reply[Me]:
    """Who is signed in, and every organisation that they are in, in the order of joining."""
    found = await person.connection.fetchrow(PERSON, person.user_id)
    if found is None or found["id"] is None:
        raise TokenInvalid
    memberships = [
        Membership(
            MyOrganisation(
                row["organisation_id"],
                row["organisation_name"],
                row["slug"],
                row["subscription_plan"],
                row["requires_second_factor"],
            ),
            row["role"],
            row["owner"],
            row["custom_role"],
            row["joined_at"],
        )
        for row in await person.connection.fetch(MEMBERSHIPS, person.user_id)
    ]
    return Reply(
        "Account fetched",
        Me(
            found["id"],
            found["name"],
            found["email"],
            found["email_verified_at"] is not None,
            person.second_factor,
            person.organisation_id,
            memberships,
            found["created_at"],
        ),
    )


@post(
    "/switch",
    status_code=200,
    guards=[signed_in],
    answers=(NotAMember,),
    summary="Go on in another organisation",
    operation_id="switchOrganisation",
)
async def switch_organisation(
    request: Request[Any, Any, Any],
    data: JSONBody[SwitchInput],
    person: NamedDependency[Person],
    tokens: NamedDependency[Tokens],
    cookie: NamedDependency[RefreshCookie],
) -> Response[Reply[SignedIn]]:
    """Tokens of this session for another organisation. Those for the present one stay good, so
    that other tabs are not disturbed. The next login begins where one worked last.
    """
    async with person.connection.pipelined():
        switched = await switch(person.connection, tokens, person, data.organisation_id)
    note_identity(request.scope, person.user_id, data.organisation_id)
    return cookie.keep(Reply("Organisation switched", switched))


@get("/sessions", guards=[signed_in], summary="One's sessions", operation_id="listSessions")
async def get_sessions(person: NamedDependency[Person]) -> Reply[list[Session]]:
    """Every login that still holds, the last used first: where, on what, since when."""
    return Reply("Sessions fetched", await list_sessions(person))


@delete(
    "/sessions/{session_id:str}",
    status_code=200,
    guards=[signed_in],
    answers=(SessionUnknown,),
    summary="End a session",
    operation_id="endSession",
)
async def end_session(
    session_id: PathId, person: NamedDependency[Person], cookie: NamedDependency[RefreshCookie]
) -> Response[Reply[Ended]]:
    """Ends one of one's own sessions at once: its tokens and its sockets."""
    try:
        ending = {UUID(session_id)}
    except ValueError:
        raise SessionUnknown from None
    ended = await end_sessions(person.connection, person.user_id, ending, "revoked")
    if not ended:
        raise SessionUnknown
    reply = Reply("Session ended", Ended(ended))
    return cookie.clear(reply) if ending == {person.session_id} else Response(reply)


@post(
    "/logout-all",
    status_code=200,
    guards=[signed_in],
    summary="Sign out everywhere",
    operation_id="logoutAll",
)
async def logout_all(
    person: NamedDependency[Person], cookie: NamedDependency[RefreshCookie]
) -> Response[Reply[Ended]]:
    """Ends all of one's sessions, this one too."""
    ended = await end_sessions(person.connection, person.user_id, None, "logout")
    return cookie.clear(Reply("Logged out everywhere", Ended(ended)))
