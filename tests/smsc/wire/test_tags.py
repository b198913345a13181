import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts

from smsc.wire.tags import TAG_NAMES, TAG_RANGES, TLV_FORMS, Tag, tag_name

LATER = frozenset({Tag.congestion_state, *(tag for tag in Tag if 0x0600 <= tag < 0x1100)})
"""What 5.0 added."""


def test_tags_of_3_4_agree_with_an_independent_table() -> None:
    assert {tag.name: int(tag) for tag in Tag if tag not in LATER} == consts.OPTIONAL_PARAMS


def test_tags_agree_with_wireshark(wireshark_tags: dict[int, str]) -> None:
    ours = {int(tag): tag.name for tag in Tag}

    assert set(ours) == set(wireshark_tags)
    renamed = {tag: name for tag, name in wireshark_tags.items() if ours[tag] != name}
    assert renamed == {Tag.destination_port: "dest_port"}  # as 5.0 calls it


def test_every_tag_has_a_name_and_a_form() -> None:
    assert set(Tag) == set(TLV_FORMS)
    assert set(Tag) == set(TAG_NAMES)
    for form in TLV_FORMS.values():
        assert 0 <= form.least <= form.most <= 65_535
        assert form.kind != "integer" or form.least == form.most


def test_ranges_cover_all_tags_once() -> None:
    edges = [(first, last) for first, last, _ in TAG_RANGES]

    assert edges[0][0] == 0
    assert edges[-1][1] == 0xFFFF
    for (_, last), (first, _) in itertools.pairwise(edges):
        assert first == last + 1


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x0424, "message_payload"),
        (0x0606, "broadcast_area_identifier"),
        (0x060C, "060c, reserved for extensions of SMPP"),
        (0x1400, "1400, the carrier's own"),
        (0x3FFF, "3fff, the carrier's own"),
        (0x4000, "4000, reserved"),
    ],
)
def test_a_tag_in_words(tag: int, name: str) -> None:
    assert tag_name(tag) == name


@given(st.integers(0, 0xFFFF))
def test_r01_any_tag_can_be_told(tag: int) -> None:
    assert tag_name(tag)
