"""Passwords: argon2id by OWASP's parameters, in a few threads of their own."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from tenantry.errors import FieldError, Invalid
from tenantry.inputs import MAX_PASSWORD_BYTES

# OWASP Password Storage Cheat Sheet: m=19 MiB, t=2, p=1.
ARGON2ID = Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
BCRYPT = BcryptHasher()
# Of nobody's password, by the same parameters: what an unknown address is verified against, so that
# it takes as long as a known one.
NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "eSaz/zZqBm2rFoyFgikzkA$ZBJWr/kJlt1CreqJMQsgNDeFZVpDrcLZ/wEkRQg7ia8"
)

# What is tried first: 30,000 passwords by their frequency in leaks, in lower case.
COMMON = frozenset(FREQUENCY_LISTS["passwords"])

T = TypeVar("T")


class Passwords:
    """Hashes and verifies; bcrypt hashes, brought along from elsewhere, verify and are renewed."""

    def __init__(self, minimum_length: int) -> None:
        self.minimum_length = minimum_length
        # As many threads as cores: argon2 releases the interpreter, and more would only compete.
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="password")

    def check_new(self, password: str, *personal: str, field: str = "password") -> None:
        """Raises `Invalid` for a password that may not be chosen.

        `personal` are the names and addresses that the person is known by.
        """
        if problem := self._problem(password, personal):
            raise Invalid(fields=(FieldError(field, f"{field} {problem}"),))

    def _problem(self, password: str, personal: tuple[str, ...]) -> str | None:
        if len(password) < self.minimum_length:
            return f"must be at least {self.minimum_length} characters"
        if len(password.encode()) > MAX_PASSWORD_BYTES:
            return f"must be at most {MAX_PASSWORD_BYTES:,} bytes"
        if password.casefold() in COMMON:
            return (
                "is one of the most common ones, which are guessed first; choose another, such as "
                "a few words that do not belong together"
            )
        if _bare(password) in {_bare(word) for known in personal for word in _words(known)}:
            return "must not be your own name, address or organisation; choose another"
        return None

    async def hash(self, password: str) -> str:
        return await self._run(ARGON2ID.hash, password)

    async def verify(self, password: str, known: str | None) -> tuple[bool, str | None]:
        """Whether it is the password; and a better hash of it, where the known one is outdated.

        `known` is None for nobody: never right, and as slow.
        """
        right, renewed = await self._run(_verify, password, known or NOBODY)
        return right and known is not None, renewed

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *args: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _words(known: str) -> tuple[str, ...]:
    """A name as it is; an address, and what is on both sides of its @."""
    return (known, *known.split("@"))


def _bare(text: str) -> str:
    return "".join(text.casefold().split())


def _verify(password: str, known: str) -> tuple[bool, str | None]:
    if BCRYPT.identify(known):
        # bcrypt itself never saw more than 72 bytes, up to a NUL.
        seen = password.encode().partition(b"\0")[0][:72]
        return (True, ARGON2ID.hash(password)) if BCRYPT.verify(seen, known) else (False, None)
    if not ARGON2ID.verify(password, known):
        return False, None
    return True, ARGON2ID.hash(password) if ARGON2ID.check_needs_rehash(known) else None
