from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.content import receipt
from smsc.wire.spec import Tag


@pytest.mark.parametrize(
    ("esm_class", "expected"),
    [
        (0x00, False),
        (0x03, False),
        (0x04, True),
        (0x07, True),
        (0x44, True),
        (0x08, False),
        (0x0C, False),
        (0x10, False),
        (0x18, False),
        (0x20, True),
        (0x24, True),
        (0x40, False),
        (0x80, False),
    ],
)
def test_r21_esm_class_alone_decides(esm_class: int, expected: bool) -> None:
    """R21: the text never makes a receipt."""
    assert receipt.is_receipt(esm_class) is expected


def test_r20_fields_in_any_order_and_case() -> None:
    """R20: receipts are read in any order and case."""
    fields = receipt.read(
        "STAT:delivrd Err:001 SUBMIT_DATE:1005232039 Id:7f DLVRD:002 sub:003 Text:hi", (), "UTC"
    )

    assert fields.stat == "DELIVRD"
    assert fields.err == "001"
    assert fields.submit_date == datetime(2010, 5, 23, 20, 39, tzinfo=UTC)
    assert fields.id == fields.id_text == "7f"
    assert (fields.sub, fields.dlvrd) == (3, 2)
    assert fields.text == "hi"


def test_what_a_person_wrote_is_no_field() -> None:
    fields = receipt.read("id:1 stat:DELIVRD text:my id:2 err:9 stat:EXPIRED", (), "UTC")

    assert fields.id == "1"
    assert fields.stat == "DELIVRD"
    assert fields.err is None
    assert fields.text == "my id:2 err:9 stat:EXPIRED"


@pytest.mark.parametrize("name", ["submit date", "Submit_Date", "submitdate", "SUBMIT date"])
def test_r20_names_are_written_in_many_ways(name: str) -> None:
    fields = receipt.read(f"{name}:1005232039 stat:DELIVRD", (), "UTC")

    assert fields.submit_date == datetime(2010, 5, 23, 20, 39, tzinfo=UTC)


def test_r20_what_is_not_ascii_is_kept() -> None:
    fields = receipt.read("id:1 stat:DELIVRD err:000 text:Grüße, 你好", (), "UTC")

    assert fields.text == "Grüße, 你好"


def test_a_text_that_comes_before_the_state_ends_where_fields_go_on() -> None:
    fields = receipt.read("id:1 text:hello stat:DELIVRD err:000", (), "UTC")

    assert fields.text == "hello "
    assert fields.stat == "DELIVRD"
    assert fields.err == "000"


def test_an_empty_value_does_not_take_the_next_name() -> None:
    fields = receipt.read("id: sub:001 stat: err:", (), "UTC")

    assert fields.id is None
    assert fields.stat is None
    assert fields.err is None
    assert fields.sub == 1


def test_a_space_behind_the_colon_is_no_value() -> None:
    assert receipt.read("id: 12 stat: DELIVRD", (), "UTC").id == "12"


def test_long_states_are_abbreviated_and_strange_ones_kept() -> None:
    assert receipt.read("stat:Delivered", (), "UTC").stat == "DELIVRD"
    assert receipt.read("stat:FAILED", (), "UTC").stat == "FAILED"


def test_r20_parameters_go_before_the_text() -> None:
    """R20: TLVs go first."""
    fields = receipt.read(
        "id:5000 stat:DELIVRD",
        ((Tag.receipted_message_id, b"6000\0\0"), (Tag.message_state, b"\6")),
        "UTC",
    )

    assert (fields.id, fields.id_text, fields.id_tlv) == ("6000", "5000", "6000")
    assert fields.stat == "ACCEPTD"


@pytest.mark.parametrize("state", [b"", b"\0", b"\xff"])
def test_a_state_that_says_nothing_leaves_it_to_the_text(state: bytes) -> None:
    fields = receipt.read("stat:UNDELIV", ((Tag.message_state, state),), "UTC")

    assert fields.stat == "UNDELIV"


def test_a_state_of_two_octets_is_read_by_its_value() -> None:
    assert receipt.read("", ((Tag.message_state, b"\0\2"),), "UTC").stat == "DELIVRD"


def test_the_network_error_stands_in_for_a_missing_err() -> None:
    tlvs = ((Tag.network_error_code, b"\3\1\2"),)

    assert receipt.read("", tlvs, "UTC").err == "258"
    assert receipt.read("", tlvs, "UTC").network_error == (3, 258)
    assert receipt.read("err:007", tlvs, "UTC").err == "007"
    assert receipt.read("", ((Tag.network_error_code, b"\3\0\0\0"),), "UTC").err is None


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("1005232039", "2010-05-23T20:39:00"),
        ("7001010000", "1970-01-01T00:00:00"),
        ("6912312359", "2069-12-31T23:59:00"),
        ("080901113012", "2008-09-01T11:30:12"),
        ("201506201641", "2015-06-20T16:41:00"),
        ("20110314181534", "2011-03-14T18:15:34"),
    ],
)
def test_dates(digits: str, expected: str) -> None:
    date = receipt.date(digits, "UTC")

    assert date is not None
    assert date.replace(tzinfo=None).isoformat() == expected


@pytest.mark.parametrize(
    "digits", ["", "0000000000", "00000000000000", "1013012039", "123", "201505", "²²²²²²²²²²", "x"]
)
def test_what_is_no_date(digits: str) -> None:
    assert receipt.date(digits, "UTC") is None


@pytest.mark.parametrize("digits", ["00010101000000", "99991231235959"])
@pytest.mark.parametrize("time_zone", ["Asia/Tokyo", "America/New_York"])
def test_a_date_that_no_other_zone_can_write_is_none(digits: str, time_zone: str) -> None:
    assert receipt.date(digits, time_zone) is None


def test_dates_are_in_the_accounts_zone() -> None:
    summer = receipt.date("2607011200", "Europe/Berlin")

    assert summer == datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert receipt.millis(summer) == 1_782_900_000_000
    assert receipt.date("2607011200", "No/Where") == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert receipt.millis(None) is None


@pytest.mark.parametrize(
    ("rule", "text", "tlv", "expected"),
    [
        # As is: the parameter, untouched.
        ("as-is", "00AbC", None, "00AbC"),
        ("as-is", "1494323512", "59119138", "59119138"),
        ("as-is", None, None, None),
        # One number in two bases: whichever of them is in the base asked for.
        ("decimal", "1494323512", "59119138", "1494323512"),
        ("hexadecimal", "1494323512", "59119138", "59119138"),
        ("decimal", "59119138", "1494323512", "1494323512"),
        ("hexadecimal", "59119138", "1494323512", "59119138"),
        ("decimal-to-hexadecimal", "1494323512", "59119138", "59119138"),
        ("hexadecimal-to-decimal", "1494323512", "59119138", "1494323512"),
        ("hexadecimal", "0012", "0C", "c"),
        # A letter tells the base.
        ("decimal", "38601FA", None, "59113978"),
        ("decimal", None, "38601fa", "59113978"),
        ("hexadecimal", "0B7FE00400", None, "b7fe00400"),
        ("decimal-to-hexadecimal", "0B7FE00400", None, "b7fe00400"),
        # Digits alone tell none, unless the account does.
        ("decimal", "00123", None, "123"),
        ("hexadecimal", "00123", None, "123"),
        ("decimal-to-hexadecimal", "00123", None, "7b"),
        ("hexadecimal-to-decimal", "00123", None, "291"),
        ("decimal", "000", None, "0"),
        # Two that are unrelated: the parameter.
        ("decimal", "5000", "6000", "6000"),
        ("hexadecimal-to-decimal", "5000", "ff", "255"),
        # No numbers.
        ("decimal", "4a38dc46-5125-4969", None, "4a38dc46-5125-4969"),
        ("hexadecimal", None, "m_1", "m_1"),
        ("decimal", "f" * 65, None, "f" * 65),
        ("decimal", "²", None, "²"),
    ],
)
def test_r19_ids_are_published_in_the_form_the_account_asks_for(
    rule: str, text: str | None, tlv: str | None, expected: str | None
) -> None:
    assert receipt.normal_id(text, tlv, rule) == expected


def test_r19_the_raw_ids_stay_beside_the_normal_one() -> None:
    tlvs = ((Tag.receipted_message_id, b"59119138\0"),)
    fields = receipt.read("id:1494323512 stat:DELIVRD", tlvs, "UTC", "decimal")

    assert (fields.id_text, fields.id_tlv, fields.id) == ("1494323512", "59119138", "1494323512")


@given(st.text(max_size=70), st.text(max_size=70), st.sampled_from(receipt.ID_RULES))
def test_any_id_has_a_normal_form(text: str, tlv: str, rule: str) -> None:
    once = receipt.normal_id(text, tlv, rule)

    assert once or not (text or tlv)


@pytest.mark.parametrize(
    ("text", "tlvs", "expected"),
    [
        ("id:1 stat:DELIVRD", (), True),
        ("ID:1 Stat:Delivered", (), True),
        ("id:1 stat:FAILED err:5 sub:001", (), True),
        ("id:1 stat:FAILED err:5", (), False),
        ("my id: 5, stat: fine thanks", (), False),
        ("stat:DELIVRD", (), False),
        ("id:1", (), False),
        ("Parcel 7: delivered", (), False),
        ("7 2", ((Tag.receipted_message_id, b"7\0"), (Tag.message_state, b"\2")), True),
        ("7 2", ((Tag.receipted_message_id, b"7\0"),), False),
        ("7 2", ((Tag.message_state, b"\2"),), False),
    ],
)
def test_r21_what_reads_like_a_receipt(
    text: str, tlvs: tuple[tuple[int, bytes], ...], expected: bool
) -> None:
    worth_it = receipt.may_be_one(text, tlvs)

    assert (worth_it and receipt.reads_like_one(receipt.read(text, tlvs, "UTC"))) is expected


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["id:", "stat:", "text:", "submit date:", "done date:", "sub:", "err:", " ", ":"]
            ),
            st.text(max_size=8),
            st.from_regex(r"\d{10,14}", fullmatch=True),
        )
    ).map("".join),
    st.lists(
        st.tuples(
            st.sampled_from([Tag.receipted_message_id, Tag.message_state, Tag.network_error_code]),
            st.binary(max_size=5),
        )
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "../etc/passwd", ""]),
)
def test_any_text_is_read(text: str, tlvs: list[tuple[int, bytes]], time_zone: str) -> None:
    fields = receipt.read(text, tlvs, time_zone)

    receipt.millis(fields.submit_date)
    receipt.millis(fields.done_date)
