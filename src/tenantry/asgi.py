"""The types of ASGI 3, as the parts that work below Litestar see it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# Where a request's state has
ABORT = "abort"  # what ends its connection at once
ANSWER = "answer"  # what sends its whole answer: given the status, the head's lines, and the body

JSON = "tenantry.json"  # a message of ours: an answer that is JSON, with "status" and "body"

Headers: TypeAlias = list[tuple[bytes, bytes]]
