import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.text import charset, gsm0338
from smsc.text.variants import VARIANTS


@pytest.mark.parametrize(
    ("name", "hex_", "text"),
    [
        ("x-airwide-ia5", "00400224", "@@$$"),
        ("x-airwide-ia5", "5b5c5d5e5f11", "ÄÖÑÜ__"),
        ("x-vfd2-gsm", "7e1e7d5d5e5f4024", "ßñüÜ§Ñ@$"),
        ("x-vfd2-gsm", "1b401ba11b65", "||€"),
        ("x-vftr-gsm", "7f101312e9dcbf", "ΔΔΓΦéÜ¿"),
        ("x-tmobilenl-gsm", "80001b65", "€@€"),
        ("x-hp-roman8-esc8d", "8d288d298d2f8d3e8d651b65", "{}\\]€€"),
        ("x-hp-roman8-esc8d", "8d8d418d", " A "),
        ("x-hp-roman8-esc8d", "8d41", "A"),
    ],
)
def test_what_carriers_mean(name: str, hex_: str, text: str) -> None:
    assert charset.decode(name, bytes.fromhex(hex_)) == (text, ())


def test_what_is_not_defined_is_flagged() -> None:
    assert charset.decode("x-vfd2-gsm", b"\x81") == ("\ufffd", ("undecodable-octets",))


@pytest.mark.parametrize("name", VARIANTS)
def test_each_octet_is_a_character(name: str) -> None:
    variant = VARIANTS[name]

    assert len(variant.reading) == 256
    assert set(gsm0338.EXTENSION.values()) - {"\f"} <= set(variant.single.values())
    for octet in range(256):
        text, _ = variant(bytes((octet,)))
        assert len(text) == 1


@given(st.sampled_from(sorted(VARIANTS)), st.binary())
def test_no_octets_are_lost(name: str, octets: bytes) -> None:
    text, _ = VARIANTS[name](octets)

    assert (len(octets) + 1) // 2 <= len(text) <= len(octets)
