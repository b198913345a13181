"""What a PDU says beside its text, as a message's metadata: every name and what it holds.

Names are those of the specification where it has one. Values are whole numbers or text; what
only is or isn't there is 1 where it is. Whatever can't be read is left out: it is still among the
arrival's TLVs, or in the header of its part, as octets. Nothing here raises.
"""

from collections.abc import Callable, Iterable
from typing import Final

from smsc.content.address import normalise
from smsc.content.receipt import MESSAGE_TYPE, MESSAGE_TYPES, RESERVED_TYPE, is_receipt, text_of
from smsc.message import Address
from smsc.text import charset, udh
from smsc.text.coding import INDICATIONS
from smsc.wire.spec import DataSm, DeliverSm, SubmitSm, Tag

Metadata = dict[str, str | int]

NAMES: Final = {
    # -- mandatory fields ------------------------------------------------------------------
    "message_type": "what esm_class makes of it, other than a message or a final receipt:"
    " delivery-acknowledgement, manual-acknowledgement, conversation-abort,"
    " intermediate-notification, reserved (SMPP 3.4 §5.2.12)",
    "reply_path": "1: the sender asks for an answer by the way this message came",
    "service_type": "the carrier's service, such as CMT or WAP, where it names one",
    "protocol_id": "protocol identifier, where it is not 0 (3GPP TS 23.040 §9.2.3.9)",
    "priority": "priority_flag, where it is not 0",
    "source_addr": "the sender as it came, where it was completed or rewritten",
    "source_addr_ton": "the sender's type of number (SMPP 3.4 §5.2.5); where absent it is 1 for"
    " numbers in E.164, 0 for all others",
    "source_addr_npi": "the sender's numbering plan (SMPP 3.4 §5.2.6), likewise",
    "destination_addr": "the recipient as it came, where it was completed or rewritten",
    "dest_addr_ton": "the recipient's type of number, likewise",
    "dest_addr_npi": "the recipient's numbering plan, likewise",
    # -- data_coding and user data header --------------------------------------------------
    "message_class": "0 (shown at once) to 3, where the coding names one",
    "destination_port": "application port the message is for",
    "source_port": "application port it comes from",
    "auto_deletion": "1: to be deleted once read",
    "compressed": "1: the text is compressed, and handed on as octets",
    "waiting": "which messages wait: voicemail, fax, email, other, video",
    "waiting_active": "1: they wait; 0: no longer",
    "waiting_store": "1: the message is to be kept; 0: it is an indication only",
    "waiting_count": "how many wait, 255 for as many or more",
    "waiting_profile": "of which of the subscriber's profiles, 1 to 4",
    "voicemail_address": "where voice mail is heard",
    "voicemail_full": "the mailbox: 0 has room, 1 almost full, 2 full",
    "voicemail_deleted": "1: voice mail was removed",
    "reply_address": "where an answer is to be sent, instead of the sender",
    "locking_shift": "language of the national locking shift table",
    "single_shift": "language of the national single shift table",
    "smsc_control": "SMSC control parameters, as a number",
    "udh_source": "who wrote the header behind it: sender, recipient, smsc",
    "wcmp": "wireless control message, in hexadecimal",
    "email_header": "how many octets of text are the header of an e-mail",
    # -- optional parameters ---------------------------------------------------------------
    "language_indicator": "0 unspecified, 1 English, 2 French, 3 Spanish, 4 German, 5 Portuguese",
    "callback_num": "number to call back",
    "callback_num_pres_ind": "whether it may be shown, as an octet",
    "callback_num_atag": "name to show for it",
    "number_of_messages": "how many messages wait",
    "user_message_reference": "the sender's own reference",
    "user_response_code": "the answer a person chose",
    "privacy_indicator": "0 unrestricted, 1 restricted, 2 confidential, 3 secret",
    "dest_addr_subunit": "1 display, 2 phone, 3 SIM, 4 external unit",
    "source_addr_subunit": "the same of the sender",
    "payload_type": "0 default, 1 WCMP",
    "sms_signal": "how to alert the user, as a number",
    "display_time": "0 temporary, 1 default, 2 invoke",
    "ms_validity": "how long the phone keeps it, as a number",
    "alert_on_message_delivery": "kind of alert; 0 where none is named",
    "more_messages_to_send": "1: more will follow",
    "its_reply_type": "how a person may answer, 0 to 8",
    "its_session_info": "session of an interactive service, in hexadecimal",
    "ussd_service_op": "USSD operation",
    "source_subaddress": "in hexadecimal",
    "dest_subaddress": "in hexadecimal",
    "source_network_type": "0 unknown, 1 GSM, 2 ANSI-136, 3 IS-95, 4 PDC, 5 PHS, 6 iDEN, 7 AMPS",
    "dest_network_type": "the same of the recipient",
    "source_bearer_type": "0 unknown, 1 SMS, 2 circuit data, 3 packet data, 4 USSD …",
    "dest_bearer_type": "the same of the recipient",
    "source_telematics_id": "telematics device of the sender",
    "dest_telematics_id": "telematics device of the recipient",
    "network_error_type": "network of network_error_code: 1 ANSI-136, 2 IS-95, 3 GSM …",
    "network_error_code": "that network's error",
    "delivery_failure_reason": "0 unavailable, 1 invalid, 2 permanent, 3 temporary network error",
    "additional_status_info_text": "the carrier's words",
    "ms_availability_status": "0 available, 1 denied, 2 unavailable",
    "dpf_result": "1: an alert will follow",
    "receipted_message_id": "id of the message that is acknowledged; receipts have fields for it",
    "message_state": "its state, as a number; receipts have a field for it",
    "source_network_id": "network of the sender",
    "dest_network_id": "network of the recipient",
    "source_node_id": "node of the sender, six digits",
    "dest_node_id": "node of the recipient, six digits",
    "dest_addr_np_resolution": "0 not asked for, 1 asked and not ported, 2 asked and ported",
    "dest_addr_np_information": "number portability, in hexadecimal",
    "dest_addr_np_country": "its country, in hexadecimal",
    "billing_identification": "in hexadecimal",
    # -- what was left over ----------------------------------------------------------------
    "tail": "octets behind the last parameter that could be read, in hexadecimal",
}
"""Every name of metadata, in one place, and what it holds."""

_Reader = Callable[[str, bytes, Metadata], None]


def _number(name: str, value: bytes, metadata: Metadata) -> None:
    if 1 <= len(value) <= 4:
        metadata[name] = int.from_bytes(value, "big")


def _words(name: str, value: bytes, metadata: Metadata) -> None:
    text = text_of(value)
    if text is not None:
        metadata[name] = text


def _digits(name: str, value: bytes, metadata: Metadata) -> None:
    if value:
        metadata[name] = value.hex()


def _alert(name: str, value: bytes, metadata: Metadata) -> None:
    metadata[name] = value[0] if value else 0


_DIALLED = frozenset("+0123456789*#")


def _callback(name: str, value: bytes, metadata: Metadata) -> None:
    """SMPP 3.4 §5.3.2.36: digit mode, type of number, plan, digits.

    The mode is how the phone is told them: as BCD (0) or ASCII (1). Here they are ASCII in either,
    says the same section; some senders have them in BCD all the same. No number is both.
    """
    if len(value) < 4:
        return
    mode, ton, npi = value[:3]
    digits = text_of(value[3:]) or ""
    if not mode & 1 and not _DIALLED.issuperset(digits):
        digits = udh.dialled(value[3:])
    if digits:
        metadata[name] = normalise(digits, ton, npi, "").value


def _tagged(name: str, value: bytes, metadata: Metadata) -> None:
    """SMPP 3.4 §5.3.2.38: a coding and text in it."""
    if len(value) > 1:
        text, _ = charset.decode(charset.for_coding(value[0], {})[0], value[1:])
        if text:
            metadata[name] = text


def _facilities(_name: str, value: bytes, metadata: Metadata) -> None:
    """SMPP 3.4 §5.3.2.13: bit 7 says whether messages wait, bits 1 and 0 which."""
    if len(value) == 1 and "waiting" not in metadata:
        metadata["waiting"] = INDICATIONS[value[0] & 3]
        metadata["waiting_active"] = value[0] >> 7


def _network_error(_name: str, value: bytes, metadata: Metadata) -> None:
    if len(value) == 3:
        metadata["network_error_type"] = value[0]
        metadata["network_error_code"] = int.from_bytes(value[1:], "big")


_READERS: dict[int, tuple[str, _Reader]] = {
    int(tag): (tag.name, reader)
    for reader, tags in (
        (
            _number,
            (
                Tag.language_indicator,
                Tag.callback_num_pres_ind,
                Tag.number_of_messages,
                Tag.user_message_reference,
                Tag.user_response_code,
                Tag.privacy_indicator,
                Tag.dest_addr_subunit,
                Tag.source_addr_subunit,
                Tag.payload_type,
                Tag.sms_signal,
                Tag.display_time,
                Tag.ms_validity,
                Tag.more_messages_to_send,
                Tag.its_reply_type,
                Tag.ussd_service_op,
                Tag.source_network_type,
                Tag.dest_network_type,
                Tag.source_bearer_type,
                Tag.dest_bearer_type,
                Tag.source_telematics_id,
                Tag.dest_telematics_id,
                Tag.delivery_failure_reason,
                Tag.ms_availability_status,
                Tag.dpf_result,
                Tag.message_state,
                Tag.destination_port,
                Tag.source_port,
                Tag.dest_addr_np_resolution,
            ),
        ),
        (
            _words,
            (
                Tag.additional_status_info_text,
                Tag.receipted_message_id,
                Tag.source_network_id,
                Tag.dest_network_id,
                Tag.source_node_id,
                Tag.dest_node_id,
            ),
        ),
        (
            _digits,
            (
                Tag.its_session_info,
                Tag.source_subaddress,
                Tag.dest_subaddress,
                Tag.dest_addr_np_information,
                Tag.dest_addr_np_country,
                Tag.billing_identification,
            ),
        ),
        (_alert, (Tag.alert_on_message_delivery,)),
        (_callback, (Tag.callback_num,)),
        (_tagged, (Tag.callback_num_atag,)),
        (_facilities, (Tag.ms_msg_wait_facilities,)),
        (_network_error, (Tag.network_error_code,)),
    )
    for tag in tags
}


def of_tlvs(tlvs: Iterable[tuple[int, bytes]], metadata: Metadata) -> None:
    """Add what optional parameters say; what is there already stays, the first of a tag counts."""
    for tag, value in tlvs:
        known = _READERS.get(tag)
        if known is not None and known[0] not in metadata:
            known[1](known[0], value, metadata)


REPLY_PATH: Final = 0x80
"""Bit of esm_class (SMPP 3.4 §5.2.12)."""


def of_fields(body: DeliverSm | SubmitSm | DataSm, metadata: Metadata) -> None:
    """Add what the mandatory fields say, except coding and addresses."""
    kind = body.esm_class & MESSAGE_TYPE
    if kind:
        name = MESSAGE_TYPES.get(kind)
        if name is not None or not is_receipt(kind):
            metadata["message_type"] = name or RESERVED_TYPE
    if body.esm_class & REPLY_PATH:
        metadata["reply_path"] = 1
    if body.service_type:
        metadata["service_type"] = body.service_type
    if not isinstance(body, DataSm):
        if body.protocol_id:
            metadata["protocol_id"] = body.protocol_id
        if body.priority_flag:
            metadata["priority"] = body.priority_flag


def of_address(
    end: str, value: str, ton: int, npi: int, address: Address, metadata: Metadata
) -> None:
    """Add what an address came as (``end`` is ``source`` or ``dest``).

    Its type and plan, unless it is in E.164 and they are 1 and 1, or it is not and they are 0 and
    0; and its digits, where they were completed or rewritten. So nothing of it is lost.
    """
    plain = 1 if address.type == "e164" else 0
    if address.value not in (value, "+" + value):
        metadata["source_addr" if end == "source" else "destination_addr"] = value
    if ton != plain or npi != plain:
        metadata[f"{end}_addr_ton"] = ton
        metadata[f"{end}_addr_npi"] = npi
