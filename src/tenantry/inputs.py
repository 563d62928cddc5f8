"""What clients send: the types of input fields, and what is said of a wrong one.

An input is an `Input` struct; unknown fields are refused. Each field type carries the sentence
that a client reads where the value does not fit.
"""

from itertools import islice
from typing import Annotated, Any, get_args

import msgspec
from litestar.params import PathParameter

from tenantry.errors import FieldError

# Both patterns end in `$(?!\n)`, as `$` alone would let a line end follow in Python.
# Text for people: no control characters, at least two visible ones, spaces around it ignored.
_NAME = r"^ *[^\x00-\x20\x7f][^\x00-\x1f\x7f]*[^\x00-\x20\x7f] *$(?!\n)"
# The addresses that browsers take (HTML Living Standard, 4.10.5.1.5), with a dot in the domain.
_EMAIL = (
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$(?!\n)"
)
MAX_PASSWORD_BYTES = 1024
MOST_ERRORS = 20  # that an answer lists


def _text(example: str, wrong: str, **constraints: Any) -> msgspec.Meta:
    return msgspec.Meta(examples=[example], extra={"wrong": wrong}, **constraints)


_NAME_META = {
    "wrong": "must be 2 to 200 characters of text",
    "min_length": 2,
    "max_length": 200,
    "pattern": _NAME,
    "description": "Spaces around it are dropped.",
}
Name = Annotated[str, _text("Ada Lovelace", **_NAME_META)]
OrganisationName = Annotated[str, _text("Analytical Engines", **_NAME_META)]
RoleName = Annotated[
    str,
    _text(
        "Billing",
        **{**_NAME_META, "wrong": "must be 2 to 50 characters of text", "max_length": 50},
    ),
]
Slug = Annotated[
    str,
    _text(
        "analytical-engines",
        "must be lower-case words of letters and digits, joined by hyphens, at most 48 characters",
        min_length=2,
        max_length=48,
        pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$(?!\n)",
    ),
]
Email = Annotated[
    str,
    _text(
        "ada@example.com",
        "must be an email address",
        max_length=254,
        pattern=_EMAIL,
        description="Case does not distinguish two addresses.",
    ),
]
NewPassword = Annotated[
    str,
    _text(
        "correct horse battery staple",
        "must be at least 8 characters and at most 1,024 bytes",
        min_length=8,
        max_length=MAX_PASSWORD_BYTES,
        description="At least 8 characters (more where the server asks for more), at most "
        "1,024 bytes. Never cut short.",
    ),
]
Password = Annotated[
    str,
    _text("correct horse battery staple", "must not be empty", min_length=1, max_length=4096),
]
Token = Annotated[
    str, _text("eyJhbGciOiJIUzI1NiJ9…", "must not be empty", min_length=1, max_length=4096)
]
TotpCode = Annotated[
    str,
    _text("492039", "must be the six digits that the app shows", pattern=r"^[0-9]{6}$(?!\n)"),
]
RecoveryCode = Annotated[
    str,
    _text(
        "q7ft-2xkd-ahv4-yzne-3wlu-5bgs",
        "must be a recovery code",
        min_length=24,
        max_length=64,
        description="Case, spaces and hyphens do not matter.",
    ),
]
PasskeyName = Annotated[
    str,
    _text(
        "Ada's phone",
        "must be 1 to 100 characters of text",
        max_length=100,
        pattern=r"^[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$(?!\n)",
    ),
]
Message = Annotated[
    str,
    _text(
        "Lunch at noon?",
        "must be 1 to 4,000 characters of text",
        min_length=1,
        max_length=4000,
        pattern=r"^[^\x00]+$",
    ),
]


PlanName = Annotated[
    str, _text("PRO", "must be the name of a plan", pattern=r"^[A-Z][A-Z0-9_]{0,31}$(?!\n)")
]


# In a path, whatever is no UUID is nobody's: the handler answers as for one that it does not find.
PathId = Annotated[str, PathParameter(format="uuid")]


class Input(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The body of a request."""


def field_errors(input_type: type[msgspec.Struct], value: Any) -> tuple[FieldError, ...]:
    """Every field of the value that does not fit the input type, not just the first."""
    if not isinstance(value, dict):
        return (FieldError("", "The body must be a JSON object"),)
    errors = []
    known = {field.encode_name: field for field in msgspec.structs.fields(input_type)}
    for name, field in known.items():
        if name not in value:
            if field.required:
                errors.append(FieldError(name, f"{name} is required"))
            continue
        try:
            msgspec.convert(value[name], field.type)
        except msgspec.ValidationError as error:
            errors.append(FieldError(name, f"{name} {_wrong(field.type, error)}"))
    errors += [
        FieldError(str(name)[:100], "There is no such field in this request")
        for name in islice((name for name in value if name not in known), MOST_ERRORS)
    ]
    return tuple(errors[:MOST_ERRORS])


def _wrong(field_type: Any, error: msgspec.ValidationError) -> str:
    for part in get_args(field_type):
        for meta in (part, *get_args(part)):  # the latter where the field can be left out
            if isinstance(meta, msgspec.Meta) and meta.extra:
                return str(meta.extra["wrong"])
    text = str(error)
    return f"is wrong: {text[0].lower()}{text[1:]}"
