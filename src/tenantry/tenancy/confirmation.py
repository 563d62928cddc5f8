"""Confirmation: the password asked once more, before what cannot be taken back."""

from tenantry.errors import PasswordWrong
from tenantry.passwords import Passwords
from tenantry.tenancy.person import Person
from tenantry.tenancy.tenant import Tenant

PASSWORD_HASH = "SELECT password_hash FROM tenantry.person($1)"


async def confirm_password(tenant: Tenant | Person, passwords: Passwords, password: str) -> None:
    """Raises `PasswordWrong`. Outside any transaction, as hashing takes its time."""
    known = await tenant.connection.fetchval(PASSWORD_HASH, tenant.user_id)
    right, _ = await passwords.verify(password, known)
    if not right:
        raise PasswordWrong
