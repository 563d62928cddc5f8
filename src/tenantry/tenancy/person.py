"""Person: somebody who is signed in, on a connection that sees no organisation."""

from uuid import UUID

from tenantry.db.pool import Connection


class Person:
    """What a handler of one's own account works with.

    `organisation_id` is the token's, which need not be one that they can enter; `second_factor`
    is whether this session has given one.
    """

    __slots__ = ("connection", "organisation_id", "second_factor", "session_id", "user_id")

    def __init__(
        self,
        connection: Connection,
        *,
        organisation_id: UUID,
        user_id: UUID,
        session_id: UUID,
        second_factor: bool,
    ) -> None:
        self.connection = connection
        self.organisation_id = organisation_id
        self.user_id = user_id
        self.session_id = session_id
        self.second_factor = second_factor
