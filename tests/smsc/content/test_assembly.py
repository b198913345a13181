from collections.abc import Sequence
from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smsc.content.assembly import complete, expires_at, join, missing, set_key
from smsc.message import Address, Concat, Fragment, Origin, Part
from smsc.simulator.segments import segments
from smsc.text import charset as charsets
from smsc.text import gsm0338, udh
from smsc.wire.spec import Tag


def fragment(
    seq: int, octets: bytes, total: int = 2, charset: str = "gsm7", received_at: int = 0
) -> Fragment:
    return Fragment(
        Origin("acme-1", "acme", "lnk_1", seq, received_at, b""),
        Address("+447700900123", "e164"),
        Address("+447860000001", "e164"),
        Concat("udh", 8, 7, total, seq),
        Part(octets, charset, 0),
    )


def fragments(*parts: bytes, charset: str = "gsm7") -> list[Fragment]:
    total = len(parts)
    return [fragment(seq, part, total, charset) for seq, part in enumerate(parts, 1)]


def test_what_makes_a_set() -> None:
    one = fragment(1, b"a")
    key = set_key(one)

    assert key == set_key(fragment(2, b"b"))
    other_link = replace(one, origin=Origin("acme-2", "acme", "lnk_9", 5, 99, b"x"))
    assert key == set_key(other_link)
    by_sar = replace(one, concat=Concat("sar", 8, 7, 2, 1))
    assert key == set_key(by_sar)


def test_r18_what_makes_another_set() -> None:
    one = fragment(1, b"a")
    others = [
        replace(one, origin=Origin("acme-1", "other", "lnk_1", 1, 0, b"")),
        replace(one, source=Address("+447700900999", "e164")),
        replace(one, destination=Address("+447700900999", "e164")),
        replace(one, concat=Concat("udh", 16, 7, 2, 1)),
        replace(one, concat=Concat("udh", 8, 8, 2, 1)),
        replace(one, concat=Concat("udh", 8, 7, 3, 1)),
        replace(one, source=Address("+4477009001", "e164"), destination=Address("23", "e164")),
    ]

    assert len({set_key(one), *map(set_key, others)}) == 1 + len(others)


def test_values_that_run_together_make_different_sets() -> None:
    one = fragment(1, b"a")
    left = replace(one, source=Address("ab", "unknown"), destination=Address("c", "unknown"))
    right = replace(one, source=Address("a", "unknown"), destination=Address("bc", "unknown"))

    assert set_key(left) != set_key(right)


def test_a_set_is_complete_at_its_count() -> None:
    assert complete([2, 1, 2], 2)
    assert not complete([1, 3], 3)
    assert missing([1, 4], 5) == (2, 3, 5)
    assert missing([], 2) == (1, 2)


def test_a_set_expires_after_its_first_part() -> None:
    assert expires_at(1_000, 1_800) == 1_801_000


def test_r15_parts_in_any_order() -> None:
    parts = fragments(b"One, ", b"two, ", b"three")

    for order in permutations(parts):
        message = join(order)

        assert message.content.text == "One, two, three"
        assert message.content.complete
        assert message.total == 3
        assert [part.octets for part in message.content.parts] == [b"One, ", b"two, ", b"three"]


def test_r14_an_escape_cut_in_two() -> None:
    assert join(fragments(b"a\x1b", b"eb")).content.text == "a€b"


def test_r12_a_surrogate_pair_cut_in_two() -> None:
    text = "Hi😀!".encode("utf-16-be")
    content = join(fragments(text[:6], text[6:], charset="ucs2")).content

    assert content.text == "Hi😀!"
    assert content.encoding == "ucs2"
    assert content.flags == ()


def test_a_character_cut_in_two_octets() -> None:
    text = "Hi".encode("utf-16-be")

    assert join(fragments(text[:3], text[3:], charset="ucs2")).content.text == "Hi"


def test_a_byte_order_mark_before_every_segment() -> None:
    parts = [b"\xfe\xff\0H", b"\xfe\xff\0i"]

    assert join(fragments(*parts, charset="ucs2")).content.text == "Hi"


def test_a_byte_order_mark_holds_behind_a_gap() -> None:
    """R12: little endian is little endian to the end of the message."""
    text = "Привет 😀 друг".encode("utf-16-le")
    parts = fragments(b"\xff\xfe" + text[:7], text[7:12], text[12:], charset="ucs2")

    content = join([parts[2], parts[0]]).content

    assert content.text == "При\ufffd[…] 😀 друг"
    assert join(parts).content.text == "Привет 😀 друг"


def test_a_stray_octet_costs_one_character() -> None:
    """R12: what follows an odd part is read in step."""
    parts = [b"\0H\0i\0", "Привет".encode("utf-16-be"), "!".encode("utf-16-be")]

    assert join(fragments(*parts, charset="ucs2")).content.text == "Hi\ufffdПривет!"
    assert join(fragments(*parts, charset="ucs2")).content.flags == ("undecodable-octets",)
    parts = [b"H\0i\0\0", "Привет".encode("utf-16-le")]
    assert join(fragments(*parts, charset="ucs2-le")).content.text == "Hi\ufffdПривет"
    marked = [b"\xff\xfeH\0\0", "Привет".encode("utf-16-le")]
    assert join(fragments(*marked, charset="ucs2")).content.text == "H\ufffdПривет"


def packed(*parts: str) -> list[Fragment]:
    """Return segments as a carrier packs them, each with another header."""
    made = []
    for fragment_, text in zip(fragments(*[b""] * len(parts)), parts, strict=True):
        language = fragment_.concat.seq % 2  # its default and Turkish tables share ASCII letters
        (segment,) = segments(text, encoding="gsm7", packed=True, single=language)
        header = udh.parse(segment.octets) if language else None
        octets = segment.octets.removeprefix(header.octets) if header else segment.octets
        udh_octets = header.octets if header else b""
        part = Part(octets, "gsm7", 0, udh_octets, 0, language, packed=True)
        made.append(replace(fragment_, part=part))
    return made


def test_r10_packed_parts_are_unpacked_one_by_one() -> None:
    content = join(packed("Hello world! ", "Wie geht's? ", "1 €")[::-1]).content

    assert content.text == "Hello world! Wie geht's? 1 €"
    assert content.encoding == "gsm7"
    assert content.flags == ()


def test_r10_an_escape_cut_in_two_between_packed_parts() -> None:
    whole = bytes.fromhex("e1cd")  # "a" and an escape
    parts = fragments(whole, b"\x65")
    parts = [replace(one, part=replace(one.part, packed=True)) for one in parts]

    assert join(parts).content.text == "a€"


def test_packed_parts_and_others_are_read_each_by_itself() -> None:
    parts = packed("ab", "cd")
    parts[1] = fragments(b"", b"cd")[1]

    assert join(parts).content.text == "abcd"
    assert join(parts).content.encoding == "gsm7"


def test_a_shift_state_lasts_into_the_next_part() -> None:
    octets = "いろは abc にほへ".encode("iso2022-jp")
    for at in range(len(octets)):
        parts = fragments(octets[:at], octets[at:], charset="iso-2022-jp")
        assert join(parts).content.text == "いろは abc にほへ"


def test_parts_of_different_charsets_are_read_each_by_its_own() -> None:
    parts = [
        fragment(1, b"a\x1b", 3),
        fragment(2, "😀".encode("utf-16-be"), 3, "ucs2"),
        fragment(3, b"eb", 3),
    ]
    content = join(parts).content

    assert content.text == "a 😀eb"
    assert content.encoding == "mixed"


def test_parts_of_different_tables_are_read_each_by_its_own() -> None:
    parts = fragments(b"a\x1b", b"eb")
    parts[1] = replace(parts[1], part=replace(parts[1].part, single=99))
    content = join(parts).content

    assert content.text == "a eb"
    assert content.flags == ("undecodable-octets",)


def test_r15_gaps_show_where_they_are() -> None:
    parts = fragments(b"One, ", b"two, ", b"three, ", b"four")
    content = join([parts[3], parts[0]]).content

    assert content.text == "One, […][…]four"
    assert content.missing == (2, 3)
    assert not content.complete
    assert join([parts[1]]).content.text == "[…]two, […][…]"


def test_binary_parts_have_no_text() -> None:
    parts = fragments(b"\1", b"\2", charset="binary")

    assert join(parts).content.text == ""
    assert join(parts).content.encoding == "binary"
    assert join(parts[:1]).content.text == ""
    assert join(parts[:1]).content.missing == (2,)


def test_a_segment_twice_is_one() -> None:
    content = join([*fragments(b"a", b"b"), fragment(1, b"a")]).content

    assert content.text == "ab"
    assert content.flags == ()


def test_of_different_segments_of_one_number_the_first_to_arrive_counts() -> None:
    late = fragment(1, b"xx", received_at=9)
    content = join([late, *fragments(b"ab", b"cd")]).content

    assert content.text == "abcd"
    assert content.flags == ("conflicting-part",)


def test_the_origin_is_that_of_the_last_to_arrive() -> None:
    parts = [fragment(1, b"a", received_at=5), fragment(2, b"b", received_at=3)]

    assert join(parts).origin == parts[0].origin
    assert join(parts[::-1]).origin == parts[0].origin


def test_what_the_parts_carry_is_merged() -> None:
    parts = [
        replace(
            fragment(1, b"a"),
            tlvs=((0x0204, b"\0\1"), (Tag.sar_msg_ref_num, b"\0\7")),
            metadata={"message_class": 1},
            flags=("tlv-overrun",),
        ),
        replace(
            fragment(2, b"b"),
            sent_at=77,
            carrier_message_id="m",
            tlvs=((0x0204, b"\0\2"),),
            metadata={"message_class": 2, "source_port": 3},
            flags=("unknown-coding", "tlv-overrun"),
        ),
    ]
    message = join(parts)

    assert message.sent_at == 77
    assert message.carrier_message_id == "m"
    assert message.tlvs == ((0x0204, b"\0\1"),)
    assert message.metadata == {"message_class": 1, "source_port": 3}
    assert message.content.flags == ("tlv-overrun", "unknown-coding")


def test_r01_of_every_parameter_those_of_the_first_part_that_has_it_are_kept() -> None:
    parts = [
        replace(fragment(1, b"a"), tlvs=((0x1401, b"1"), (0x1401, b"2"))),
        replace(fragment(2, b"b"), tlvs=((0x1401, b"3"), (0x1402, b"4"), (0x1402, b"4"))),
    ]

    assert join(parts).tlvs == ((0x1401, b"1"), (0x1401, b"2"), (0x1402, b"4"), (0x1402, b"4"))


def _cut(octets: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[begin:end] for begin, end in pairwise(edges)]


@given(st.text(), st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_where_a_text_is_cut_does_not_matter(text: str, places: list[int]) -> None:
    septets = gsm0338.encode(text)
    if septets is not None:
        assert join(fragments(*_cut(septets, places))).content.text == text
    wide = text.encode("utf-16-be")
    if "\0" not in text and not wide.startswith((b"\xfe\xff", b"\xff\xfe")):
        assert join(fragments(*_cut(wide, places), charset="ucs2")).content.text == text


@given(
    st.lists(
        st.builds(
            Part,
            st.binary(max_size=20),
            st.sampled_from(sorted(charsets.CHARSETS)),
            st.just(0),
            st.binary(max_size=8),
            st.integers(0, 20),
            st.integers(0, 20),
            st.booleans(),
        ),
        min_size=2,
        max_size=6,
    ),
    st.sets(st.integers(0, 5)),
)
def test_any_parts_become_text(parts: list[Part], lost: set[int]) -> None:
    made = [
        replace(fragment_, part=part)
        for fragment_, part in zip(fragments(*[b""] * len(parts)), parts, strict=True)
    ]
    there = [one for place, one in enumerate(made) if place not in lost] or made

    content = join(there).content

    content.text.encode()
    assert "\0" not in content.text
    assert tuple(part for part in content.parts) == tuple(one.part for one in there)
