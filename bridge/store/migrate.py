"""Migrations: numbered SQL files that only ever go forward.

A store remembers each migration it has had with a checksum of its text. An engine compares that
with what this version ships (:func:`plan`) and runs what is missing, all in one transaction.
A shipped migration is never edited: a store that had another text under its number is refused.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

from msgspec import Struct

from bridge.errors import StoreUnusable


class Migration(Struct, frozen=True):
    """One step of the schema."""

    version: int
    name: str
    sql: str
    checksum: str
    """SHA-256 of :attr:`sql`, in hex."""


class AppliedMigration(Struct, frozen=True):
    """A step that a store has had."""

    version: int
    name: str
    checksum: str


def shipped(engine: str) -> list[Migration]:
    """Read the migrations of this version for an engine (``sqlite``, ``postgres``), in order."""
    folder = resources.files("bridge.store").joinpath("sql").joinpath(engine)
    found = []
    for entry in folder.iterdir():
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            sql = entry.read_text(encoding="utf-8")
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            found.append(Migration(int(number), name, sql, checksum))
    return sorted(found, key=lambda migration: migration.version)


def plan(
    applied: Sequence[AppliedMigration], available: Sequence[Migration], where: str
) -> list[Migration]:
    """Return what is still to be run. ``where`` names the store in messages.

    Raises :class:`~bridge.errors.StoreUnusable` where the store is of a newer version, or had a
    migration that differs from the one shipped under its number.
    """
    known = {migration.version: migration for migration in available}
    newest = max(known, default=0)
    for had in applied:
        if had.version > newest:
            raise StoreUnusable(
                f"{where} has schema version {had.version}, but this version of smsbridge knows"
                f" only up to {newest}: a newer smsbridge has used it; run that version or newer"
            )
        ours = known.get(had.version)
        if ours is None or ours.checksum != had.checksum:
            raise StoreUnusable(
                f"{where} had a migration {had.version:03} ({had.name}) that is not the one of"
                " this version of smsbridge: it was written by a different build"
            )
    done = {had.version for had in applied}
    return [migration for migration in available if migration.version not in done]
