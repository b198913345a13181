import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts

from smsc.wire.statuses import (
    STATUS_NAMES,
    STATUS_RANGES,
    STATUS_TEXT,
    Status,
    status_name,
    status_text,
)
from tests.fix_wireshark import Range

THEIRS = {
    name.removeprefix("SMPP_"): value
    for name, value in vars(consts).items()
    if name.startswith("SMPP_ESME_")
}


def test_statuses_of_3_4_agree_with_an_independent_table() -> None:
    ours = {status.name: int(status) for status in Status if status <= 0xFF}

    assert ours == THEIRS


def test_statuses_agree_with_wireshark(wireshark_values: dict[str, list[Range]]) -> None:
    theirs = {
        known.first
        for known in wireshark_values["smpp.command_status"]
        if not known.words.startswith("[")  # reserved, or the vendor's
    }

    assert theirs == {int(status) for status in Status}


def test_every_status_is_explained() -> None:
    assert set(Status) == set(STATUS_TEXT)
    assert all(STATUS_TEXT.values())


def test_a_name_of_5_0_is_another_name_of_the_same() -> None:
    assert Status["ESME_RINVTLVLEN"] is Status["ESME_RINVPARLEN"]
    assert status_name(Status.ESME_RMISSINGTLV) == "ESME_RMISSINGOPTPARAM"


def test_any_status_has_a_name() -> None:
    assert status_name(Status.ESME_RTHROTTLED) == "ESME_RTHROTTLED"
    assert status_name(0x42E) == "0x0000042e"
    assert len(STATUS_NAMES) == len(Status)


def test_ranges_cover_all_values_once() -> None:
    edges = [(first, last) for first, last, _ in STATUS_RANGES]

    assert edges[0][0] == 0
    assert edges[-1][1] == 0xFFFFFFFF
    for (_, last), (first, _) in itertools.pairwise(edges):
        assert first == last + 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x58, "throttled: over the message limit"),
        (0x10D, "broadcast_sm failed"),
        (0x09, "reserved"),
        (0x113, "reserved for extensions of SMPP"),
        (0x400, "the peer's own error: ask the carrier what it means"),
        (0x4FF, "the peer's own error: ask the carrier what it means"),
        (0x500, "reserved"),
        (0xFFFFFFFF, "reserved"),
    ],
)
def test_a_status_in_words(status: int, words: str) -> None:
    assert status_text(status) == words


@given(st.integers(0, 0xFFFFFFFF))
def test_r05_any_status_can_be_told(status: int) -> None:
    assert status_name(status)
    assert status_text(status)
