"""Any octets → an explanation for people, or for programs: what ``smsbridge decode`` prints.

What is explained here is what a link would make of the same octets: framing, codec and
interpretation are the very ones. Nothing is masked: whoever asks has typed the octets in.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from smsc.config import Account, Listener
from smsc.content import dumps, interpret, meanings, receipt
from smsc.content.dumps import BadLine
from smsc.message import Address, Arrival, Concat, Fragment, Part, Receipt, Unreadable
from smsc.text import charset, udh
from smsc.wire.errors import WireError
from smsc.wire.framing import Framer
from smsc.wire.pdu import HEADER_SIZE, Pdu, Undecodable, decode, named
from smsc.wire.spec import ARRIVALS, BODIES, COMMAND_NAMES, RESPONSE_BIT, Status

__all__ = ["BadLine", "Explanation", "explain", "parse_input", "to_json", "to_text"]

_ANYBODY = Account(name="decode", system_id="decode")


class Explanation(Struct, frozen=True):
    """One PDU, or the octets that are none, and all that can be said of them."""

    line: int
    """The line of the input it was found in, from 1."""
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


def parse_input(lines: Iterable[str]) -> Iterator[tuple[int, bytes | BadLine]]:
    """Yield the octets written in lines of hex or dumps, each with its line's number from 1.

    See :mod:`smsc.content.dumps` for what is understood; what is not comes as a
    :class:`~smsc.content.dumps.BadLine` with its reason.
    """
    return dumps.read(lines)


def explain(octets: bytes, account: Account | None = None, *, line: int = 1) -> list[Explanation]:
    """Explain all PDUs in ``octets``, which may be several, in order; never raises.

    The last explanation has an error where octets are missing (``incomplete``) or framing is
    lost (``close``): nothing after that can be read. ``account`` gives the options to interpret
    by; none of its own by default.
    """
    account = account or _ANYBODY
    framer = Framer(limit=Listener().pdu_limit)
    frames = framer.feed(octets)
    explanations = [_frame(frame, account, line) for frame in frames]
    rest = octets[sum(map(len, frames)) :]
    if framer.lost is not None:
        explanations.append(Explanation(line, rest, framer.lost))
    elif rest or not frames:
        explanations.append(Explanation(line, rest, _incomplete(rest)))
    return explanations


def _frame(frame: bytes, account: Account, line: int) -> Explanation:
    pdu = decode(frame)
    arrival: Arrival | None = None
    if isinstance(pdu, Undecodable):
        if pdu.command_id in ARRIVALS:
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
        "text": text,
        "encoding": part.charset,
        "udh": [{"iei": f"{iei:02x}", "hex": data.hex()} for iei, data in _elements(part)],
        "concat": None if concat is None else msgspec.to_builtins(concat),
        "from": _address(arrival.source),
        "to": _address(arrival.destination),
        "receipt": _receipt(arrival, explanation) if isinstance(arrival, Receipt) else None,
    }


def _part(arrival: Arrival | None) -> Part | None:
    if arrival is None or isinstance(arrival, Unreadable):
        return None
    return arrival.part if isinstance(arrival, Fragment) else arrival.content.parts[0]


def _text(arrival: Arrival, part: Part) -> str:
    if isinstance(arrival, Fragment):
        return charset.decode(part.charset, part.octets, part.locking, part.single)[0]
    return "" if isinstance(arrival, Unreadable) else arrival.content.text


def _elements(part: Part) -> tuple[udh.Element, ...]:
    header = udh.parse(part.udh)
    return header.elements if header else ()


def _concat(explanation: Explanation, part: Part) -> Concat | None:
    concat, _ = udh.concat(_elements(part))
    if concat is None and explanation.pdu is not None:
        concat, _ = interpret.sar(explanation.pdu)
    return concat


def _address(address: Address) -> dict[str, str]:
    return {"value": address.value, "type": address.type}


def _receipt(arrival: Receipt, explanation: Explanation) -> dict[str, str | int | None]:
    return {
        "id": arrival.id,
        "sub": arrival.submitted,
        "dlvrd": arrival.delivered,
        "submit_date": receipt.local(arrival.submitted_at, explanation.time_zone),
        "done_date": receipt.local(arrival.done_at, explanation.time_zone),
        "stat": arrival.state,
        "err": arrival.error,
        "text": arrival.text,
    }


# For people


def to_text(explanation: Explanation) -> list[str]:
    """Return an explanation as lines: each field with its offset, octets, value and meaning."""
    octets = explanation.octets
    _, command_id, _, _ = _header(octets)
    command = "octets that are no PDU"
    if command_id is not None:
        command = COMMAND_NAMES.get(command_id, f"unknown command {command_id:08x}")
    lines = [f"{command}, {len(octets)} octets (line {explanation.line})"]
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
        lines += [
            f"  ERROR at octet {error.offset}: {error.detail}",
            f"    a link would {consequence}",
        ]
    return lines


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
    source, destination = arrival.source, arrival.destination
    lines = [
        f"  reads as  {type(arrival).__name__.lower()}",
        f"  from      {source.value}  ({source.type})",
        f"  to        {destination.value}  ({destination.type})",
        f"  encoding  {part.charset}",
    ]
    lines += [
        f"  udh       {iei:02x} {meanings.of_element(iei)}  [{data.hex(' ')}]"
        for iei, data in _elements(part)
    ]
    concat = _concat(explanation, part)
    if concat is not None:
        lines.append(
            f"  segment   {concat.seq} of {concat.total}, reference {concat.ref}"
            f" ({concat.bits} bits, {concat.source})"
        )
    lines.append(f"  text      {_text(arrival, part)!r}")
    if isinstance(arrival, Receipt):
        lines += [
            f"  receipt   {name}: {value}"
            for name, value in _receipt(arrival, explanation).items()
            if value is not None
        ]
    lines += [f"  {name:9} {value}" for name, value in arrival.metadata.items()]
    return lines
