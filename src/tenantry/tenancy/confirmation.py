"""Confirmation: the password asked once more, of somebody who is signed in."""

from typing import NamedTuple

from tenantry.attempts import Attempts, Guess
from tenantry.errors import PasswordWrong, TokenInvalid
from tenantry.passwords import Passwords
from tenantry.tenancy.person import Person
from tenantry.tenancy.tenant import Tenant

PERSON = """
SELECT name, email, password_hash,
       ARRAY(SELECT organisation_name FROM tenantry.memberships_of($1)) AS organisations
  FROM tenantry.person($1)
"""


class Confirmed(NamedTuple):
    """Who it is; `known_as` is what no password may be."""

    name: str
    email: str
    password_hash: str
    known_as: tuple[str, ...]


async def confirm_password(
    who: Tenant | Person, attempts: Attempts, passwords: Passwords, password: str
) -> Confirmed:
    """Outside any transaction: hashing takes its time, and a wrong one stays counted.

    Raises:
        PasswordWrong, TooManyAuthAttempts
    """
    found = await who.connection.fetchrow(PERSON, who.user_id)
    if found is None or found["email"] is None:
        raise TokenInvalid
    await attempts.count(who.connection, Guess.PASSWORD, found["email"])
    right, _ = await passwords.verify(password, found["password_hash"])
    if not right:
        raise PasswordWrong
    await attempts.succeeded(who.connection, Guess.PASSWORD, found["email"])
    known_as = (found["name"], found["email"], *found["organisations"])
    return Confirmed(found["name"], found["email"], found["password_hash"], known_as)
