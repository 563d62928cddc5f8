"""Settings: read from the environment, refused with sentences that say what to set."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from limits import parse

from tenantry.settings import (
    COMPOSE_VARIABLES,
    Settings,
    SettingsError,
    load,
    require_secrets,
    variables,
)

ROOT = Path(__file__).parent.parent
GOOD = {
    "jwt_access_secret": "b3rmLNCkGNS5UZ1fBpX0xHh8mZC3Yq",
    "jwt_refresh_secret": "4FrYkRiPmgE8r9nkzmVHWtrS1AxDcc",
}
GOOD = {name: value + "w7Jd" for name, value in GOOD.items()}


def test_every_variable_is_in_the_example_and_nothing_else() -> None:
    example = (ROOT / ".env.example").read_text()
    listed = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, flags=re.MULTILINE)
    known = [field.metadata["name"] for field in variables()] + list(COMPOSE_VARIABLES)
    assert sorted(listed) == sorted(known)


def test_the_example_says_what_each_is_about_and_its_default() -> None:
    example = (ROOT / ".env.example").read_text()
    for field in variables():
        assert f"# {field.metadata['about']}\n" in example, field.metadata["name"]
    set_there = dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", example, flags=re.MULTILINE))
    values = {name: set_there[name] for name in set_there if name not in COMPOSE_VARIABLES}
    assert load(values) == Settings()


def test_the_readme_has_every_variable_with_its_default() -> None:
    table = (ROOT / "README.md").read_text()
    stated = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]+)`)?", table, flags=re.MULTILINE))
    names = {field.metadata["name"] for field in variables()}
    assert set(stated) == names
    assert load({name: value for name, value in stated.items() if value}) == Settings()


def test_reads_what_is_set() -> None:
    settings = load(
        {
            "PORT": "8080",
            "JWT_ACCESS_EXPIRES_IN": "90s",
            "JWT_REFRESH_EXPIRES_IN": "30d",
            "RATE_LIMIT_GLOBAL": "off",
            "RATE_LIMIT_AUTH": "5/second",
            "TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1",
            "CORS_ORIGINS": "https://app.example.com, http://localhost:5173/",
            "TENANTRY_DATA": "/var/lib/tenantry",
            "WORKERS": "",
        }
    )
    assert settings == replace(
        Settings(),
        port=8080,
        jwt_access_expires_in=timedelta(seconds=90),
        jwt_refresh_expires_in=timedelta(days=30),
        rate_limit_global=None,
        rate_limit_auth=parse("5/second"),
        trusted_proxies=("10.0.0.0/8", "192.0.2.1"),
        cors_origins=("https://app.example.com", "http://localhost:5173"),
        data=Path("/var/lib/tenantry"),
    )


def test_the_command_line_wins() -> None:
    assert load({"PORT": "1"}, port=2, workers=None).port == 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT must be a whole number from 0 to 65535, not 'http'."),
        ("PORT", "65536", "PORT must be a whole number"),
        ("PORT", "-1", "PORT must be a whole number"),
        ("WORKERS", "0", "WORKERS must be a whole number from 1 to 64"),
        ("APP_ENV", "staging", "APP_ENV must be development or production, not 'staging'."),
        ("JWT_ACCESS_EXPIRES_IN", "15", "a duration such as 30s, 15m, 12h or 7d"),
        ("JWT_ACCESS_EXPIRES_IN", "0m", "a duration"),
        ("RATE_LIMIT_AUTH", "0/minute", 'a rate such as 100/minute, or "off"'),
        ("RATE_LIMIT_AUTH", "ten", 'a rate such as 100/minute, or "off"'),
        ("PASSWORD_MIN_LENGTH", "4", "a whole number from 8 to 128"),
        ("PUBLIC_URL", "example.com", "a URL that begins with http:// or https://"),
        ("REDIS_URL", "localhost:6379", "a URL that begins with redis://"),
        ("TRUSTED_PROXIES", "proxy", "addresses or networks such as 10.0.0.0/8"),
        ("CORS_ORIGINS", "*", "origins such as https://app.example.com"),
        ("CORS_ORIGINS", "https://a.example/path", "origins such as"),
        ("CORS_ALLOWED_HEADERS", "x api", "names of headers such as x-api-version"),
        ("CORS_ALLOWED_HEADERS", "X-Session-Cookie", "no x-session-cookie"),
        ("SMTP_URL", "mail.example.com", "SMTP_URL must be a URL such as smtp://user:password@"),
        ("SMTP_URL", "smtp://host:port", "SMTP_URL must be a URL such as"),
        ("SMTP_URL", "smtp://user@host", "with both a user and a password or neither"),
        ("MAIL_FROM", "Example", "an address such as Example <no-reply@example.com>"),
        ("MAIL_TEMPLATES", "/not/there", "MAIL_TEMPLATES must be a folder that is there"),
        ("TENANTRY_DATE", "x", "TENANTRY_DATE is no setting of Tenantry"),
    ],
)
def test_a_malformed_value_is_a_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({name: value})
    assert sentence in error.value.problems[0]


def test_all_problems_are_said_at_once_and_no_secret_is_shown() -> None:
    with pytest.raises(SettingsError) as error:
        load({"PORT": "x", "WORKERS": "x", "DATABASE_URL": "mysql://root:hunter2@host/db"})
    assert len(error.value.problems) == 3
    assert "hunter2" not in str(error.value)


def test_mail_needs_a_sender_and_an_address_for_its_links() -> None:
    with pytest.raises(SettingsError) as error:
        load({"SMTP_URL": "smtp://localhost:1025"})
    assert [problem.split()[0] for problem in error.value.problems] == ["MAIL_FROM", "PUBLIC_URL"]
    whole = {
        "SMTP_URL": "smtps://user:pass%40word@mail.example.com",
        "MAIL_FROM": "Example <no-reply@example.com>",
        "PUBLIC_URL": "https://example.com",
    }
    assert load(whole).mail_from == whole["MAIL_FROM"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"jwt_access_secret": ""}, "JWT_ACCESS_SECRET is not set"),
        ({"jwt_refresh_secret": ""}, "JWT_REFRESH_SECRET is not set"),
        ({"jwt_access_secret": "short"}, "shorter than 32 characters"),
        ({"jwt_access_secret": "change-me" + "x" * 40}, "is still an example's"),
        ({"jwt_access_secret": "a" * 40}, "is still an example's"),
        ({"jwt_access_secret": "your-super-secret-jwt-key-for-development"}, "an example's"),
        ({"jwt_refresh_secret": GOOD["jwt_access_secret"]}, "is the same as JWT_ACCESS_SECRET"),
    ],
)
def test_secrets_that_others_could_know_are_refused(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        require_secrets(load({}, **{**GOOD, **changes}))
    assert sentence in str(error.value)
