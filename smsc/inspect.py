"""Any octets → an explanation for people, or for programs: what ``smsbridge decode`` prints.

What is explained here is what a link would make of the same octets: framing, codec and
interpretation are the very ones. Nothing is masked, for whoever asks has typed the octets in,
unless :func:`mask` is asked to: of a capture or a recording most is other people's.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, structs

from smsc.capture.dialogues import Cut
from smsc.capture.packets import Place
from smsc.config import Account, Listener
from smsc.content import dumps, interpret, masking, meanings, receipt
from smsc.content.dumps import BadLine
from smsc.message import Address, Arrival, Concat, Fragment, Part, Receipt, Unreadable
from smsc.text import charset, udh
from smsc.wire.errors import WireError
from smsc.wire.framing import Framer
from smsc.wire.pdu import HEADER_SIZE, Pdu, Undecodable, decode, named
from smsc.wire.spec import (
    ARRIVALS,
    BODIES,
    COMMAND_NAMES,
    RESPONSE_BIT,
    STATUS_NAMES,
    Status,
)

__all__ = [
    "BadLine", "Explanation", "Seen", "explain", "explain_cut", "explain_seen", "mask",
    "parse_input", "status_name", "to_json", "to_line",
    "to_text",
]  # fmt: skip

_ANYBODY = Account(name="decode", system_id="decode")
_TELLING = 8
"""Octets shown of what is no PDU: they would be its length and its command."""


class Seen(Struct, frozen=True):
    """When and where a PDU went over the wire."""

    at: int
    """Microseconds since the epoch."""
    source: str
    """``address:port``."""
    target: str
    stream: int = 0
    """Number of its connection in a capture, from 1; 0 where there is only one."""
    lost: int = 0
    """Octets between it and the PDU before that are missing, or are no PDU."""


class Explanation(Struct, frozen=True):
    """One PDU, or the octets that are none, and all that can be said of them."""

    line: int
    """The line of the input it was found in, from 1; 0: there are no lines."""
    octets: bytes
    """The PDU, or what is left where it has no end."""
    error: WireError | None
    """What is wrong with it; None where a link would have taken it."""
    pdu: Pdu | None = None
    undecodable: Undecodable | None = None
    arrival: Arrival | None = None
    """What it brings, where it is a PDU that can bring something."""
    time_zone: str = "UTC"
    """Zone of the dates in a receipt."""
    seen: Seen | None = None
    """Where it was seen, if it comes from a capture or a link."""
    masked: bool = False
    """Whether :func:`mask` has been here."""


def parse_input(lines: Iterable[str]) -> Iterator[tuple[int, bytes | BadLine]]:
    """Yield the octets written in lines of hex or dumps, each with its line's number from 1.

    See :mod:`smsc.content.dumps` for what is understood; what is not comes as a
    :class:`~smsc.content.dumps.BadLine` with its reason.
    """
    return dumps.read(lines)


def explain(
    octets: bytes | Iterable[bytes], account: Account | None = None, *, line: int = 1
) -> Iterator[Explanation]:
    """Explain all PDUs in ``octets``, which may be several, in order; never raises.

    ``octets`` may come in pieces: at most one and what it completes are held. The last
    explanation has an error where octets are missing (``incomplete``) or framing is lost
    (``close``): nothing after that can be read. ``account`` gives the options to interpret by;
    none of its own by default.
    """
    account = account or _ANYBODY
    framer = Framer(limit=Listener().pdu_limit)
    found = False
    pending = b""
    for piece in (octets,) if isinstance(octets, bytes) else octets:
        frames = framer.feed(piece)
        rest = pending + piece if not frames else piece
        if frames:
            rest = (pending + piece)[sum(map(len, frames)) :]
        pending = rest
        for frame in frames:
            found = True
            yield _frame(frame, account, line)
        if framer.lost is not None:
            yield Explanation(line, pending, framer.lost)
            return
    if pending or not found:
        yield Explanation(line, pending, _incomplete(pending))


def explain_cut(cut: Cut, account: Account | None = None) -> Explanation:
    """Explain what was cut out of a capture."""
    seen = Seen(cut.at, _written(cut.source), _written(cut.target), cut.stream, cut.lost)
    if cut.error is not None:
        return Explanation(1, cut.octets, cut.error, seen=seen)
    return explain_seen(cut.octets, seen, account)


def explain_seen(frame: bytes, seen: Seen, account: Account | None = None) -> Explanation:
    """Explain one whole PDU that was seen on the wire. A password in it shows as asterisks."""
    bare = masking.without_password(frame)
    return structs.replace(_frame(bare, account or _ANYBODY, 1), seen=seen)


def status_name(status: int) -> str:
    """Return the name of a command_status, or its number where it has none."""
    return STATUS_NAMES.get(status, f"{status:08x}")


def _written(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def mask(explanation: Explanation) -> Explanation:
    """Return an explanation that shows no number and text in full, and no password.

    What is shown of a PDU is listed in :mod:`smsc.content.masking`.
    """
    octets = explanation.octets
    pdu: Pdu | None = None
    undecodable = explanation.undecodable
    known = explanation.pdu or undecodable
    if known is None:
        octets = octets[:_TELLING] + b"*" * (len(octets) - _TELLING)
    else:
        octets = masking.masked(octets, known)
        again = decode(octets)
        if isinstance(again, Pdu):
            pdu = again
        # Masked, it may be unreadable for another reason, or for none.
        fields = again.fields if isinstance(again, Undecodable) else {}
        if undecodable is not None:
            rest = undecodable.undecoded
            undecodable = structs.replace(
                undecodable, frame=octets, fields=fields, undecoded=b"*" * len(rest)
            )
    return structs.replace(
        explanation,
        octets=octets,
        pdu=pdu if explanation.pdu is not None else None,
        undecodable=undecodable,
        masked=True,
    )


def _frame(frame: bytes, account: Account, line: int) -> Explanation:
    pdu = decode(frame)
    arrival: Arrival | None = None
    if isinstance(pdu, Undecodable):
        if pdu.command_id in ARRIVALS and account.unreadable == "accept":
            arrival = interpret.unreadable(pdu, account, link="", place=0, received_at=0)
        return Explanation(line, frame, pdu.error, None, pdu, arrival, account.time_zone)
    if pdu.command_id in ARRIVALS:
        arrival = interpret.interpret(pdu, frame, account, link="", place=0, received_at=0)
    return Explanation(line, frame, None, pdu, None, arrival, account.time_zone)


def _incomplete(rest: bytes) -> WireError:
    if len(rest) < HEADER_SIZE:
        detail = f"a header has {HEADER_SIZE} octets, here are {len(rest)}"
    else:
        length = int.from_bytes(rest[:4], "big")
        detail = f"command_length {length} > {len(rest)} octets available"
    return WireError("incomplete", Status.ESME_RINVCMDLEN, "command_length", 0, detail)


# For programs


def to_json(explanation: Explanation) -> bytes:
    """Return an explanation as one line of JSON, without the line's end."""
    return msgspec.json.encode(as_dict(explanation))


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as what its JSON holds."""
    length, command_id, status, sequence = _header(explanation.octets)
    whole: dict[str, Any] = {
        "input": explanation.line,
        **_seen(explanation.seen),
        "command": None if command_id is None else COMMAND_NAMES.get(command_id),
        "command_id": None if command_id is None else f"{command_id:08x}",
        "command_status": status,
        "sequence_number": sequence,
        "command_length": length,
        "fields": _plain(_fields(explanation)),
        "tlvs": [],
        **_leftover(explanation),
        "flags": [],
    }
    if explanation.pdu is not None:
        whole["tlvs"] = [{"tag": f"{t:04x}", "hex": v.hex()} for t, v in explanation.pdu.tlvs]
        whole["flags"] = list(_flags(explanation))
    if explanation.arrival is not None:
        whole.update(_arrival(explanation))
    error = explanation.error
    whole["error"] = None
    if error is not None:
        whole["error"] = {
            "consequence": error.consequence,
            "status": int(error.status),
            "field": error.field,
            "offset": error.offset,
            "detail": error.detail,
        }
    return whole


def _seen(seen: Seen | None) -> dict[str, Any]:
    if seen is None:
        return {}
    return {
        "time": _time(seen.at).replace(" ", "T"),
        "source": seen.source,
        "target": seen.target,
        "stream": seen.stream,
        "octets_missing_before": seen.lost,
    }


_LATEST = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds: a damaged capture may claim anything."""


def _time(at: int) -> str:
    at = min(max(at, 0), _LATEST)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}Z"


def _header(octets: bytes) -> tuple[int | None, int | None, int | None, int | None]:
    numbers = [
        int.from_bytes(octets[at : at + 4], "big") if len(octets) >= at + 4 else None
        for at in range(0, HEADER_SIZE, 4)
    ]
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _fields(explanation: Explanation) -> dict[str, Any]:
    if explanation.undecodable is not None:
        return explanation.undecodable.fields
    pdu = explanation.pdu
    return named(pdu.body) if pdu is not None and pdu.body is not None else {}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, bytes):
            plain[name + "_hex"] = value.hex()
        elif isinstance(value, list):
            plain[name] = [_plain(element) for element in value]
        else:
            plain[name] = value
    return plain


def _leftover(explanation: Explanation) -> dict[str, str]:
    """Return the octets no field has taken, under the name that says why."""
    pdu, undecodable = explanation.pdu, explanation.undecodable
    if pdu is not None:
        name = "undecoded_hex" if "unreadable-body" in pdu.flags else "trailing_hex"
        return {name: pdu.trailing.hex()} if pdu.trailing else {}
    if undecodable is not None:
        if undecodable.command_id not in BODIES:
            return {"body_hex": undecodable.undecoded.hex()}
        behind = len(undecodable.frame) > HEADER_SIZE
        return {"undecoded_hex": undecodable.undecoded.hex()} if behind else {}
    rest = explanation.octets
    rest = rest[min(HEADER_SIZE, len(rest) & ~3) :]  # behind the whole numbers of the header
    return {"undecoded_hex": rest.hex()} if rest else {}


def _flags(explanation: Explanation) -> tuple[str, ...]:
    arrival, pdu = explanation.arrival, explanation.pdu
    if isinstance(arrival, Fragment):
        return arrival.flags
    if arrival is not None and not isinstance(arrival, Unreadable):
        return arrival.content.flags
    return pdu.flags if pdu is not None else ()


def _arrival(explanation: Explanation) -> dict[str, Any]:
    arrival = explanation.arrival
    part = _part(arrival)
    if arrival is None or isinstance(arrival, Unreadable) or part is None:
        nothing = dict.fromkeys(("text", "encoding", "concat", "from", "to", "receipt"))
        return {"kind": "unreadable", **nothing, "udh": []}
    text = _text(arrival, part)
    concat = _concat(explanation, part)
    return {
        "kind": type(arrival).__name__.lower(),
        "text": masking.text(text) if explanation.masked else text,
        "encoding": part.charset,
        "udh": [
            {"iei": f"{iei:02x}", "hex": data.hex()} for iei, data in _elements(part, explanation)
        ],
        "concat": None if concat is None else msgspec.to_builtins(concat),
        "from": _address(arrival.source, explanation),
        "to": _address(arrival.destination, explanation),
        "receipt": _receipt(arrival, explanation) if isinstance(arrival, Receipt) else None,
    }


def _part(arrival: Arrival | None) -> Part | None:
    if arrival is None or isinstance(arrival, Unreadable):
        return None
    return arrival.part if isinstance(arrival, Fragment) else arrival.content.parts[0]


def _text(arrival: Arrival, part: Part) -> str:
    if isinstance(arrival, Fragment):
        return charset.read(part)[0]
    return "" if isinstance(arrival, Unreadable) else arrival.content.text


def _elements(part: Part, explanation: Explanation) -> tuple[udh.Element, ...]:
    header = udh.parse(part.udh)
    elements = header.elements if header else ()
    if explanation.masked:
        return tuple((iei, masking.element(iei, data)) for iei, data in elements)
    return elements


def _concat(explanation: Explanation, part: Part) -> Concat | None:
    concat, _ = udh.concat(_elements(part, explanation))
    if concat is None and explanation.pdu is not None:
        concat, _ = interpret.sar(explanation.pdu)
    return concat


def _address(address: Address, explanation: Explanation) -> dict[str, str]:
    value = masking.number(address.value) if explanation.masked else address.value
    return {"value": value, "type": address.type}


def _receipt(arrival: Receipt, explanation: Explanation) -> dict[str, str | int | None]:
    text = arrival.text
    return {
        "id": arrival.id,
        "sub": arrival.submitted,
        "dlvrd": arrival.delivered,
        "submit_date": receipt.local(arrival.submitted_at, explanation.time_zone),
        "done_date": receipt.local(arrival.done_at, explanation.time_zone),
        "stat": arrival.state,
        "err": arrival.error,
        "text": masking.text(text) if explanation.masked and text is not None else text,
    }


# For people


def to_text(explanation: Explanation) -> list[str]:
    """Return an explanation as lines: each field with its offset, octets, value and meaning."""
    octets = explanation.octets
    _, command_id, _, _ = _header(octets)
    command = "octets that are no PDU"
    if command_id is not None:
        command = COMMAND_NAMES.get(command_id, f"unknown command {command_id:08x}")
    seen = explanation.seen
    where = f"line {explanation.line}" if explanation.line else ""
    if seen is not None:
        where = f"connection {seen.stream}" if seen.stream else ""
    lines = [f"{command}, {len(octets)} octets" + (f" ({where})" if where else "")]
    if seen is not None:
        lines.append(f"  {_time(seen.at)}  {seen.source} → {seen.target}")
        if seen.lost:
            lines.append(f"  ! {seen.lost} octets before it are missing, or were no PDU")
    tlvs = explanation.pdu.tlvs if explanation.pdu is not None else ()
    rows, at = meanings.rows(octets, _fields(explanation), tlvs)
    lines += rows
    lines += [
        meanings.row(at, bytes.fromhex(rest), name.removesuffix("_hex"))
        for name, rest in _leftover(explanation).items()
    ]
    lines += [f"  ! {flag}: {meanings.of_flag(flag)}" for flag in _flags(explanation)]
    lines += _summary(explanation)
    error = explanation.error
    if error is not None:
        told = f" ({meanings.of_status(error.status)})"
        consequence = f"{_CONSEQUENCES[error.consequence]}{told * (error.consequence in _TOLD)}"
        if error.consequence == "answer" and command_id is not None and command_id & RESPONSE_BIT:
            consequence = "pass over it: responses are not answered"
        elif explanation.arrival is not None:
            consequence = f"keep it as it is, accept it, and go on; or refuse it{told}, if the"
            consequence += ' account says unreadable = "reject"'
        lines += [
            f"  ERROR at octet {error.offset}: {error.detail}",
            f"    a link would {consequence}",
        ]
    return lines


def to_line(frame: bytes, seen: Seen) -> list[str]:
    """Return the first lines of an explanation, where there is no time for more of it."""
    _, command_id, status, sequence = _header(frame)
    command = COMMAND_NAMES.get(command_id or 0, f"unknown command {command_id or 0:08x}")
    told = status_name(status or 0) if command_id and command_id & RESPONSE_BIT else ""
    words = f"{command}, {len(frame)} octets, sequence_number {sequence} {told}"
    where = f"  {_time(seen.at)}  {seen.source} → {seen.target}"
    return [words.rstrip(), f"{where}  (too much at once)"]


_CONSEQUENCES = {
    "close": "answer generic_nack and close: where the next PDU begins is not known",
    "answer": "answer this PDU with an error and go on",
    "incomplete": "wait for the rest",
}
_TOLD = frozenset({"close", "answer"})


def _summary(explanation: Explanation) -> list[str]:
    arrival = explanation.arrival
    part = _part(arrival)
    if arrival is None or isinstance(arrival, Unreadable) or part is None:
        return [] if arrival is None else ["  reads as  unreadable; kept raw"]
    source = _address(arrival.source, explanation)
    destination = _address(arrival.destination, explanation)
    text = _text(arrival, part)
    lines = [
        f"  reads as  {type(arrival).__name__.lower()}",
        f"  from      {source['value']}  ({source['type']})",
        f"  to        {destination['value']}  ({destination['type']})",
        f"  encoding  {part.charset}",
    ]
    lines += [
        f"  udh       {iei:02x} {meanings.of_element(iei)}  [{data.hex(' ')}]"
        for iei, data in _elements(part, explanation)
    ]
    concat = _concat(explanation, part)
    if concat is not None:
        lines.append(
            f"  segment   {concat.seq} of {concat.total}, reference {concat.ref}"
            f" ({concat.bits} bits, {concat.source})"
        )
    lines.append(f"  text      {masking.text(text) if explanation.masked else repr(text)}")
    if isinstance(arrival, Receipt):
        lines += [
            f"  receipt   {name}: {value}"
            for name, value in _receipt(arrival, explanation).items()
            if value is not None
        ]
    lines += [
        f"  {name:9} {masking.metadata(name, value) if explanation.masked else value}"
        for name, value in arrival.metadata.items()
    ]
    return lines
