"""Letters: every template, its own or one that overrides it, and nothing of a name but a name."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jinja2 import UndefinedError

from tenantry.mail import Letter, Template
from tenantry.tenancy.tokens import Tokens, new_nonce
from tenantry.testing import make_settings
from tenantry.worker.letters import Letters
from tests.mail import SENDER, SITE, Mail

TIME = datetime(2026, 3, 9, 14, 5, tzinfo=UTC)
# The values of each, as mail.py lists them.
VALUES: dict[Template, dict[str, Any]] = {
    Template.INVITE: {
        "organisation": "Analytical Engines",
        "inviter": "Ada",
        "role": "MEMBER",
        "nonce": "n",
        "expires_at": TIME,
    },
    Template.VERIFY_EMAIL: {"name": "Ada", "nonce": "n"},
    Template.CHANGE_EMAIL: {"name": "Ada", "nonce": "n"},
    Template.EMAIL_CHANGED: {"name": "Ada", "new_email": "countess@example.org"},
    Template.RESET_PASSWORD: {"name": "Ada", "nonce": "n", "expires_at": TIME},
    Template.PASSWORD_CHANGED: {"name": "Ada", "time": TIME, "address": "192.0.2.1"},
    Template.SESSION_REVOKED: {
        "name": "Ada",
        "device": "Firefox on Linux",
        "address": "192.0.2.1",
        "time": TIME,
    },
    Template.ACCOUNT_LOCKED: {"name": "Ada", "time": TIME, "address": "192.0.2.1"},
    Template.SECOND_FACTOR_CHANGED: {"name": "Ada", "what": "an app was added", "time": TIME},
    Template.PASSKEY_ADDED: {"name": "Ada", "passkey": "Laptop", "time": TIME},
    Template.ORGANISATION_DELETED: {
        "name": "Ada",
        "organisation": "Analytical Engines",
        "nonce": "n",
        "until": TIME,
    },
    Template.ADDRESS_TAKEN: {"name": "Ada"},
    Template.ACCOUNT_ERASED: {"name": "Ada"},
}
SETTINGS = make_settings("", smtp_url="smtp://localhost", mail_from=SENDER, public_url=f"{SITE}/")


def written(template: Template, values: dict[str, Any], **settings: Any) -> Mail:
    """The mail as it arrives, through the queue's JSON and the wire's bytes."""
    queued = msgspec.json.encode(Letter(template, "grace@example.com", values))
    letters = Letters(replace(SETTINGS, **settings))
    message = letters.write(msgspec.json.decode(queued, type=Letter), "7.1")
    return Mail(message_from_bytes(message.as_bytes(), policy=policy.default))


@pytest.mark.parametrize("template", list(Template))
def test_every_mail_says_its_values_in_text_and_html(template: Template) -> None:
    mail = written(template, VALUES[template])
    assert mail.subject
    for body in (mail.text, mail.html):
        assert "Sent by Example." in body
        assert "{" not in re.sub(r"<style>.*</style>", "", body, flags=re.DOTALL)
        for name, value in VALUES[template].items():
            if isinstance(value, datetime):
                assert "9 March 2026, 14:05 UTC" in body
            elif name == "role":
                assert "member" in body
            elif name == "new_email":
                assert "c•••@example.org" in body
                assert value not in body
            elif name == "nonce":
                token = Tokens(SETTINGS).derived(str(template.action), value)
                assert f"{SITE}/account/{template.action}#token={token}" in body
            else:
                assert value in body
    assert ("#token=" in mail.text) == (template.action is not None)


def test_a_name_is_one_line_and_no_markup() -> None:
    evil = "Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u2028\x85"
    values = {**VALUES[Template.INVITE], "inviter": evil, "organisation": "<b>&amp;"}
    mail = written(Template.INVITE, values)
    assert mail.message["Bcc"] is None
    assert mail.subject == (
        "Eve Bcc: all@example. com <script>alert(1)</script> invites you to <b>&amp;"
    )
    assert set(mail.message.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert "<script>" not in mail.html
    assert "<b>" not in mail.html
    assert "&lt;b&gt;&amp;amp;" in mail.html


def test_a_name_is_no_link_in_a_mail_to_a_stranger() -> None:
    name = "Win at https://evil.example/now or www.evil.example, J.R.R. Tolkien"
    values = {**VALUES[Template.INVITE], "inviter": name, "organisation": "evil.example"}
    mail = written(Template.INVITE, values)
    said = "Win at https: //evil. example/now or www. evil. example, J.R.R. Tolkien"
    assert mail.subject == f"{said} invites you to evil. example"
    for body in (mail.text, mail.html):
        assert said in body
        assert "evil.example" not in body
        assert f"{SITE}/account/accept-invite#token=" in body
    device = "curl/8.5.0 (http://evil.example)"
    mail = written(Template.SESSION_REVOKED, {**VALUES[Template.SESSION_REVOKED], "device": device})
    assert "curl/8.5.0 (http: //evil. example)" in mail.text
    assert "192.0.2.1" in mail.text


def test_a_message_id_is_the_jobs() -> None:
    mails = [written(Template.ADDRESS_TAKEN, {"name": "Ada"}) for _ in range(2)]
    assert [mail.message["Message-ID"] for mail in mails] == ["<7.1@example.com>"] * 2


@pytest.mark.parametrize(
    ("template", "missing"),
    [(Template.ADDRESS_TAKEN, "name"), (Template.VERIFY_EMAIL, "nonce")],
)
def test_a_missing_value_is_an_error(template: Template, missing: str) -> None:
    values = {name: value for name, value in VALUES[template].items() if name != missing}
    with pytest.raises(UndefinedError):
        written(template, values)


def test_a_template_can_be_overridden_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "address_taken.txt").write_text("Bonjour {{ name }}\n\nVous avez un compte.\n")
    mail = written(Template.ADDRESS_TAKEN, {"name": "<Ada>"}, mail_templates=tmp_path)
    assert (mail.subject, mail.text) == ("Bonjour <Ada>", "Vous avez un compte.\n")
    assert "You already have an account" in mail.html
    (tmp_path / "layout.html").write_text("<p>Maison</p>{% block content %}{% endblock %}")
    mail = written(Template.ADDRESS_TAKEN, {"name": "<Ada>"}, mail_templates=tmp_path)
    assert mail.html.startswith("<p>Maison</p>")
    assert "&lt;Ada&gt;" in mail.html


def test_a_links_token_is_its_nonces_and_purposes_own() -> None:
    tokens = Tokens(SETTINGS)
    nonce = new_nonce()
    token = tokens.derived("reset-password", nonce)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert token == tokens.derived("reset-password", nonce)
    others = {
        tokens.derived("verify-email", nonce),
        tokens.derived("reset-password", new_nonce()),
        Tokens(replace(SETTINGS, jwt_refresh_secret="x" * 40)).derived("reset-password", nonce),
    }
    assert token not in others
    assert len(others) == 3
