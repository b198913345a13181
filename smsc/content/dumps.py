r"""Octets as people write them → octets.

Two shapes are understood. *Hex*, one line for itself: ``0000003b…``, with spaces, colons,
commas, quotes, brackets, ``0x`` or ``\x`` anywhere between octets, or a Python bytes literal.
*Dumps* over several lines, each beginning with its offset: ``xxd``, ``hexdump -C``, ``od -t x1``,
Wireshark and ``tshark -x``, with or without the column of characters; also the 16-bit words of
plain ``hexdump`` and ``od -x``, taken for little-endian. A dump begins at offset 0 and ends where
the offsets do not go on.

Lines of ``xxd -p`` and ``od -A n -t x1`` have no offsets. They are put together where a line has
just their width and is no whole PDU by itself, and where those behind it complete it exactly.
Empty lines and lines after ``#`` say nothing.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

ROW = 16
"""Octets in a row of a dump whose rows do not tell by their offsets."""
WIDTHS = frozenset({16, 30})
"""Octets in a line of ``od -A n`` and of ``xxd -p``."""
MOST = 131_072
"""Octets of lines that are held until it is clear whether they belong together."""


class BadLine(Struct, frozen=True):
    """A line that is no octets."""

    reason: str


_ROW = re.compile(r"\s*([0-9a-fA-F]{4,16})(:\s*|\s{2,}|\s(?=[0-9a-fA-F]{2}(?:\s|$)))(?=\S)(.*)")
_WORDS = re.compile(r"\s*([0-9a-fA-F]{7})((?:\s+[0-9a-fA-F]{4})+)\s*")
_END = re.compile(r"\s*([0-9a-fA-F]{4,16}):?\s*")
_OCTETS = re.compile(r"(?:[ \t-]{0,2}(?:[0-9a-fA-F]{2}))")
_LITERAL = re.compile(r"""b(['"]).*\1$""")
_PREFIX = re.compile(r"(?<![0-9a-fA-F])0[xX]|\\x")
_BETWEEN = re.compile(r"[\s:;,._|<>(){}\[\]\"'-]+")


def read(lines: Iterable[str]) -> Iterator[tuple[int, bytes | BadLine]]:
    """Yield the octets of each line or dump, with the number of the line it begins at, from 1."""
    dump = _Dump()
    block = _Block()
    for number, line in enumerate(lines, 1):
        if dump.take(number, line):
            yield from block.lines
            block = _Block()
            continue
        if dump.rows:
            yield dump.begin, dump.octets()
            dump = _Dump()
            if dump.take(number, line):
                continue
        text = _without_remark(line)
        octets = _hex(text) if text else b""
        if not block.take(number, octets):
            yield from block.lines
            block = _Block()
            if not block.take(number, octets):
                if text:
                    yield number, octets
                continue
        if block.complete:
            yield block.lines[0][0], bytes(block.octets)
            block = _Block()
    if dump.rows:
        yield dump.begin, dump.octets()
    yield from block.lines


class _Block:
    """Lines without offsets that may be PDUs only together."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        self.octets = bytearray()
        self._end = 0  # of the last PDU that has begun

    @property
    def complete(self) -> bool:
        """Whether the lines so far are whole PDUs."""
        return self._end == len(self.octets)

    def take(self, number: int, octets: bytes | BadLine) -> bool:
        """Take a line that begins the block or goes on with it; say whether it did."""
        if isinstance(octets, BadLine):
            return False
        size = len(octets)
        width = len(self.lines[0][1]) if self.lines else size
        whole = len(self.octets) + size
        if width not in WIDTHS or not 0 < size <= width or whole > MOST:
            return False
        if int.from_bytes(octets[:4], "big") == size:
            return False  # a PDU by itself
        self.octets += octets
        end = self._end
        while end <= whole - 4:
            length = int.from_bytes(self.octets[end : end + 4], "big")
            if not 16 <= length <= MOST:
                break
            end += length
        if end <= whole - 4 or (size < width and end != whole):
            del self.octets[whole - size :]
            return False
        self.lines.append((number, octets))
        self._end = end
        return True


def _without_remark(line: str) -> str:
    text = line.strip()
    return text if _LITERAL.match(text) else text.partition("#")[0].strip()


def _hex(text: str) -> bytes | BadLine:
    if _LITERAL.match(text):
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
        self._last = (0, "")  # the last row that is not ``*``

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
        row = _row_of(line) if self.end is None else None
        if row is None:
            return False
        digits, text = row
        if not self.rows:
            if int(digits, 16):
                return False
            self.begin = number
            offset: int | None = 0
        else:
            offset = self._offset(digits)
        if offset is None:
            return False
        self._last = (offset, text)
        self.rows.append(self._last)
        return True

    def _offset(self, digits: str) -> int | None:
        """Return an offset that goes on from the rows so far; None if it does not."""
        last, text = self._last
        most = 1 << 24 if self.rows[-1][0] < 0 else last + 4 * ROW
        goes_on = last + len(_row(text, 4 * ROW))
        found: list[int] = []
        for base in (8, 16) if len(digits) == 7 else (16,):  # od's own are octal
            try:
                offset = int(digits, base)
            except ValueError:
                continue
            if last < offset <= most:
                found.append(offset)
        return goes_on if goes_on in found else next(iter(found), None)

    def octets(self) -> bytes | BadLine:
        """Return the dump's octets."""
        whole = bytearray()
        previous = b""
        usual = ROW  # the width of a row that no offset follows
        if len(self.rows) > 1 and self.rows[1][0] > 0:
            usual = max(ROW, self.rows[1][0])
        behind = self.end
        offsets: list[int | None] = []  # of the next row that has one, for each row
        for offset, _ in reversed(self.rows):
            offsets.append(behind)
            behind = offset if offset >= 0 else behind
        offsets.reverse()
        for place, (offset, text) in enumerate(self.rows):
            following = offsets[place]
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


def _row_of(line: str) -> tuple[str, str] | None:
    """Return a row's offset and the hex behind it, octet by octet; None for no row."""
    words = _WORDS.fullmatch(line)
    if words:
        octets = bytes.fromhex("".join(word[2:] + word[:2] for word in words[2].split()))
        return words[1], octets.hex(" ")
    row = _ROW.fullmatch(line.rstrip("\r\n"))
    if row is None or (not row[2].startswith(":") and not re.match(r"[0-9a-fA-F]{2}\b", row[3])):
        return None
    return row[1], row[3]


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
