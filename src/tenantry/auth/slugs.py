"""Slugs: an organisation's name as it can stand in an address."""

import secrets

from slugify import slugify

MAX_LENGTH = 48


def slug_of(name: str) -> str:
    """Lower-case ASCII words joined by hyphens; `organisation` where the name has none."""
    return slugify(name, max_length=MAX_LENGTH, word_boundary=True) or "organisation"


def with_suffix(slug: str) -> str:
    """For a slug that is taken: the same with six random characters."""
    return f"{slug}-{secrets.token_hex(3)}"
