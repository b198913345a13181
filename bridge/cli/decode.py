"""``smsbridge decode``: what is in these octets?"""

import codecs
import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bridge.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from smsc.config import Account
    from smsc.inspect import Explanation

MOST_OCTETS = 64 << 20
"""Of text in UTF-16."""
CHUNK = 1 << 16
"""Octets read at once."""
_HEADER_DIGITS = 32
"""Hex digits of the shortest PDU."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_INPUT = "input"
"""The field an error names where the input is no octets at all."""


@click.command()
@click.argument("pdus", nargs=-1, metavar="[HEX | FILE | -]…")
@click.option(
    "--port",
    "ports",
    multiple=True,
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    help="Of a capture: only connections from or to this port, SMPP or not. Default: every"
    " connection that speaks SMPP.",
)
@click.option(
    "--unmask",
    is_flag=True,
    help="Of a capture: show numbers and texts in full. Passwords never are.",
)
@click.option(
    "--account",
    metavar="NAME",
    help="Read texts by the options of this account, such as charsets and packed, as they are in"
    " force in the store. Default: by the specification.",
)
@store_options
@json_option
@click.pass_context
def decode(
    ctx: click.Context,
    /,
    *,
    pdus: tuple[str, ...],
    ports: tuple[int, ...],
    unmask: bool,
    account: str | None,
    as_json: bool,
    **_where: str | None,
) -> int:
    """Explain PDUs, every field in words; exit 1 if any is in error.

    Each is given as hex, in a file, or on standard input (`-`, or nothing): one a line, or in the
    forms of xxd, hexdump, od, tshark and Wireshark. A file may also hold raw octets, or be a
    capture (pcap, pcapng): then every PDU in its TCP connections is explained, with time and
    direction, numbers and texts masked. What the capture lacks is said.
    """
    from smsc.inspect import to_json, to_text

    if as_json and isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as JSON is, whatever the terminal's
    status = 0
    first = True
    options = _options_of(ctx, account) if account is not None else None
    captures = _Captures(ports, options, unmask=unmask)
    for explanation in _explained(pdus, captures, options):
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
    if first and not captures.read:
        raise click.UsageError("nothing to decode: give PDUs as hex, a file, or standard input")
    return 1 if captures.failed else status


def _options_of(ctx: click.Context, name: str) -> "Account":
    live = open_store(ctx).live()
    accounts = {each.name: each for each in live.accounts} if live is not None else {}
    if name not in accounts:
        raise click.UsageError(f"there is no account {name}; `smsbridge check` lists them")
    return accounts[name]


class _Captures:
    """Explains captures; says on standard error what each of them held."""

    def __init__(self, ports: tuple[int, ...], options: "Account | None", *, unmask: bool) -> None:
        self._ports = ports
        self._options = options
        self._unmask = unmask
        self.read = False
        self.failed = False
        """Whether one could not be read to its end, or had nothing to explain."""

    def explain(self, file: BufferedReader) -> Iterator["Explanation"]:
        from smsc.capture.dialogues import Dialogues
        from smsc.inspect import explain_cut, mask

        self.read = True
        dialogues = Dialogues(self._ports)
        found = False
        while data := file.read1(CHUNK):
            for cut in dialogues.feed(data):
                found = True
                explanation = explain_cut(cut, self._options)
                yield explanation if self._unmask else mask(explanation)
        for cut in dialogues.end():
            found = True
            explanation = explain_cut(cut, self._options)
            yield explanation if self._unmask else mask(explanation)
        self.failed = self.failed or not found or bool(dialogues.fault)
        sys.stdout.flush()
        click.echo(dialogues.summary() + ".", err=True)


def _explained(
    given: tuple[str, ...], captures: _Captures, options: "Account | None"
) -> Iterator["Explanation"]:
    if not given or given == ("-",):
        if sys.stdin.isatty():
            click.echo("Reading PDUs as hex, one a line; end with Ctrl-D.", err=True)
        yield from _read(cast("BufferedReader", sys.stdin.buffer), captures, options)
        return
    hexes: list[str] = []
    for word in given:
        if word == "-":
            yield from _read(cast("BufferedReader", sys.stdin.buffer), captures, options)
        elif _is_file(word):
            with Path(word).open("rb") as file:
                yield from _read(file, captures, options)
        elif "\n" not in word and ("/" in word or Path(word).suffix):
            raise click.UsageError(f"{word}: {_why_no_file(word)}")
        else:
            hexes.append(word)
    # A dump pasted without quotes comes as many short words: together they are one PDU.
    if any(len(word) < _HEADER_DIGITS for word in hexes):
        hexes = [" ".join(hexes)]
    yield from _lines([line for word in hexes for line in word.split("\n")], options)


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


def _read(
    file: BufferedReader, captures: _Captures, options: "Account | None"
) -> Iterator["Explanation"]:
    from smsc.capture.files import is_capture
    from smsc.inspect import explain

    head = file.peek(4)
    if is_capture(head):
        yield from captures.explain(file)
    elif head.startswith(_UTF16):  # what PowerShell's ">" writes
        yield from _lines(file.read(MOST_OCTETS).decode("utf-16", "replace").splitlines(), options)
    elif b"\0" in head:  # no text: the octets themselves
        yield from explain(iter(lambda: file.read1(CHUNK), b""), options)
    else:
        # Line by line, so that what is still being written (tail -f) is explained as it comes.
        lines = (line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace") for line in file)
        yield from _lines(lines, options)


def _lines(lines: Iterable[str], options: "Account | None") -> Iterator["Explanation"]:
    from msgspec.structs import replace

    from smsc.inspect import BadLine, explain, parse_input

    for number, octets in parse_input(lines):
        if isinstance(octets, BadLine):
            (nothing,) = explain(b"", line=number)
            assert nothing.error is not None
            yield replace(nothing, error=replace(nothing.error, field=_INPUT, detail=octets.reason))
        else:
            yield from explain(octets, options, line=number)


def _safe(text: str) -> str:
    """Leave no control character of a PDU's to the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "·" for char in text)
