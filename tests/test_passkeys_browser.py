"""Passkeys in Chromium, with its virtual authenticator: what the document's types carry is what
browsers send and take.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page

from tenantry.testing import PASSWORD, registration
from tests.conftest import UNLIMITED, needs
from tests.processes import Served, serving

# A page as an application has it: everything it needs from the server is in the answers.
SCRIPT = """
async function call(method, path, body, token) {
  const headers = {"content-type": "application/json"};
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(`/api/auth${path}`, {method, headers, body: JSON.stringify(body)});
  return {status: answer.status, ...await answer.json()};
}
const made = async (options) => (await navigator.credentials.create(
  {publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)})).toJSON();
const signed = async (options) => (await navigator.credentials.get(
  {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})).toJSON();

async function add(name, password, token) {
  const {data} = await call("POST", "/passkeys/options", {password}, token);
  const credential = await made(data.passkeyOptions);
  return call("POST", "/passkeys", {name, credential}, token);
}
async function signIn(email, password) {
  const {data: {secondFactor}} = await call("POST", "/login", {email, password});
  const credential = await signed(secondFactor.passkeyOptions);
  return call("POST", "/login/second-factor", {token: secondFactor.token, credential});
}
async function signInAlone() {
  const {data} = await call("POST", "/login/passkey/options");
  const credential = await signed(data.passkeyOptions);
  return call("POST", "/login/passkey", {token: data.token, credential});
}
async function stepUp(token) {
  const {data} = await call("POST", "/second-factor/options", undefined, token);
  return call("POST", "/second-factor", {credential: await signed(data.passkeyOptions)}, token);
}
"""


@pytest.fixture
def server(runtime_url: str, tmp_path: Path) -> Iterator[Served]:
    with serving(environment={"DATABASE_URL": runtime_url, **UNLIMITED}, cwd=tmp_path) as running:
        yield running


@pytest.fixture
def app(server: Served, page: Page) -> Page:
    """A page of the server's origin."""
    url = server.url.replace("127.0.0.1", "localhost")
    page.route(
        f"{url}/app",
        lambda route: route.fulfill(
            content_type="text/html", body=f"<!doctype html><script>{SCRIPT}</script>"
        ),
    )
    page.goto(f"{url}/app")
    return page


def plug_in(page: Page, **changes: Any) -> tuple[CDPSession, str]:
    """A virtual authenticator; gives its id, too."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        **changes,
    }
    added = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return cdp, added["authenticatorId"]


def registered(page: Page) -> dict[str, Any]:
    body = registration()
    answer = page.evaluate("(body) => call('POST', '/register', body)", body)
    assert answer["status"] == 201
    return {**body, "token": answer["data"]["accessToken"]}


def is_strong(page: Page, answer: dict[str, Any]) -> bool:
    token = answer["data"]["accessToken"]
    me = page.evaluate("(token) => call('GET', '/me', undefined, token)", token)
    strong: bool = me["data"]["secondFactor"]
    return strong


ADD = "([password, token]) => add('This browser', password, token)"
SIGN_IN = "([email, password]) => signIn(email, password)"


@needs("chromium")
def test_a_browser_adds_a_passkey_and_signs_in_with_it_as_second_factor_and_alone(
    app: Page,
) -> None:
    plug_in(app)
    account = registered(app)
    added = app.evaluate(ADD, [PASSWORD, account["token"]])
    assert added["status"] == 201, added
    assert len(added["data"]["recoveryCodes"]) == 10
    for script in (SIGN_IN, "() => signInAlone()"):
        answer = app.evaluate(script, [account["email"], PASSWORD])
        assert (answer["status"], answer["message"]) == (200, "Login successful")
        assert answer["data"]["user"]["email"] == account["email"]
        assert is_strong(app, answer)
    answer = app.evaluate("(token) => stepUp(token)", account["token"])
    assert answer["status"] == 200
    (passkey,) = app.evaluate(
        "(token) => call('GET', '/passkeys', undefined, token)", account["token"]
    )["data"]
    assert passkey["userVerified"] is True
    assert passkey["transports"] == ["internal"]


@needs("chromium")
def test_a_browser_does_not_add_the_same_authenticator_twice(app: Page) -> None:
    plug_in(app)
    account = registered(app)
    assert app.evaluate(ADD, [PASSWORD, account["token"]])["status"] == 201
    refusal = app.evaluate(
        f"(given) => ({ADD})(given).catch((error) => error.name)", [PASSWORD, account["token"]]
    )
    assert refusal == "InvalidStateError"


@needs("chromium")
def test_a_plain_key_without_memory_or_pin_is_a_second_factor(app: Page) -> None:
    plug_in(
        app,
        transport="usb",
        hasResidentKey=False,
        hasUserVerification=False,
        isUserVerified=False,
    )
    account = registered(app)
    assert app.evaluate(ADD, [PASSWORD, account["token"]])["status"] == 201
    answer = app.evaluate(SIGN_IN, [account["email"], PASSWORD])
    assert answer["status"] == 200
    assert is_strong(app, answer)


@needs("chromium")
def test_a_copy_of_an_authenticator_is_found_out(app: Page) -> None:
    cdp, authenticator = plug_in(app)
    account = registered(app)
    assert app.evaluate(ADD, [PASSWORD, account["token"]])["status"] == 201
    stolen = cdp.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
    assert app.evaluate("() => signInAlone()")["status"] == 200
    assert app.evaluate("() => signInAlone()")["status"] == 200
    cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})
    cdp, copy = plug_in(app)
    cdp.send(
        "WebAuthn.addCredential",
        {"authenticatorId": copy, "credential": stolen["credentials"][0]},
    )
    answer = app.evaluate("() => signInAlone()")
    assert (answer["status"], answer["code"]) == (401, "PASSKEY_INVALID")
