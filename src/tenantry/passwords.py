"""Passwords: argon2id by OWASP's parameters, in a few threads of their own."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import bcrypt
from nacl import pwhash
from nacl.exceptions import InvalidkeyError
from nacl.pwhash import argon2id
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from tenantry.errors import FieldError, Invalid
from tenantry.inputs import MAX_PASSWORD_BYTES


class Argon2id(NamedTuple):
    """libsodium's, which takes the widest instructions that the processor has: AVX2, AVX-512."""

    passes: int
    memory: int  # KiB

    def hash(self, password: str) -> str:
        known = argon2id.str(password.encode(), opslimit=self.passes, memlimit=self.memory * 1024)
        return known.decode()

    def made(self, known: str) -> bool:
        """Whether that hash is by these parameters."""
        return known.startswith(f"$argon2id$v=19$m={self.memory},t={self.passes},p=1$")


# OWASP Password Storage Cheat Sheet: m=19 MiB, t=2, p=1.
ARGON2ID = Argon2id(passes=2, memory=19 * 1024)
BCRYPT = ("$2a$", "$2b$", "$2y$")  # what such a hash begins with
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
    """Hashes and verifies; hashes brought along from elsewhere, also bcrypt's, are renewed then."""

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
        right, renewed = await self._run(_verify_and_renew, password, known or NOBODY)
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


def verify(password: str, known: str) -> bool:
    """Whether it is the password; of what is no hash by argon2id, argon2i or bcrypt, none is."""
    try:
        if known.startswith(BCRYPT):
            # bcrypt itself never saw more than 72 bytes, up to a NUL.
            seen = password.encode().partition(b"\0")[0][:72]
            return bcrypt.checkpw(seen, known.encode())
        return pwhash.verify(known.encode(), password.encode())
    except (InvalidkeyError, ValueError):
        return False


def _verify_and_renew(password: str, known: str) -> tuple[bool, str | None]:
    right = verify(password, known)
    return right, ARGON2ID.hash(password) if right and not ARGON2ID.made(known) else None
