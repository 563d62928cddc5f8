"""GET /api/activities."""

from functools import cache
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from tenantry import feed
from tenantry.errors import FieldError, Invalid
from tenantry.feed import Activity
from tenantry.reply import Page
from tenantry.routing import Router
from tenantry.tenancy.guards import any_member
from tenantry.tenancy.reading import Reading

# The largest number that JSON carries to every client unharmed.
MAX_SEQ = 2**53 - 1
FROM_THE_NEWEST = -1

# Parameters that a statement does not use must have a type all the same.
NO_TYPE = "$5::text[] IS NULL"
NO_ACTOR = "$6::uuid[] IS NULL"


@cache
def page_statement(*, forward: bool, by_type: bool, by_actor: bool) -> str:
    """One page of the feed as JSON, and the seq that leads to the next.

    Newest first: the last $4 before $3, or with `forward` the first $4 after $2. One more than
    the page has tells whether there is another.

    With a filter it is merged from a page for each type or actor, since each of those is a range
    of an index in the right order. PostgreSQL would scan the feed for `= ANY` instead, which for
    a rare type in a long feed reads all of it.
    """
    if by_actor:
        wanted = "(SELECT DISTINCT unnest($6::uuid[]) AS actor_id) AS wanted"
        condition = f"AND actor_id = wanted.actor_id AND {'type = ANY($5)' if by_type else NO_TYPE}"
    elif by_type:
        wanted = "(SELECT DISTINCT unnest($5::text[]) AS type) AS wanted"
        condition = f"AND type = wanted.type AND {NO_ACTOR}"
    else:
        wanted = "(SELECT) AS wanted"
        condition = f"AND {NO_TYPE} AND {NO_ACTOR}"
    order = "ASC" if forward else "DESC"
    return f"""
SELECT coalesce(json_agg(line) FILTER (WHERE place <= $4), '[]'),
       CASE WHEN count(*) > $4 THEN min(seq) FILTER (WHERE place = $4) END
  FROM (SELECT activity.place, activity.seq,
               (SELECT line
                  FROM (SELECT {feed.WIRE_COLUMNS}) AS line) AS line
          FROM (SELECT found.*, row_number() OVER (ORDER BY found.seq {order}) AS place
                  FROM {wanted}
                 CROSS JOIN LATERAL (
                       SELECT *
                         FROM activities
                        WHERE organisation_id = $1 AND seq > $2 AND seq < $3
                          {condition}
                        ORDER BY seq {order}
                        LIMIT $4 + 1) AS found
                 ORDER BY found.seq {order}
                 LIMIT $4 + 1) AS activity
          LEFT JOIN {feed.PEOPLE} AS actor  ON actor.id  = activity.actor_id
          LEFT JOIN {feed.PEOPLE} AS target ON target.id = activity.target_id
         ORDER BY activity.seq DESC) AS page
"""


@get(
    "/",
    guards=[any_member],
    summary="The activity feed",
    operation_id="listActivities",
)
async def list_activities(
    reading: NamedDependency[Reading],
    before: Annotated[
        int, QueryParameter(gt=-1, le=MAX_SEQ, description="Only what is older than this `seq`.")
    ] = MAX_SEQ,
    after: Annotated[
        int, QueryParameter(ge=-1, le=MAX_SEQ, description="Only what is newer than this `seq`.")
    ] = FROM_THE_NEWEST,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at the most.")] = 50,
    type: Annotated[  # noqa: A002
        list[str] | None,
        QueryParameter(description="Only these types; may be given several times.", max_items=50),
    ] = None,
    actor: Annotated[
        list[UUID] | None,
        QueryParameter(
            description="Only what these users did; may be given several times.", max_items=50
        ),
    ] = None,
) -> Page[Activity]:
    """One page, newest first. `nextCursor` leads on: as `before`, or as `after` if that was given.

    With `after`, the page is the one that follows it, so that a client which knows everything up
    to a `seq` catches up without a hole.
    """
    unknown = set(type or ()) - set(reading.product.events)
    if unknown:
        problem = f"type must be one of {', '.join(reading.product.events)}"
        raise Invalid(fields=(FieldError("type", problem),))
    forward = after != FROM_THE_NEWEST and before == MAX_SEQ
    statement = page_statement(
        forward=forward, by_type=type is not None, by_actor=actor is not None
    )
    lines, next_cursor = await reading.row(
        statement, reading.organisation_id, after, before, limit, type, actor
    )
    return Page(
        "Activities fetched",
        msgspec.Raw(lines or b"[]"),  # type: ignore[arg-type]  # goes out as it is
        None if next_cursor is None else int(next_cursor),
    )


router = Router("/api/activities", route_handlers=[list_activities], tags=["Activities"])
