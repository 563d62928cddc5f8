"""The page of error codes, from `tenantry.errors` and the operations that answer them."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any

from tenantry import errors
from tenantry.errors import TenantryError
from tools.docs.operations import operations_of

INTRODUCTION = """# Error codes

Every answer that is an error is an envelope with `success: false`:

```json
{
  "success": false,
  "message": "Member limit reached for FREE plan. Please upgrade.",
  "data": null,
  "code": "SEAT_LIMIT_REACHED",
  "requestId": "0193f0a2c4d17a3f9b1e6c5d2a8f4e07"
}
```

`code` is stable and for programs; the sentence is for people, and may say more than it does here.
`requestId` is what to look for in the log. A 422 has `fields` too, a list of `{"field",
"message"}`. With 429 and 503 comes a `Retry-After` where the server knows.

Codes are added now and then, and features add their own: treat one that you do not know by its
status. Those that nearly every request can be answered, such as `TOKEN_INVALID` and
`TOO_MANY_REQUESTS`, name no operation here.
"""

EVERYWHERE = 20  # operations; what more can answer says nothing about any of them


def page(spec: dict[str, Any]) -> str:
    answered = _answered(spec)
    by_status: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for error in sorted(_kinds(), key=lambda error: (error.status, error.code)):
        by_status[error.status][error.code] = error.message
    parts = [INTRODUCTION]
    for status, sentences in by_status.items():
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n")
        parts.append("| code | sentence | answered by |\n|---|---|---|")
        parts += [
            f'| <code id="{code}">{code}</code> | {sentence} | {", ".join(answered[code])} |'
            for code, sentence in sentences.items()
        ]
        parts.append("")
    return "\n".join(parts)


def _kinds() -> list[type[TenantryError]]:
    """Every error of the tree that is answered as such."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, TenantryError)]


def _answered(spec: dict[str, Any]) -> dict[str, list[str]]:
    """The operations by the codes that they can answer, as links."""
    answered = defaultdict(list)
    for operation in operations_of(spec):
        for _, code in operation.errors:
            answered[code].append(f"[{operation.summary}]({operation.page}#{operation.id})")
    return defaultdict(
        list, {code: links for code, links in answered.items() if len(links) <= EVERYWHERE}
    )
