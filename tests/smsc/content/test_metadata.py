import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.content import metadata
from smsc.content.metadata import Metadata, of_address, of_fields, of_tlvs
from smsc.message import Address
from smsc.text import coding, udh
from smsc.wire.spec import DataSm, DeliverSm, SubmitSm, Tag


def of(*tlvs: tuple[int, bytes]) -> Metadata:
    found: Metadata = {}
    of_tlvs(tlvs, found)
    return found


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (Tag.language_indicator, b"\4", {"language_indicator": 4}),
        (Tag.user_message_reference, b"\1\2", {"user_message_reference": 258}),
        (Tag.user_response_code, b"\7", {"user_response_code": 7}),
        (Tag.sms_signal, b"\1\0", {"sms_signal": 256}),
        (Tag.privacy_indicator, b"\3", {"privacy_indicator": 3}),
        (Tag.dest_addr_subunit, b"\3", {"dest_addr_subunit": 3}),
        (Tag.source_port, b"\x23\xf0", {"source_port": 9200}),
        (Tag.destination_port, b"\x0b\x84", {"destination_port": 2948}),
        (Tag.additional_status_info_text, b"gone\0", {"additional_status_info_text": "gone"}),
        (Tag.receipted_message_id, b"7f", {"receipted_message_id": "7f"}),
        (Tag.source_subaddress, b"\xa0\x12", {"source_subaddress": "a012"}),
        (Tag.alert_on_message_delivery, b"", {"alert_on_message_delivery": 0}),
        (Tag.alert_on_message_delivery, b"\2", {"alert_on_message_delivery": 2}),
        (
            Tag.network_error_code,
            b"\3\0\x22",
            {"network_error_type": 3, "network_error_code": 34},
        ),
        (Tag.callback_num, b"\1\1\1" + b"447700900123", {"callback_num": "+447700900123"}),
        (Tag.callback_num, b"\1\0\0" + b"100\0", {"callback_num": "100"}),
        (Tag.callback_num, bytes.fromhex("000101447700091032"), {"callback_num": "+447700900123"}),
        (Tag.callback_num, b"\0\1\1" + b"447700900123", {"callback_num": "+447700900123"}),
        (Tag.callback_num_atag, b"\0Office", {"callback_num_atag": "Office"}),
        (Tag.callback_num_atag, b"\x08\x00H\x00i", {"callback_num_atag": "Hi"}),
        (Tag.ms_msg_wait_facilities, b"\x80", {"waiting": "voicemail", "waiting_active": 1}),
        (Tag.ms_msg_wait_facilities, b"\x02", {"waiting": "email", "waiting_active": 0}),
        (Tag.source_node_id, b"000123", {"source_node_id": "000123"}),
        # What has an impossible form says nothing.
        (Tag.language_indicator, b"", {}),
        (Tag.user_message_reference, b"12345", {}),
        (Tag.network_error_code, b"\3\0", {}),
        (Tag.callback_num, b"\1\1", {}),
        (Tag.callback_num_atag, b"\0", {}),
        (Tag.ms_msg_wait_facilities, b"", {}),
        (Tag.receipted_message_id, b"\0", {}),
        # Segments and content are read elsewhere, and a carrier's own parameters are its own.
        (Tag.sar_total_segments, b"\2", {}),
        (Tag.message_payload, b"hello", {}),
        (0x1400, b"\1", {}),
    ],
)
def test_parameters(tag: int, value: bytes, expected: Metadata) -> None:
    assert of((tag, value)) == expected


def test_the_first_of_a_parameter_counts_and_what_is_there_stays() -> None:
    assert of((Tag.language_indicator, b"\1"), (Tag.language_indicator, b"\2")) == {
        "language_indicator": 1
    }
    found: Metadata = {"destination_port": 2948, "waiting": "fax"}
    of_tlvs(((Tag.destination_port, b"\0\1"), (Tag.ms_msg_wait_facilities, b"\x80")), found)
    assert found == {"destination_port": 2948, "waiting": "fax"}


def test_fields() -> None:
    found: Metadata = {}
    of_fields(
        DeliverSm(esm_class=0xA0, service_type="WAP", protocol_id=0x41, priority_flag=2), found
    )

    assert found == {
        "message_type": "intermediate-notification",
        "reply_path": 1,
        "service_type": "WAP",
        "protocol_id": 0x41,
        "priority": 2,
    }
    for body in (DeliverSm(), SubmitSm(esm_class=0x43), DataSm(esm_class=0x04)):
        nothing: Metadata = {}
        of_fields(body, nothing)
        assert nothing == {}


@pytest.mark.parametrize(
    ("value", "ton", "npi", "address", "expected"),
    [
        ("447700", 1, 1, Address("+447700", "e164"), {}),
        ("447700", 1, 0, Address("+447700", "e164"), {"dest_addr_ton": 1, "dest_addr_npi": 0}),
        ("+447700", 0, 0, Address("+447700", "e164"), {"dest_addr_ton": 0, "dest_addr_npi": 0}),
        (
            "07700",
            2,
            1,
            Address("+447700", "e164"),
            {"destination_addr": "07700", "dest_addr_ton": 2, "dest_addr_npi": 1},
        ),
        ("40404", 0, 0, Address("40404", "shortcode"), {}),
        ("INFO", 5, 0, Address("INFO", "alphanumeric"), {"dest_addr_ton": 5, "dest_addr_npi": 0}),
    ],
)
def test_r25_how_an_address_came_can_be_told(
    value: str, ton: int, npi: int, address: Address, expected: Metadata
) -> None:
    found: Metadata = {}
    of_address("dest", value, ton, npi, address, found)

    assert found == expected


BODIES = st.builds(
    DeliverSm,
    esm_class=st.integers(0, 255),
    protocol_id=st.integers(0, 255),
    priority_flag=st.integers(0, 255),
    service_type=st.text(alphabet="ABC", max_size=5),
)
ELEMENTS = st.lists(st.tuples(st.integers(0, 0x26), st.binary(max_size=12)), max_size=4)


@given(
    BODIES,
    st.lists(
        st.tuples(st.sampled_from([int(tag) for tag in Tag]), st.binary(max_size=20)), max_size=6
    ),
    ELEMENTS,
    st.integers(0, 255),
)
def test_every_name_is_documented_and_every_value_is_a_number_or_text(
    body: DeliverSm,
    tlvs: list[tuple[int, bytes]],
    elements: list[tuple[int, bytes]],
    data_coding: int,
) -> None:
    found: Metadata = {**coding.metadata(data_coding), **udh.metadata(tuple(elements))}
    of_fields(body, found)
    of_tlvs(tlvs, found)
    of_address("source", "1", 2, 3, Address("1", "national"), found)

    assert found.keys() <= metadata.NAMES.keys()
    for value in found.values():
        assert type(value) in (int, str)
        str(value).encode()
