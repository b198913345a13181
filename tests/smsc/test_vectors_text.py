"""Texts and headers of the collected vectors; ``tests/vectors/README.md`` says whence they come."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from smsc.message import Part
from smsc.simulator.segments import Encoding, segments
from smsc.text import charset, gsm0338, packed, udh

WRITTEN_OTHERWISE = {
    "t079",  # its writer escapes what the locking table has without
    "t130",  # its writer pads with zeros where 23.038 §6.1.2.3.1 asks for a carriage return
}

VECTORS = Path(__file__).parent.parent / "vectors"


def _load(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / name).read_bytes())["vectors"]
    return vectors


def _part(vector: dict[str, Any]) -> Part:
    octets = bytes.fromhex(vector["hex"])
    match = re.fullmatch(r"gsm7(?:\+locking(\d+))?(?:\+single(\d+))?", vector["charset"])
    if match:
        return Part(octets, "gsm7", 0, b"", int(match[1] or 0), int(match[2] or 0))
    if vector["charset"] == "gsm7-packed":
        return Part(octets, "gsm7", 0, packed=True)
    name = charset.canonical(vector["charset"].removesuffix("+bom"))
    assert name is not None
    return Part(octets, name, 0)


def _texts(direction: str) -> list[Any]:
    return [
        pytest.param(vector, id=vector["id"])
        for vector in _load("text.json")
        if vector["direction"] in (direction, "both") and "text" in vector
    ]


@pytest.mark.parametrize("vector", _texts("decode"))
def test_text_is_read(vector: dict[str, Any]) -> None:
    assert charset.read(_part(vector)) == (vector["text"], ())


@pytest.mark.parametrize(
    "vector",
    [v for v in _load("text.json") if v["charset"] == "gsm7-packed-to-septets"],
    ids=lambda vector: str(vector["id"]),
)
def test_r10_septets_are_unpacked(vector: dict[str, Any]) -> None:
    octets = bytes.fromhex(vector["hex"])

    assert packed.read(octets).hex() == vector["unpacked_hex"]


# Written are texts in GSM 03.38 and what the library has a codec for; carriers' own are read only.
@pytest.mark.parametrize("vector", _texts("encode"))
def test_text_is_written(vector: dict[str, Any]) -> None:
    part = _part(vector)
    text = vector["text"]
    if part.charset == "gsm7" and not part.packed:
        octets = gsm0338.encode(text, part.locking, part.single)
        assert octets is not None
    elif part.charset in get_args(Encoding) and "+bom" not in vector["charset"]:
        encoding: Encoding = part.charset  # type: ignore[assignment]  # it was looked up
        (segment,) = segments(text, encoding=encoding, packed=part.packed)
        octets = segment.octets
    else:
        return
    if vector["id"] in WRITTEN_OTHERWISE:
        assert charset.read(replace(part, octets=octets)) == charset.read(part)
    else:
        assert octets == part.octets


@pytest.mark.parametrize("vector", _load("udh.json"), ids=lambda vector: str(vector["id"]))
def test_headers(vector: dict[str, Any]) -> None:
    header = udh.parse(bytes.fromhex(vector["hex"]))
    if "error" in vector:
        assert header is None or udh.concat(header.elements)[0] is None
        return

    assert header is not None
    ies = [{"iei": f"{iei:02x}", "hex": data.hex()} for iei, data in header.elements]
    assert ies == vector["expect"]["ies"]
    concat, flags = udh.concat(header.elements)
    expected = vector["expect"].get("concat")
    assert flags == ()
    if expected is None:
        assert concat is None
    else:
        assert concat is not None
        assert expected == {
            "bits": concat.bits,
            "ref": concat.ref,
            "total": concat.total,
            "seq": concat.seq,
        }
