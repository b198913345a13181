"""Texts and headers of the collected vectors; ``tests/vectors/README.md`` says whence they come."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from smsc.text import charset, gsm0338, udh

VECTORS = Path(__file__).parent.parent / "vectors"

LATER = {
    "gsm7-packed": "packed septets are not read yet",
    "gsm7-packed-to-septets": "packed septets are not read yet",
    "gsm7+locking1+single1": "national tables are not read yet",
    "gsm7+single2": "national tables are not read yet",
    "gsm7+locking3+single3": "national tables are not read yet",
}


def _load(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / name).read_bytes())["vectors"]
    return vectors


def _reason(vector: dict[str, Any]) -> str | None:
    name = vector["charset"]
    if name.startswith("x-"):
        return "carriers' own charsets are not read yet"
    octets = bytes.fromhex(vector["hex"])
    return LATER.get(name) if name in LATER and octets else None


def _national(name: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"gsm7(?:\+locking(\d+))?(?:\+single(\d+))?", name)
    if match:
        return "gsm7", int(match[1] or 0), int(match[2] or 0)
    return name.removesuffix("+bom"), 0, 0


def _texts(direction: str) -> list[Any]:
    params = []
    for vector in _load("text.json"):
        if vector["direction"] not in (direction, "both"):
            continue
        if direction == "encode" and vector["charset"] != "gsm7":
            continue  # the bridge writes no other charset
        reason = _reason(vector)
        marks = [pytest.mark.xfail(reason=reason)] if reason else []
        params.append(pytest.param(vector, id=vector["id"], marks=marks))
    return params


@pytest.mark.parametrize("vector", _texts("decode"))
def test_text_is_read(vector: dict[str, Any]) -> None:
    name, locking, single = _national(vector["charset"])
    canonical = charset.canonical(name) if vector["hex"] else "gsm7"

    assert canonical is not None
    read = charset.decode(canonical, bytes.fromhex(vector["hex"]), locking, single)

    assert read == (vector["text"], ())


@pytest.mark.parametrize("vector", _texts("encode"))
def test_text_is_written(vector: dict[str, Any]) -> None:
    assert gsm0338.encode(vector["text"]) == bytes.fromhex(vector["hex"])


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
