"""Passwords: argon2id by OWASP's parameters, in a few threads of their own."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from tenantry.errors import FieldError, Invalid
from tenantry.inputs import MAX_PASSWORD_BYTES

# OWASP Password Storage Cheat Sheet: m=19 MiB, t=2, p=1.
ARGON2ID = Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
BCRYPT = BcryptHasher()

T = TypeVar("T")


class Passwords:
    """Hashes and verifies; bcrypt hashes, brought along from elsewhere, verify and are renewed."""

    def __init__(self, minimum_length: int) -> None:
        self.minimum_length = minimum_length
        # As many threads as cores: argon2 releases the interpreter, and more would only compete.
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="password")
        # What an unknown address is verified against, so that it takes as long as a known one.
        self._nobody = ARGON2ID.hash("nobody's password")

    def check_new(self, password: str) -> None:
        """Raises `Invalid` for a password that may not be chosen."""
        if len(password) < self.minimum_length:
            problem = f"password must be at least {self.minimum_length} characters"
        elif len(password.encode()) > MAX_PASSWORD_BYTES:
            problem = f"password must be at most {MAX_PASSWORD_BYTES:,} bytes"
        else:
            return
        raise Invalid(fields=(FieldError("password", problem),))

    async def hash(self, password: str) -> str:
        return await self._run(ARGON2ID.hash, password)

    async def verify(self, password: str, known: str | None) -> tuple[bool, str | None]:
        """Whether it is the password; and a better hash of it, where the known one is outdated.

        `known` is None for nobody: never right, and as slow.
        """
        right, renewed = await self._run(_verify, password, known or self._nobody)
        return right and known is not None, renewed

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *args: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _verify(password: str, known: str) -> tuple[bool, str | None]:
    if BCRYPT.identify(known):
        # bcrypt itself never saw more than 72 bytes, up to a NUL.
        seen = password.encode().partition(b"\0")[0][:72]
        return (True, ARGON2ID.hash(password)) if BCRYPT.verify(seen, known) else (False, None)
    if not ARGON2ID.verify(password, known):
        return False, None
    return True, ARGON2ID.hash(password) if ARGON2ID.check_needs_rehash(known) else None
