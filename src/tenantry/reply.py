"""The envelope: the one shape of every JSON answer.

{"success": true, "message": "Users fetched", "data": [...]}
{"success": false, "message": "...", "data": null, "code": "...", "requestId": "..."}
"""

from typing import Generic, Literal, TypeVar

import msgspec

from tenantry.errors import FieldError, TenantryError

T = TypeVar("T")


class Reply(msgspec.Struct, Generic[T], frozen=True):
    """A success: a sentence for people, and the data."""

    message: str
    data: T
    success: Literal[True] = True


class Page(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """A success that is one page of a list. `next_cursor` is null on the last page."""

    message: str
    data: list[T]
    next_cursor: int | None
    success: Literal[True] = True


class ErrorReply(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A failure. `code` is stable and for programs; `fields` is there for a 422."""

    success: Literal[False]
    message: str
    data: None
    code: str
    request_id: str
    fields: tuple[FieldError, ...] = ()


def error_reply(error: TenantryError, request_id: str) -> ErrorReply:
    return ErrorReply(
        success=False,
        message=error.message,
        data=None,
        code=error.code,
        request_id=request_id,
        fields=error.fields,
    )
