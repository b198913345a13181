"""Statements for many rows: one a table, whatever the size of the batch.

Rows go to SQLite as one JSON array of arrays, and octets beside it as one BLOB that the rows
point into: neither is quoted, hexed or bound a row at a time. Each statement runs in one step,
so that a thread which does this gives up and re-wins Python's lock once a table, not once a row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

_encode = msgspec.json.Encoder().encode


def insert(table: str, names: str, *, octets: int = 0, verb: str = "INSERT") -> str:
    """Return the statement that inserts rows into ``table``; the last ``octets`` names are BLOBs.

    A row's array holds the plain values in order, then an offset and a length for each BLOB.
    Every word of the statement is ours: nothing here comes from outside.
    """
    plain = len(names.split(",")) - octets
    selected = [f"json_extract(value, '$[{place}]')" for place in range(plain)]
    selected += [piece(place) for place in range(plain, plain + 2 * octets, 2)]
    return f"{verb} INTO {table} ({names}) SELECT {', '.join(selected)} FROM jsonb_each(?1)"  # noqa: S608  # see above


def piece(place: int) -> str:
    """Return the expression for the BLOB whose offset is at ``place`` of a row's array."""
    return f"substr(?2, json_extract(value, '$[{place}]'), json_extract(value, '$[{place + 1}]'))"


class Octets:
    """The BLOB beside the rows, while they are being made."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 1  # substr counts from 1

    def put(self, octets: bytes) -> tuple[int, int]:
        """Add octets; return the offset and length for the row."""
        offset = self._size
        size = len(octets)
        self._size = offset + size
        self._pieces.append(octets)
        return offset, size

    def join(self) -> bytes:
        """Return all of it."""
        return b"".join(self._pieces)


def run(
    db: apsw.Connection, statement: str, rows: Sequence[Any], octets: Octets | None = None
) -> None:
    """Run a statement over rows; does nothing for none."""
    if rows:
        text = json(rows)
        db.execute(statement, (text,) if octets is None else (text, octets.join()))


def json(values: Iterable[Any]) -> str:
    """Return values as JSON text, for ``json_each``."""
    return _encode(values if type(values) is list else list(values)).decode()
