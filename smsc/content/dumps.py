r"""Octets as people write them → octets.

Two shapes are understood. *Hex*, one line for itself: ``0000003b…``, with spaces, colons,
commas, quotes, brackets, ``0x`` or ``\x`` anywhere between octets, or a Python bytes literal.
*Dumps* over several lines, each beginning with its offset: ``xxd``, ``hexdump -C``, ``od -t x1``,
Wireshark and ``tshark -x``, with or without the column of characters. A dump begins at offset 0
and ends where the offsets do not go on. Empty lines and lines after ``#`` say nothing.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

ROW = 16
"""Octets in a row of a dump whose rows do not tell by their offsets."""


class BadLine(Struct, frozen=True):
    """A line that is no octets."""

    reason: str


_ROW = re.compile(r"\s*([0-9a-fA-F]{4,16})(:\s*|\s{2,}|\s(?=[0-9a-fA-F]{2}(?:\s|$)))(?=\S)(.*)")
_END = re.compile(r"\s*([0-9a-fA-F]{4,16}):?\s*")
_OCTETS = re.compile(r"(?:[ \t-]{0,2}(?:[0-9a-fA-F]{2}))")
_PREFIX = re.compile(r"(?<![0-9a-fA-F])0[xX]|\\x")
_BETWEEN = re.compile(r"[\s:;,._|<>(){}\[\]\"'-]+")


def read(lines: Iterable[str]) -> Iterator[tuple[int, bytes | BadLine]]:
    """Yield the octets of each line or dump, with the number of the line it begins at, from 1."""
    dump = _Dump()
    for number, line in enumerate(lines, 1):
        if dump.take(number, line):
            continue
        if dump.rows:
            yield dump.begin, dump.octets()
            dump = _Dump()
            if dump.take(number, line):
                continue
        text = line.partition("#")[0].strip()
        if text:
            yield number, _hex(text)
    if dump.rows:
        yield dump.begin, dump.octets()


def _hex(text: str) -> bytes | BadLine:
    if re.match(r"""b(['"]).*\1$""", text):
        try:
            literal = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return BadLine("a bytes literal that Python does not read")
        return literal if isinstance(literal, bytes) else BadLine("no bytes literal")
    if _PREFIX.search(text):
        words = _BETWEEN.sub(" ", _PREFIX.sub(" ", text)).split()
        digits = "".join("0" + word if len(word) == 1 else word for word in words)
    else:
        digits = _BETWEEN.sub("", text)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        strange = re.search(r"[^0-9a-fA-F]", digits)
        if strange:
            return BadLine(f"{strange[0]!r} is no hex digit")
        return BadLine(f"an odd number of hex digits ({len(digits)})")


class _Dump:
    """The rows of one dump, as far as they go on from each other."""

    def __init__(self) -> None:
        self.begin = 0
        self.rows: list[tuple[int, str]] = []
        """Offset and what stands behind it; ``*`` for rows like the one before."""
        self.end: int | None = None
        """The total, where a last line gives it."""

    def take(self, number: int, line: str) -> bool:
        """Take a line that belongs to the dump, or begins it; say whether it did."""
        if self.rows and self.end is None:
            if line.strip() == "*":
                self.rows.append((-1, "*"))
                return True
            end = _END.fullmatch(line)
            if end and self._offset(end[1]) is not None:
                self.end = self._offset(end[1])
                return True
        row = _ROW.fullmatch(line.rstrip("\r\n")) if self.end is None else None
        if row is None or (
            not row[2].startswith(":") and not re.match(r"[0-9a-fA-F]{2}\b", row[3])
        ):
            return False
        if not self.rows:
            if int(row[1], 16):
                return False
            self.begin = number
            self.rows.append((0, row[3]))
            return True
        offset = self._offset(row[1])
        if offset is None:
            return False
        self.rows.append((offset, row[3]))
        return True

    def _offset(self, digits: str) -> int | None:
        """Return an offset that goes on from the rows so far; None if it does not."""
        last = max(offset for offset, _ in self.rows)
        most = 1 << 24 if self.rows[-1][0] < 0 else last + 4 * ROW
        for base in (8, 16) if len(digits) == 7 else (16,):  # od's own are octal
            try:
                offset = int(digits, base)
            except ValueError:
                continue
            if last < offset <= most:
                return offset
        return None

    def octets(self) -> bytes | BadLine:
        """Return the dump's octets."""
        whole = bytearray()
        previous = b""
        usual = ROW  # the width of a row that no offset follows
        if len(self.rows) > 1 and self.rows[1][0] > 0:
            usual = max(ROW, self.rows[1][0])
        for place, (offset, text) in enumerate(self.rows):
            following = next((o for o, _ in self.rows[place + 1 :] if o >= 0), self.end)
            if text == "*" and offset < 0:
                while previous and following is not None and len(whole) < following:
                    whole += previous[: following - len(whole)]
                continue
            if offset != len(whole):
                return BadLine(f"the dump's offset {offset:x} does not follow from its rows")
            repeated = place + 1 < len(self.rows) and self.rows[place + 1][0] < 0
            width = usual if following is None or repeated else following - offset
            previous = _row(text, width)
            whole += previous
        if self.end is not None and self.end != len(whole):
            return BadLine(f"the dump says it has {self.end} octets, and has {len(whole)}")
        return bytes(whole)


def _row(text: str, width: int) -> bytes:
    """Return a row's octets: at most ``width``, for what follows may look like hex too."""
    octets = bytearray()
    at = 0
    while len(octets) < width:
        match = _OCTETS.match(text, at)
        if match is None:
            break
        octets.append(int(match[0].strip(" \t-"), 16))
        at = match.end()
    return bytes(octets)
