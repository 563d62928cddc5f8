"""A read in an organisation: one statement, in the round trip that lets whoever asks in."""

from typing import Any
from uuid import UUID

import msgspec
from litestar.types import Scope

from tenantry.db.database import Database, Who
from tenantry.db.wire import Raw
from tenantry.errors import Forbidden, SecondFactorRequired, TokenInvalid
from tenantry.tenancy.product import Product


class Reading:
    """What a GET's handler can take in place of a `Tenant`, where one statement answers it.

    The statement gives a row whose columns are text as PostgreSQL writes it; JSON goes out as it
    is. It sees nothing before `enter` has said yes, and its handler gets nothing.
    """

    __slots__ = ("_database", "_permission", "_who", "entered", "product")

    def __init__(
        self, database: Database, product: Product, who: Who, permission: str | None
    ) -> None:
        self._database = database
        self._who = who
        self._permission = permission
        self.product = product
        self.entered = False

    @property
    def organisation_id(self) -> UUID:
        return self._who.organisation

    async def row(self, sql: str, *arguments: object) -> Raw:
        """The statement's row.

        Raises:
            TokenInvalid: logged out, no member any more, or the organisation is gone.
            SecondFactorRequired: the organisation asks for more than this session has given.
            Forbidden: the role lacks the route's permission.
        """
        entered, row = await self._database.read(self._who, (sql, arguments))
        role, owner, custom, weak = entered or (None, None, None, None)
        if role is None:
            raise TokenInvalid
        if weak == b"t":
            raise SecondFactorRequired
        if row is None:
            raise TokenInvalid
        if self._permission is not None and self._permission not in self.product.permissions.of(
            role.decode(), owner=owner == b"t", custom=msgspec.json.decode(custom or b"null")
        ):
            raise Forbidden
        self.entered = True
        return row

    async def json(self, sql: str, *arguments: object) -> Any:
        """The row's first column, which goes out as the JSON that it is."""
        (answer,) = await self.row(sql, *arguments)
        return msgspec.Raw(answer or b"null")


def provide_reading(scope: Scope) -> Reading:
    """The dependency `reading` of a guarded handler. The guard has seen to the permission."""
    state, tenant = scope["litestar_app"].state, scope["state"]["tenant"]
    who = Who(tenant.user_id, tenant.session_id, tenant.organisation_id)
    return Reading(state.database, state.product, who, None)
