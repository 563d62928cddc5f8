"""Settings: everything that can be set, read from the environment in this one file.

An absent or empty variable means its default. A malformed one is a `SettingsError` that lists
every problem at once, each with what to set.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from limits import RateLimitItem, parse

MINIMUM_SECRET_LENGTH = 32
MINIMUM_DISTINCT = 10  # characters; a random secret has far more
# What the secrets of examples and tutorials say, and no random one does.
EXAMPLE_SECRET = re.compile(
    r"change.?(me|this|in|it)|your[-_ ]|example|placeholder|secret[-_ ]key", re.IGNORECASE
)


class SettingsError(Exception):
    """The environment cannot be used; `problems` says, a sentence each, what to set."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _text(value: str) -> str:
    return value


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value) or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return read


def _duration(value: str) -> timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", value)
    if not match or int(match[1]) == 0:
        raise ValueError("a duration such as 30s, 15m, 12h or 7d")
    return timedelta(**{units[match[2]]: int(match[1])})


def _rate(value: str) -> RateLimitItem | None:
    if value == "off":
        return None
    try:
        rate = parse(value)
    except ValueError:
        rate = None
    if rate is None or rate.amount < 1:
        raise ValueError('a rate such as 100/minute, or "off"')
    return rate


def _environment(value: str) -> Literal["development", "production"]:
    if value not in ("development", "production"):
        raise ValueError("development or production")
    return value  # type: ignore[return-value]


def _url(*schemes: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.path or parts.query):
            raise ValueError(f"a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value

    return read


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(item.strip().rstrip("/") for item in value.split(",") if item.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
            raise ValueError("origins such as https://app.example.com, separated by commas")
    return origins


def _header_names(value: str) -> tuple[str, ...]:
    names = tuple(item.strip().lower() for item in value.split(",") if item.strip())
    if not all(re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name) for name in names):
        raise ValueError("names of headers such as x-api-version, separated by commas")
    if "x-session-cookie" in names:
        raise ValueError("no x-session-cookie, by which a page of another origin could sign in")
    return names


def _networks(value: str) -> tuple[str, ...]:
    networks = tuple(item.strip() for item in value.split(",") if item.strip())
    try:
        for network in networks:
            ipaddress.ip_network(network)
    except ValueError:
        raise ValueError("addresses or networks such as 10.0.0.0/8, separated by commas") from None
    return networks


def _smtp_url(value: str) -> str:
    wrong = "a URL such as smtp://user:password@mail.example.com:587 or smtps://…"
    try:
        parts = urlsplit(value)
        known = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(wrong) from None
    if not known or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(wrong)
    if bool(parts.username) != bool(parts.password):
        raise ValueError(f"{wrong}, with both a user and a password or neither")
    return value


def _sender(value: str) -> str:
    name, address = parseaddr(value)
    if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+", address, re.ASCII) or "\n" in name:
        raise ValueError("an address such as Example <no-reply@example.com>")
    return value


def _folder(value: str) -> Path:
    if not Path(value).is_dir():
        raise ValueError("a folder that is there")
    return Path(value)


def _variable(
    name: str, default: Any, read: Callable[[str], Any], about: str, *, secret: bool = False
) -> Any:
    return field(
        default=default, metadata={"name": name, "read": read, "about": about, "secret": secret}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server runs with. Each field is one environment variable."""

    app_env: Literal["development", "production"] = _variable(
        "APP_ENV",
        "development",
        _environment,
        "development makes its own secrets; production refuses to start without good ones",
    )
    port: int = _variable("PORT", 3000, _integer(0, 65535), "the port to listen on")
    workers: int = _variable("WORKERS", 1, _integer(1, 64), "how many server processes")
    public_url: str | None = _variable(
        "PUBLIC_URL", None, _url("http", "https"), "where people reach this server from outside"
    )
    database_url: str | None = _variable(
        "DATABASE_URL",
        None,
        _url("postgresql", "postgres"),
        "the PostgreSQL database (15 or newer); unset, an embedded one under TENANTRY_DATA",
        secret=True,
    )
    runtime_database_url: str | None = _variable(
        "RUNTIME_DATABASE_URL",
        None,
        _url("postgresql", "postgres"),
        "for `tenantry work`, where features have jobs: the database as a role in tenantry_runtime",
        secret=True,
    )
    redis_url: str | None = _variable(
        "REDIS_URL",
        None,
        _url("redis", "rediss", "redis+unix"),
        "Redis or Valkey, to share rate limits and wake-ups between processes and nodes",
        secret=True,
    )
    smtp_url: str | None = _variable(
        "SMTP_URL",
        None,
        _smtp_url,
        "the server that mail leaves by, as smtp://user:password@host:587 or smtps://…",
        secret=True,
    )
    mail_from: str | None = _variable(
        "MAIL_FROM", None, _sender, "who mail is from, as Example <no-reply@example.com>"
    )
    mail_templates: Path | None = _variable(
        "MAIL_TEMPLATES", None, _folder, "a folder with mail templates in place of Tenantry's own"
    )
    data: Path = _variable(
        "TENANTRY_DATA",
        Path(".tenantry"),
        Path,
        "the folder of the embedded database, the development secrets and mailbox",
    )
    jwt_access_secret: str = _variable(
        "JWT_ACCESS_SECRET",
        "",
        _text,
        "signs access tokens; 32 characters or more, as from: openssl rand -base64 48",
        secret=True,
    )
    jwt_refresh_secret: str = _variable(
        "JWT_REFRESH_SECRET",
        "",
        _text,
        "signs refresh tokens; 32 characters or more, and another than the access secret",
        secret=True,
    )
    jwt_access_expires_in: timedelta = _variable(
        "JWT_ACCESS_EXPIRES_IN", timedelta(minutes=15), _duration, "how long an access token holds"
    )
    jwt_refresh_expires_in: timedelta = _variable(
        "JWT_REFRESH_EXPIRES_IN",
        timedelta(days=7),
        _duration,
        "how long a session holds without being used",
    )
    session_expires_in: timedelta = _variable(
        "SESSION_EXPIRES_IN",
        timedelta(days=90),
        _duration,
        "how long a session holds at the most, however much it is used",
    )
    password_min_length: int = _variable(
        "PASSWORD_MIN_LENGTH", 8, _integer(8, 128), "the fewest characters of a new password"
    )
    rate_limit_global: RateLimitItem | None = _variable(
        "RATE_LIMIT_GLOBAL", parse("100/minute"), _rate, "requests of one client; off lifts it"
    )
    rate_limit_auth: RateLimitItem | None = _variable(
        "RATE_LIMIT_AUTH",
        parse("10/minute"),
        _rate,
        "requests of one client under /api/auth; off lifts it",
    )
    connections_per_user: int = _variable(
        "CONNECTIONS_PER_USER",
        1_000,
        _integer(1, 1_000_000),
        "event streams that one member may have open on one process",
    )
    connections_per_organisation: int = _variable(
        "CONNECTIONS_PER_ORGANISATION",
        10_000,
        _integer(1, 1_000_000),
        "event streams that one organisation may have open on one process",
    )
    messages_per_second: int = _variable(
        "MESSAGES_PER_SECOND",
        100,
        _integer(1, 1_000_000),
        "messages that a client may send on one WebSocket in a second",
    )
    replay_limit: int = _variable(
        "REPLAY_LIMIT",
        10_000,
        _integer(0, 1_000_000),
        "missed events that a client is sent; one that missed more is told to RESYNC",
    )
    plans: Path | None = _variable(
        "TENANTRY_PLANS",
        None,
        Path,
        "a file with plans of your own; see tenantry/tenancy/plans.toml for its form",
    )
    trusted_proxies: tuple[str, ...] = _variable(
        "TRUSTED_PROXIES",
        (),
        _networks,
        "proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, separated by commas",
    )
    cors_origins: tuple[str, ...] = _variable(
        "CORS_ORIGINS",
        (),
        _origins,
        "web origins that may call the API from a browser, separated by commas",
    )
    cors_allowed_headers: tuple[str, ...] = _variable(
        "CORS_ALLOWED_HEADERS",
        (),
        _header_names,
        "further request headers that pages of CORS_ORIGINS may send, separated by commas",
    )

    @property
    def production(self) -> bool:
        return self.app_env == "production"


# Read by compose.yaml and the PostgreSQL image, not by the server.
COMPOSE_VARIABLES = {
    "POSTGRES_USER": "the database's owner, in compose.yaml",
    "POSTGRES_PASSWORD": "the owner's password, in compose.yaml",
    "POSTGRES_DB": "the database's name, in compose.yaml",
}


def variables() -> tuple[Field[Any], ...]:
    """The settings' fields; `metadata` holds the variable's name and what it is about."""
    return fields(Settings)


def load(environment: Mapping[str, str], **overrides: object) -> Settings:
    """Read the settings; `overrides` (the command line's) win over the environment.

    Raises:
        SettingsError: a value is malformed.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    known = {item.metadata["name"] for item in variables()}
    problems += [
        f"{name} is no setting of Tenantry; see .env.example for those that there are."
        for name in environment
        if name.startswith("TENANTRY_") and name not in known
    ]
    for item in variables():
        assert item.default is not MISSING
        raw = environment.get(item.metadata["name"], "").strip()
        if not raw:
            continue
        try:
            values[item.name] = item.metadata["read"](raw)
        except ValueError as error:
            shown = "" if item.metadata["secret"] else f", not {raw!r}"
            problems.append(f"{item.metadata['name']} must be {error}{shown}.")
    values.update({name: value for name, value in overrides.items() if value is not None})
    if values.get("smtp_url"):
        problems += [
            f"{name} is not set, and mail by SMTP_URL needs it: {why}."
            for field_name, name, why in (
                ("mail_from", "MAIL_FROM", "who it is from, as Example <no-reply@example.com>"),
                ("public_url", "PUBLIC_URL", "where its links lead, as https://example.com"),
            )
            if not environment.get(name, "").strip() and field_name not in values
        ]
    if problems:
        raise SettingsError(problems)
    return Settings(**values)


def require_secrets(settings: Settings) -> None:
    """Refuse to run on secrets that somebody else could know.

    Raises:
        SettingsError: a secret is missing, short, an example, or used twice.
    """
    hint = 'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
    problems = []
    for name, secret in (
        ("JWT_ACCESS_SECRET", settings.jwt_access_secret),
        ("JWT_REFRESH_SECRET", settings.jwt_refresh_secret),
    ):
        if not secret:
            problems.append(f"{name} is not set; {hint}")
        elif len(secret) < MINIMUM_SECRET_LENGTH:
            problems.append(f"{name} is shorter than {MINIMUM_SECRET_LENGTH} characters; {hint}")
        elif EXAMPLE_SECRET.search(secret) or len(set(secret)) < MINIMUM_DISTINCT:
            problems.append(f"{name} is still an example's; {hint}")
    if not problems and settings.jwt_access_secret == settings.jwt_refresh_secret:
        problems.append(
            "JWT_REFRESH_SECRET is the same as JWT_ACCESS_SECRET; they must differ, "
            "or one kind of token would pass for the other."
        )
    if problems:
        raise SettingsError(problems)
