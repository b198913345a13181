"""``smsbridge decode``: what is in these octets?"""

import codecs
import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bridge.cli.options import json_option

if TYPE_CHECKING:
    from smsc.inspect import Explanation

MOST_OCTETS = 64 << 20
"""Of raw octets."""
_HEADER_DIGITS = 32
"""Hex digits of the shortest PDU."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_INPUT = "input"
"""The field an error names where the input is no octets at all."""


@click.command()
@click.argument("pdus", nargs=-1, metavar="[HEX | FILE | -]…")
@json_option
def decode(*, pdus: tuple[str, ...], as_json: bool) -> int:
    """Explain PDUs, every field in words; exit 1 if any is in error.

    Each is given as hex, in a file, or on standard input (`-`, or nothing): one a line, or in the
    forms of xxd, hexdump, od, tshark and Wireshark; a file may also hold raw octets.
    """
    from smsc.inspect import to_json, to_text

    if as_json and isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as JSON is, whatever the terminal's
    status = 0
    first = True
    for explanation in _explained(pdus):
        if explanation.error is not None:
            status = 1
        if as_json:
            sys.stdout.write(to_json(explanation).decode() + "\n")
        else:
            lines = to_text(explanation)
            if explanation.error is not None and explanation.error.field == _INPUT:
                lines = [f"line {explanation.line}: {explanation.error.detail}"]
            sys.stdout.write(("" if first else "\n") + _safe("\n".join(lines)) + "\n")
        first = False
    if first:
        raise click.UsageError("nothing to decode: give PDUs as hex, a file, or standard input")
    return status


def _explained(given: tuple[str, ...]) -> Iterator["Explanation"]:
    if not given or given == ("-",):
        if sys.stdin.isatty():
            click.echo("Reading PDUs as hex, one a line; end with Ctrl-D.", err=True)
        yield from _read(cast("BufferedReader", sys.stdin.buffer))
        return
    hexes: list[str] = []
    for word in given:
        if word == "-":
            yield from _read(cast("BufferedReader", sys.stdin.buffer))
        elif _is_file(word):
            with Path(word).open("rb") as file:
                yield from _read(file)
        elif "\n" not in word and ("/" in word or Path(word).suffix):
            raise click.UsageError(f"{word}: {_why_no_file(word)}")
        else:
            hexes.append(word)
    # A dump pasted without quotes comes as many short words: together they are one PDU.
    if any(len(word) < _HEADER_DIGITS for word in hexes):
        hexes = [" ".join(hexes)]
    yield from _lines([line for word in hexes for line in word.split("\n")])


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file() or (not Path(word).is_dir() and Path(word).exists())
    except (OSError, ValueError):  # too long for a name: surely hex
        return False


def _why_no_file(word: str) -> str:
    try:
        return "is a directory" if Path(word).is_dir() else "no such file"
    except (OSError, ValueError):
        return "no such file"


def _read(file: BufferedReader) -> Iterator["Explanation"]:
    from smsc.inspect import explain

    head = file.peek(2)
    if head.startswith(_UTF16):  # what PowerShell's ">" writes
        yield from _lines(file.read(MOST_OCTETS).decode("utf-16", "replace").splitlines())
    elif b"\0" in head:  # no text: the octets themselves
        yield from explain(file.read(MOST_OCTETS))
    else:
        # Line by line, so that what is still being written (tail -f) is explained as it comes.
        yield from _lines(
            line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace") for line in file
        )


def _lines(lines: Iterable[str]) -> Iterator["Explanation"]:
    from msgspec.structs import replace

    from smsc.inspect import BadLine, explain, parse_input

    for number, octets in parse_input(lines):
        if isinstance(octets, BadLine):
            (nothing,) = explain(b"", line=number)
            assert nothing.error is not None
            yield replace(nothing, error=replace(nothing.error, field=_INPUT, detail=octets.reason))
        else:
            yield from explain(octets, line=number)


def _safe(text: str) -> str:
    """Leave no control character of a PDU's to the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "·" for char in text)
