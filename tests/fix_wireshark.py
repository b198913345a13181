"""Wireshark's tables of SMPP 3.4 and 5.0: a second opinion on ours, from people who read the same
specifications.

Where tshark is not installed its tests are skipped; where ``CI`` is set they fail.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from struct import pack
from typing import NamedTuple

import pytest

PORT = 2775
_RAW_IP = 101  # LINKTYPE_RAW: packets begin with their IP header


class Range(NamedTuple):
    """What Wireshark calls the values from ``first`` to ``last`` of a field."""

    first: int
    last: int
    words: str


@pytest.fixture(scope="session")
def tshark() -> str:
    """The program."""
    path = shutil.which("tshark")
    if path is None:
        reason = "tshark is not installed: apt-get install tshark"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def wireshark_values(tshark: str) -> dict[str, list[Range]]:
    """Field → the values it has names for."""
    tables: dict[str, list[Range]] = {}
    for line in _run(tshark, "-G", "values").splitlines():
        kind, _, rest = line.partition("\t")
        field, *columns = rest.split("\t")
        if field.startswith("smpp.") and kind in ("V", "R"):
            if kind == "V":
                columns.insert(0, columns[0])
            first, last, words = columns
            tables.setdefault(field, []).append(Range(int(first, 0), int(last, 0), words))
    return tables


@pytest.fixture(scope="session")
def wireshark_tags(tshark: str, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Tag → name, of every tag Wireshark knows below 0x1400."""
    # Tags one by one: it has no list of them, and misreads what follows some.
    frames = [
        # a data_sm whose fields are all empty or zero, and one empty parameter
        pack(">IIII10xHH", 30, 0x103, 0, 1 + tag, tag, 0)
        for tag in range(0x1400)
    ]
    shown = dissect(tshark, tmp_path_factory.mktemp("wireshark") / "tags.pcap", frames)
    found = re.findall(r"Optional parameter: ([a-z]\w+) \(0x([0-9a-f]{4})\)", shown)
    return {int(tag, 16): name for name, tag in found}


def dissect(tshark: str, file: Path, frames: Sequence[bytes]) -> str:
    """Write frames as one packet each to ``file``; what Wireshark makes of them, in words."""
    write_capture(file, frames)
    return _run(tshark, "-r", str(file), "-d", f"tcp.port=={PORT},smpp", "-V", "-O", "smpp")


def write_capture(file: Path, frames: Sequence[bytes]) -> None:
    """Write frames as one packet each of one TCP stream."""
    capture = [pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _RAW_IP)]
    sequence = 1
    for frame in frames:
        tcp = pack(">HHIIBBHHH", 40_000, PORT, sequence, 1, 0x50, 0x18, 8_192, 0, 0)
        loopback = b"\x7f\0\0\1"
        ip = pack(
            ">BBHHHBBH4s4s",
            0x45, 0, 20 + len(tcp) + len(frame), 1, 0, 64, 6, 0, loopback, loopback,
        )  # fmt: skip
        packet = ip + tcp + frame
        capture.append(pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
        sequence += len(frame)
    file.write_bytes(b"".join(capture))


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
