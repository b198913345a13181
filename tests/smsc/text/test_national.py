"""The tables against the collected ones, which three or more sources agree on."""

import json
from pathlib import Path
from typing import Any

import pytest

from smsc.text import gsm0338, national
from smsc.text.gsm0338 import ESCAPE, REPLACEMENT

TABLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "national_tables.json").read_bytes()
)["tables"]


def _named(table: dict[str, Any]) -> str:
    return f"{table['language']}-{table['kind']}"


def _cells(table: dict[str, Any]) -> dict[int, str]:
    return {int(septet, 16): chr(int(code, 16)) for septet, code in table["cells"].items()}


def test_there_are_twelve_locking_and_thirteen_single_shift_tables() -> None:
    assert set(national.SINGLE) == set(range(1, 14)) == set(national.LANGUAGES)
    assert set(national.LOCKING) == set(range(1, 14)) - national.NO_LOCKING
    assert len(TABLES) == len(gsm0338.LOCKING) + len(gsm0338.SINGLE) == 27


@pytest.mark.parametrize("table", TABLES, ids=_named)
def test_r13_every_cell(table: dict[str, Any]) -> None:
    language = table["national_language_id"]
    cells = _cells(table)
    if language:
        assert national.LANGUAGES[language] == table["language"]
    if table["kind"] == "locking":
        ours = gsm0338.LOCKING[language]
        assert len(ours) == 128
        assert ours[0x1B] == ESCAPE
        defined = {at: character for at, character in enumerate(ours) if character != REPLACEMENT}
        del defined[0x1B]
        assert defined == cells
    else:
        assert gsm0338.SINGLE[language] == cells


@pytest.mark.parametrize("table", TABLES, ids=_named)
def test_r13_every_cell_round_trips(table: dict[str, Any]) -> None:
    language = table["national_language_id"]
    locking = language if table["kind"] == "locking" else 0
    single = 0 if table["kind"] == "locking" else language
    before = b"" if table["kind"] == "locking" else b"\x1b"
    for septet, character in _cells(table).items():
        octets = before + bytes((septet,))
        assert gsm0338.decode(octets, locking, single) == (character, True)
        written = gsm0338.encode(character, locking, single)
        assert written is not None
        assert gsm0338.decode(written, locking, single) == (character, True)


@pytest.mark.parametrize("locking", sorted({0, *national.LANGUAGES}))
@pytest.mark.parametrize("single", sorted({0, *national.LANGUAGES}))
def test_r13_tables_stand_apart(locking: int, single: int) -> None:
    table = gsm0338.LOCKING.get(locking, gsm0338.DEFAULT)
    shifted = gsm0338.SINGLE[single]
    for septet in range(0x80):
        if septet == 0x1B:
            continue
        plain, _ = gsm0338.decode(bytes((septet,)), locking, single)
        escaped, _ = gsm0338.decode(bytes((0x1B, septet)), locking, single)
        assert plain == table[septet]
        assert escaped == shifted.get(septet, table[septet])
    assert gsm0338.decode(b"\x1b\x1b", locking, single) == (" ", True)
    assert gsm0338.decode(b"\x1b", locking, single) == (" ", True)
