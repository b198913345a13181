"""Optional parameters (TLVs): every tag, with the form of its value.

Those of SMPP 3.4 (§5.3.2), and those that 5.0 added (§4.8.1): ``congestion_state``, broadcasts,
networks and number portability. Any other tag belongs to a *range*: carriers define parameters
of their own in 0x1400–0x3FFF, and use others too.

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
    congestion_state = 0x0428
    ussd_service_op = 0x0501
    broadcast_channel_indicator = 0x0600
    broadcast_content_type = 0x0601
    broadcast_content_type_info = 0x0602
    broadcast_message_class = 0x0603
    broadcast_rep_num = 0x0604
    broadcast_frequency_interval = 0x0605
    broadcast_area_identifier = 0x0606
    broadcast_error_status = 0x0607
    broadcast_area_success = 0x0608
    broadcast_end_time = 0x0609
    broadcast_service_group = 0x060A
    billing_identification = 0x060B
    source_network_id = 0x060D
    dest_network_id = 0x060E
    source_node_id = 0x060F
    dest_node_id = 0x0610
    dest_addr_np_resolution = 0x0611
    dest_addr_np_information = 0x0612
    dest_addr_np_country = 0x0613
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
    Tag.congestion_state: _ONE,
    Tag.ussd_service_op: TlvForm("octets", 1, 1),
    Tag.broadcast_channel_indicator: _ONE,
    Tag.broadcast_content_type: TlvForm("octets", 3, 3),
    Tag.broadcast_content_type_info: TlvForm("octets", 1, 255),
    Tag.broadcast_message_class: _ONE,
    Tag.broadcast_rep_num: _TWO,
    Tag.broadcast_frequency_interval: TlvForm("octets", 3, 3),
    Tag.broadcast_area_identifier: TlvForm("octets", 1, 65_535),
    Tag.broadcast_error_status: TlvForm("integer", 4, 4),
    Tag.broadcast_area_success: _ONE,
    Tag.broadcast_end_time: TlvForm("c-octet-string", 16, 17),
    Tag.broadcast_service_group: TlvForm("octets", 1, 255),
    Tag.billing_identification: TlvForm("octets", 1, 1_024),
    Tag.source_network_id: TlvForm("c-octet-string", 7, 66),
    Tag.dest_network_id: TlvForm("c-octet-string", 7, 66),
    Tag.source_node_id: TlvForm("octets", 6, 6),
    Tag.dest_node_id: TlvForm("octets", 6, 6),
    Tag.dest_addr_np_resolution: _ONE,
    Tag.dest_addr_np_information: TlvForm("octets", 0, 10),
    Tag.dest_addr_np_country: TlvForm("octets", 1, 5),
    Tag.display_time: _ONE,
    Tag.sms_signal: _TWO,
    Tag.ms_validity: TlvForm("octets", 1, 4),  # 5.0 adds a unit and a number
    Tag.alert_on_message_delivery: TlvForm("octets", 0, 1),  # 5.0 adds a kind of alert
    Tag.its_reply_type: _ONE,
    Tag.its_session_info: TlvForm("octets", 2, 2),
}
"""The form of every parameter of the specifications."""

TAG_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0000, 0x05FF, "reserved"),
    (0x0600, 0x10FF, "reserved for extensions of SMPP"),
    (0x1100, 0x13FF, "reserved"),
    (0x1400, 0x3FFF, "the carrier's own"),
    (0x4000, 0xFFFF, "reserved"),
)
"""First, last, and what a tag between them is where it has no name: all 16 bits."""

TAG_NAMES: dict[int, str] = {int(tag): tag.name for tag in Tag}


def tag_name(tag: int) -> str:
    """Return the specification's name of a tag, or four hex digits and what range they are of."""
    name = TAG_NAMES.get(tag)
    if name is not None:
        return name
    words = next((words for first, last, words in TAG_RANGES if first <= tag <= last), "")
    return f"{tag:04x}, {words}"
