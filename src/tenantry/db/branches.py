"""Which revisions the code has, the core's and each feature's, and where a database stands.

A migration is a file NNNN_subject.py. Its revision is NNNN in the core's branch and name_NNNN in
a feature's, so a row of alembic_version says whose it is, also when that feature is gone. All of
it is read from the files' names: a start imports neither Alembic nor a migration.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

CORE = "core"
VERSIONS = Path(__file__).parent / "migrations" / "versions"

# The folder of migrations of each feature, by the feature's name.
Folders = Mapping[str, Path]
NO_FEATURES: Folders = MappingProxyType({})

# alembic_version holds 32 characters: the name and _NNNN.
NAME = re.compile(r"[a-z][a-z0-9_]{0,26}")
FILE = re.compile(r"(\d{4})_\w+\.py")


class SchemaError(Exception):
    """The database cannot be served as it is; the message says what to do."""


class Standing(NamedTuple):
    """By branch: the revision that the database is at, and the one that is needed.

    `left` are the revisions of features that are not installed; their tables are still there.
    """

    at: dict[str, str]
    needed: dict[str, str]
    left: list[str]

    @property
    def behind(self) -> list[str]:
        """The branches of which something has not been run."""
        return [name for name, head in self.needed.items() if self.at.get(name, "") < head]

    @property
    def newer(self) -> list[str]:
        """The branches of which something has been run that this version does not have."""
        return [name for name, head in self.needed.items() if self.at.get(name, "") > head]


def revisions(name: str, folder: Path) -> dict[str, Path]:
    """The files of a branch by their revisions, oldest first.

    Raises:
        SchemaError: the folder holds no history.
    """
    if not NAME.fullmatch(name) or (name == CORE) != (folder == VERSIONS):
        raise SchemaError(
            f"{name!r} cannot be a feature's name: use at most 27 of a-z, 0-9 and _, with a letter "
            f"first, and not {CORE!r}."
        )
    files = [file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]
    if not files:
        raise SchemaError(
            f"The migrations of {name} are missing: there is no NNNN_subject.py in {folder}. "
            "If the feature was installed from a wheel, see that the wheel contains them."
        )
    found: dict[str, Path] = {}
    for file in files:
        match = FILE.fullmatch(file.name)
        if match is None:
            raise SchemaError(
                f"{file} is not called NNNN_subject.py, so nobody knows when to run it. Rename it, "
                "or let its name begin with _ if it is no migration."
            )
        revision = match[1] if name == CORE else f"{name}_{match[1]}"
        if revision in found:
            raise SchemaError(
                f"{name} has two heads: {found[revision].name} and {file.name} have the same "
                "number. Give the one that was not released yet the next number, and the other's "
                "revision as its down_revision."
            )
        found[revision] = file
    return found


def heads(features: Folders = NO_FEATURES) -> dict[str, str]:
    """The newest revision of each branch, the core's first. Raises `SchemaError`."""
    return {CORE: HEAD} | {name: max(revisions(name, features[name])) for name in sorted(features)}


def branch_of(revision: str) -> str:
    return revision.rpartition("_")[0] or CORE


def standing(found: Iterable[str], needed: Mapping[str, str]) -> Standing:
    """Where a database with these rows of alembic_version stands."""
    rows = {branch_of(revision): revision for revision in sorted(found)}
    return Standing(
        at={name: revision for name, revision in rows.items() if name in needed},
        needed=dict(needed),
        left=[revision for name, revision in rows.items() if name not in needed],
    )


HEAD = max(revisions(CORE, VERSIONS))
