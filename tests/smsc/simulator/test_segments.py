import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.simulator.segments import Concatenation, Encoding, Segment, segments
from smsc.text import gsm0338
from smsc.wire.spec import Tag

GSM = st.text(st.sampled_from(sorted(set(gsm0338.DEFAULT) - {"\x1b"}) + list("^{}[]~|€\\")))


def texts(parts: list[Segment], header: int = 0) -> str:
    """Joined octets first, decoded once."""
    octets = b"".join(part.octets[header:] for part in parts)
    if parts[0].data_coding == 8:
        return octets.decode("utf-16-be")
    return gsm0338.decode(octets)[0]


def test_a_short_text_is_one_plain_segment() -> None:
    assert segments("hello @") == [Segment(b"hello \0", 0)]


def test_what_the_alphabet_lacks_goes_as_ucs2() -> None:
    assert segments("hi 😀") == [Segment("hi 😀".encode("utf-16-be"), 8)]


def test_an_empty_text_is_one_empty_segment() -> None:
    assert segments("") == [Segment(b"", 0)]


@pytest.mark.parametrize(
    ("encoding", "coding", "octets"),
    [
        ("gsm7", 0, b"caf\x05"),
        ("ucs2", 8, b"\0c\0a\0f\0\xe9"),
        ("latin1", 3, b"caf\xe9"),
        ("binary", 4, b"caf\xe9"),
    ],
)
def test_a_given_encoding_is_used(encoding: Encoding, coding: int, octets: bytes) -> None:
    assert segments("café", encoding=encoding) == [Segment(octets, coding)]


@pytest.mark.parametrize(
    ("encoding", "coding", "octets"),
    [
        ("ucs2-le", 8, b"\xe5e"),
        ("utf-8", 0, b"\xe6\x97\xa5"),
        ("shift_jis", 5, b"\x93\xfa"),
        ("iso-2022-jp", 10, b"\x1b$BF|\x1b(B"),
        ("euc-jp", 13, b"\xc6\xfc"),
        ("euc-kr", 14, b"\xec\xed"),
    ],
)
def test_encodings_of_the_far_east(encoding: Encoding, coding: int, octets: bytes) -> None:
    assert segments("日", encoding=encoding) == [Segment(octets, coding)]


def test_a_coding_of_the_carriers_own() -> None:
    assert segments("é", encoding="utf-8", data_coding=8) == [Segment(b"\xc3\xa9", 8)]


def test_national_tables_are_named_in_each_header() -> None:
    assert segments("ğ", locking=1) == [Segment(b"\x03\x25\x01\x01\x0c", 0, 0x40)]
    assert segments("ğ", single=1) == [Segment(b"\x03\x24\x01\x01\x1bg", 0, 0x40)]
    parts = segments("ğ" * 200, locking=1, single=3, reference=9)
    assert [part.octets[:12].hex() for part in parts] == [
        "0b00030902012401032501" + "01",
        "0b00030902022401032501" + "01",
    ]
    assert [len(part.octets) - 12 for part in parts] == [146, 54]
    (whole,) = segments("ğ", locking=1, concatenation="payload")
    assert whole.tlvs == ((Tag.message_payload, b"\x03\x25\x01\x01\x0c"),)
    assert whole.esm_class == 0x40


def test_packed_septets_end_in_a_carriage_return_where_seven_bits_are_left() -> None:
    assert segments("1234567", packed=True)[0].octets.hex() == "31d98c56b3dd1a"
    assert segments("12345678", packed=True)[0].octets.hex() == "31d98c56b3dd70"
    assert segments("", packed=True)[0].octets == b""


def test_packed_segments_are_full_with_the_header_they_have() -> None:
    parts = segments("x" * 400, packed=True)

    assert [len(part.octets) for part in parts] == [140, 140, 6 + 83]
    assert len(segments("x" * 160, packed=True)[0].octets) == 140
    # One fill bit, so that the text begins on a septet: 0x78 << 1.
    assert parts[0].octets[6] == 0xF0


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "iso-2022-jp", "euc-jp", "euc-kr"])
def test_no_segment_ends_within_a_character(encoding: Encoding) -> None:
    codec = {"shift_jis": "cp932", "iso-2022-jp": "iso2022_jp_ext"}.get(encoding, encoding)
    text = "a日本b" * 60

    parts = segments(text, encoding=encoding)

    assert "".join(part.octets[6:].decode(codec) for part in parts) == text
    assert all(120 <= len(part.octets) <= 140 for part in parts[:-1])


@pytest.mark.parametrize(
    ("text", "encoding"), [("日", "gsm7"), ("日", "latin1"), ("é", "ascii"), ("日", "binary")]
)
def test_an_encoding_that_lacks_a_character_is_refused(text: str, encoding: Encoding) -> None:
    with pytest.raises(ValueError):
        segments(text, encoding=encoding)


@pytest.mark.parametrize(
    ("concatenation", "gsm", "ucs2"),
    [("udh8", 153, 67), ("udh16", 152, 66), ("sar", 160, 70)],
)
def test_segments_are_as_long_as_the_air_allows(
    concatenation: Concatenation, gsm: int, ucs2: int
) -> None:
    header = {"udh8": 6, "udh16": 7, "sar": 0}[concatenation]
    assert len(segments("x" * 160, concatenation=concatenation)) == 1
    assert len(segments("ж" * 70, concatenation=concatenation)) == 1

    parts = segments("x" * 161, concatenation=concatenation)
    assert [len(part.octets) - header for part in parts] == [gsm, 161 - gsm]
    parts = segments("ж" * 71, concatenation=concatenation)
    assert [len(part.octets) - header for part in parts] == [2 * ucs2, 142 - 2 * ucs2]


def test_headers_say_which_segment_this_is() -> None:
    parts = segments("x" * 400, reference=0x1FE)
    assert [part.octets[:6].hex() for part in parts] == [
        "050003fe0301",
        "050003fe0302",
        "050003fe0303",
    ]
    assert {part.esm_class for part in parts} == {0x40}

    parts = segments("x" * 300, reference=0x1FE, concatenation="udh16")
    assert [part.octets[:7].hex() for part in parts] == ["06080401fe0201", "06080401fe0202"]

    parts = segments("x" * 300, reference=0x1FE, concatenation="sar")
    assert parts[1].tlvs == (
        (Tag.sar_msg_ref_num, b"\x01\xfe"),
        (Tag.sar_total_segments, b"\x02"),
        (Tag.sar_segment_seqnum, b"\x02"),
    )
    assert parts[1].esm_class == 0


def test_payload_is_one_segment_however_long() -> None:
    (part,) = segments("x" * 1_000, concatenation="payload")

    assert part.octets == b""
    assert part.tlvs == ((Tag.message_payload, b"x" * 1_000),)


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        segments("x" * (153 * 255 + 1))
    with pytest.raises(ValueError, match="65,535"):
        segments("x" * 65_536, concatenation="payload")


@given(text=st.text(st.sampled_from("a😀ж"), max_size=300), little=st.booleans())
def test_no_segment_ends_within_a_surrogate_pair(text: str, *, little: bool) -> None:
    parts = segments(text, encoding="ucs2-le" if little else "ucs2")

    header = 6 if len(parts) > 1 else 0
    codec = "utf-16-le" if little else "utf-16-be"
    assert "".join(part.octets[header:].decode(codec) for part in parts) == text
    assert all(len(part.octets) <= 140 for part in parts)


@given(text=GSM.map(lambda text: text * 7))
def test_no_segment_ends_within_an_escape(text: str) -> None:
    parts = segments(text, encoding="gsm7")

    header = 6 if len(parts) > 1 else 0
    assert "".join(gsm0338.decode(part.octets[header:])[0] for part in parts) == text
    assert all(len(part.octets) - header <= (153 if header else 160) for part in parts)


@given(text=st.one_of(GSM, st.text(st.sampled_from("€😀ж"))).map(lambda text: text * 5))
def test_segments_split_anywhere_still_join(text: str) -> None:
    parts = segments(text, split_anywhere=True)

    assert texts(parts, 6 if len(parts) > 1 else 0) == text


def test_split_anywhere_does_split_pairs() -> None:
    first, _ = segments("😀" * 40, split_anywhere=True)

    with pytest.raises(UnicodeDecodeError):
        first.octets[6:].decode("utf-16-be")
