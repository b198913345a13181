import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.content import address
from smsc.message import Address


def test_the_calling_codes_are_those_of_phonenumbers() -> None:
    known = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}

    assert known <= address.CALLING_CODES
    assert address.CALLING_CODES - known <= {"379", "888"}  # assigned, not in use


@pytest.mark.parametrize(
    ("value", "ton", "country", "expected"),
    [
        ("447700900123", 1, "", Address("+447700900123", "e164")),
        ("+447700900123", 1, "", Address("+447700900123", "e164")),
        ("+447700900123", 0, "", Address("+447700900123", "e164")),
        ("00447700900123", 0, "", Address("+447700900123", "e164")),
        ("00447700900123", 1, "", Address("+447700900123", "e164")),
        ("+44 7700 900-123", 0, "", Address("+447700900123", "e164")),
        ("15551234567", 1, "", Address("+15551234567", "e164")),
        ("999919914593", 1, "", Address("999919914593", "unknown")),  # no such country
        ("4477009001234567", 1, "", Address("4477009001234567", "unknown")),  # 16 digits
        ("447700", 1, "", Address("447700", "shortcode")),
        ("40404", 1, "", Address("40404", "shortcode")),
        ("40404", 6, "", Address("40404", "shortcode")),
        ("40404", 0, "US", Address("40404", "shortcode")),
        ("12345678", 6, "", Address("12345678", "shortcode")),
        ("07700900123", 2, "", Address("07700900123", "national")),
        ("07700900123", 2, "GB", Address("+447700900123", "e164")),
        ("07700900123", 0, "gb", Address("+447700900123", "e164")),
        ("7700900123", 2, "GB", Address("+447700900123", "e164")),
        ("447700900123", 0, "GB", Address("+447700900123", "e164")),
        ("447700900123", 0, "", Address("447700900123", "unknown")),
        ("971552232229", 0, "GB", Address("+971552232229", "e164")),
        ("971552232229", 2, "GB", Address("971552232229", "national")),
        # Numbers within Germany may begin and end with almost anything.
        ("491711234567", 0, "DE", Address("+491711234567", "e164")),
        ("4930123456", 0, "DE", Address("+4930123456", "e164")),
        ("447911123456", 0, "DE", Address("+447911123456", "e164")),
        ("12025550123", 0, "DE", Address("+12025550123", "e164")),
        ("01711234567", 0, "DE", Address("+491711234567", "e164")),
        ("1711234567", 0, "DE", Address("+491711234567", "e164")),
        ("4479111234", 2, "DE", Address("+494479111234", "e164")),
        ("3912345678", 0, "IT", Address("+393912345678", "e164")),
        ("2025550123", 0, "US", Address("+12025550123", "e164")),
        ("07700900123", 0, "XX", Address("07700900123", "unknown")),
        # Some carriers call every number international: no calling code begins with 0.
        ("07700900123", 1, "GB", Address("+447700900123", "e164")),
        ("07700900123", 1, "", Address("07700900123", "national")),
        ("+07700900123", 1, "GB", Address("+07700900123", "unknown")),
        ("INFO", 5, "", Address("INFO", "alphanumeric")),
        ("0348", 5, "GB", Address("0348", "alphanumeric")),
        ("INFO", 0, "GB", Address("INFO", "alphanumeric")),
        ("Café", 1, "", Address("Café", "unknown")),
        ("²³", 0, "", Address("²³", "unknown")),
        ("", 0, "GB", Address("", "unknown")),
        ("+", 0, "GB", Address("+", "unknown")),
        ("123456789012345678901", 1, "", Address("123456789012345678901", "unknown")),
    ],
)
def test_r25_normalise(value: str, ton: int, country: str, expected: Address) -> None:
    assert address.normalise(value, ton, 1, country) == expected


@pytest.mark.parametrize(
    ("npi", "kind"), [(0, "e164"), (1, "e164"), (8, "e164"), (3, "unknown"), (9, "national")]
)
def test_only_numbers_of_telephones_are_completed(npi: int, kind: str) -> None:
    assert address.normalise("07700900123", 2, npi, "GB").type == kind


@pytest.mark.parametrize("ton", [0, 1, 2])
@pytest.mark.parametrize(
    ("value", "npi"), [("310150123456789", 6), ("198.51.100.17", 14), ("447700900123", 3)]
)
def test_r25_what_is_no_telephone_is_no_number(value: str, npi: int, ton: int) -> None:
    assert address.normalise(value, ton, npi, "GB") == Address(value, "unknown")


@given(
    st.text(alphabet=st.characters(max_codepoint=255), max_size=25),
    st.integers(0, 255),
    st.integers(0, 255),
    st.sampled_from(["", "GB", "US", "XX", "nonsense"]),
)
def test_any_address_is_read_somehow(value: str, ton: int, npi: int, country: str) -> None:
    read = address.normalise(value, ton, npi, country)

    if read.type == "e164":
        assert read.value[0] == "+"
        assert read.value[1:].isdecimal()
    else:
        assert read.value == value


def test_phonenumbers_is_not_imported_for_international_numbers() -> None:
    code = (
        "import sys; from smsc.content import address;"
        "address.normalise('447700900123', 1, 1, 'GB'); assert 'phonenumbers' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
