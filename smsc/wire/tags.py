"""Optional parameters (SMPP 3.4 §5.3.2): every tag, with the form of its value.

Names and forms explain a parameter. Nothing is looked up here in order to accept one: the codec
keeps whatever comes, as (tag, octets), in order, repeated ones too.
"""

from enum import IntEnum
from typing import Literal

from msgspec import Struct

TlvKind = Literal["integer", "c-octet-string", "octets"]


class TlvForm(Struct, frozen=True, gc=False):
    """What a parameter's value looks like where its sender keeps to the specification."""

    kind: TlvKind
    least: int
    """Fewest octets of the value; of a C-octet string with its NUL."""
    most: int
    """Most octets of the value."""


class Tag(IntEnum):
    """Parameter tags by their names in the specification."""

    dest_addr_subunit = 0x0005
    dest_network_type = 0x0006
    dest_bearer_type = 0x0007
    dest_telematics_id = 0x0008
    source_addr_subunit = 0x000D
    source_network_type = 0x000E
    source_bearer_type = 0x000F
    source_telematics_id = 0x0010
    qos_time_to_live = 0x0017
    payload_type = 0x0019
    additional_status_info_text = 0x001D
    receipted_message_id = 0x001E
    ms_msg_wait_facilities = 0x0030
    privacy_indicator = 0x0201
    source_subaddress = 0x0202
    dest_subaddress = 0x0203
    user_message_reference = 0x0204
    user_response_code = 0x0205
    source_port = 0x020A
    destination_port = 0x020B
    sar_msg_ref_num = 0x020C
    language_indicator = 0x020D
    sar_total_segments = 0x020E
    sar_segment_seqnum = 0x020F
    sc_interface_version = 0x0210
    callback_num_pres_ind = 0x0302
    callback_num_atag = 0x0303
    number_of_messages = 0x0304
    callback_num = 0x0381
    dpf_result = 0x0420
    set_dpf = 0x0421
    ms_availability_status = 0x0422
    network_error_code = 0x0423
    message_payload = 0x0424
    delivery_failure_reason = 0x0425
    more_messages_to_send = 0x0426
    message_state = 0x0427
    ussd_service_op = 0x0501
    display_time = 0x1201
    sms_signal = 0x1203
    ms_validity = 0x1204
    alert_on_message_delivery = 0x130C
    its_reply_type = 0x1380
    its_session_info = 0x1383


_ONE = TlvForm("integer", 1, 1)
_TWO = TlvForm("integer", 2, 2)

TLV_FORMS: dict[int, TlvForm] = {
    Tag.dest_addr_subunit: _ONE,
    Tag.dest_network_type: _ONE,
    Tag.dest_bearer_type: _ONE,
    Tag.dest_telematics_id: _TWO,
    Tag.source_addr_subunit: _ONE,
    Tag.source_network_type: _ONE,
    Tag.source_bearer_type: _ONE,
    Tag.source_telematics_id: _ONE,
    Tag.qos_time_to_live: TlvForm("integer", 4, 4),
    Tag.payload_type: _ONE,
    Tag.additional_status_info_text: TlvForm("c-octet-string", 1, 256),
    Tag.receipted_message_id: TlvForm("c-octet-string", 1, 65),
    Tag.ms_msg_wait_facilities: _ONE,
    Tag.privacy_indicator: _ONE,
    Tag.source_subaddress: TlvForm("octets", 2, 23),
    Tag.dest_subaddress: TlvForm("octets", 2, 23),
    Tag.user_message_reference: _TWO,
    Tag.user_response_code: _ONE,
    Tag.source_port: _TWO,
    Tag.destination_port: _TWO,
    Tag.sar_msg_ref_num: _TWO,
    Tag.language_indicator: _ONE,
    Tag.sar_total_segments: _ONE,
    Tag.sar_segment_seqnum: _ONE,
    Tag.sc_interface_version: _ONE,
    Tag.callback_num_pres_ind: _ONE,
    Tag.callback_num_atag: TlvForm("octets", 0, 65),
    Tag.number_of_messages: _ONE,
    Tag.callback_num: TlvForm("octets", 4, 19),
    Tag.dpf_result: _ONE,
    Tag.set_dpf: _ONE,
    Tag.ms_availability_status: _ONE,
    Tag.network_error_code: TlvForm("octets", 3, 3),
    Tag.message_payload: TlvForm("octets", 0, 65_535),
    Tag.delivery_failure_reason: _ONE,
    Tag.more_messages_to_send: _ONE,
    Tag.message_state: _ONE,
    Tag.ussd_service_op: TlvForm("octets", 1, 1),
    Tag.display_time: _ONE,
    Tag.sms_signal: _TWO,
    Tag.ms_validity: _ONE,
    Tag.alert_on_message_delivery: TlvForm("octets", 0, 0),
    Tag.its_reply_type: _ONE,
    Tag.its_session_info: TlvForm("octets", 2, 2),
}
"""The form of every parameter of the specification."""

TAG_NAMES: dict[int, str] = {int(tag): tag.name for tag in Tag}
