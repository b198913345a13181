"""SMPP 3.4 and 5.0 as data: the body of every command, and all the tables around it.

Each struct below **is** the specification of its command: fields in the order of the wire, each
with its wire form (:mod:`smsc.wire.fields`). Codec and explanations are derived from them.
Sections cited are of the SMPP 3.4 specification, issue 1.2, unless 5.0 is named. 5.0 adds
broadcasts, parameters and statuses, and lengthens nothing that 3.4 has but ``short_message``, to
255 octets, which are read and flagged.

The other tables are re-exported from here: commands and who may send them when
(:mod:`smsc.wire.commands`), statuses (:mod:`smsc.wire.statuses`), optional parameters
(:mod:`smsc.wire.tags`).
"""

from typing import Annotated, ClassVar

from smsc.wire.commands import (
    ARRIVALS,
    BINDS,
    COMMAND_NAMES,
    PEER_MAY_SEND,
    REFUSED_WHEN_BOUND,
    RESPONSE_BIT,
    UNANSWERED,
    CommandId,
    LinkState,
    allowed,
    answer_id,
    refusal,
)
from smsc.wire.fields import (
    Body,
    CString,
    Element,
    Field,
    Int1,
    Int4,
    Integer,
    Kind,
    Listing,
    Octets,
    fields_of,
)
from smsc.wire.statuses import (
    STATUS_NAMES,
    STATUS_RANGES,
    STATUS_TEXT,
    Status,
    status_name,
    status_text,
)
from smsc.wire.tags import TAG_NAMES, TAG_RANGES, TLV_FORMS, Tag, TlvForm, tag_name

__all__ = [
    "ARRIVALS",
    "BINDS",
    "BIND_STRING_LIMIT",
    "BODIES",
    "COMMANDS",
    "COMMAND_NAMES",
    "FIELD_STATUS",
    "PEER_MAY_SEND",
    "REFUSED_WHEN_BOUND",
    "RESPONSE_BIT",
    "STATUS_NAMES",
    "STATUS_RANGES",
    "STATUS_TEXT",
    "TAG_NAMES",
    "TAG_RANGES",
    "TLV_FORMS",
    "UNANSWERED",
    "AlertNotification",
    "Bind",
    "BindReceiver",
    "BindReceiverResp",
    "BindResp",
    "BindTransceiver",
    "BindTransceiverResp",
    "BindTransmitter",
    "BindTransmitterResp",
    "Body",
    "BroadcastSm",
    "BroadcastSmResp",
    "CString",
    "CancelBroadcastSm",
    "CancelBroadcastSmResp",
    "CancelSm",
    "CancelSmResp",
    "CommandId",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "Destination",
    "DistributionList",
    "Element",
    "EnquireLink",
    "EnquireLinkResp",
    "Field",
    "GenericNack",
    "Integer",
    "Kind",
    "LinkState",
    "Listing",
    "MessageIdResp",
    "Octets",
    "Outbind",
    "QueryBroadcastSm",
    "QueryBroadcastSmResp",
    "QuerySm",
    "QuerySmResp",
    "ReplaceSm",
    "ReplaceSmResp",
    "ShortMessage",
    "SmeAddress",
    "Status",
    "SubmitMulti",
    "SubmitMultiResp",
    "SubmitSm",
    "SubmitSmResp",
    "Tag",
    "TlvForm",
    "Unbind",
    "UnbindResp",
    "UnsuccessSme",
    "allowed",
    "answer_id",
    "fields_of",
    "refusal",
    "status_name",
    "status_text",
    "tag_name",
]

BIND_STRING_LIMIT = 256
"""Most octets, with the NUL, of a string in a bind or outbind. The specification's limits are
exceeded in the field, passwords above all; whether such credentials are right is for the
credential check to say, up to this bound."""

Address21 = Annotated[str, CString(21)]
Address65 = Annotated[str, CString(65)]
MessageId = Annotated[str, CString(65)]
ServiceType = Annotated[str, CString(6)]
SystemId = Annotated[str, CString(16)]
Password = Annotated[str, CString(9)]
Time = Annotated[str, CString(17)]
"""Absolute or relative time (§7.1.1), or empty."""
Message = Annotated[bytes, Octets("sm_length", 254)]


# Session management: §4.1 bind and outbind, §4.2 unbind, §4.3 generic_nack, §4.11 enquire_link


class Bind(Body, frozen=True):
    """What the three binds have in common: everything (§4.1.1)."""

    system_id: SystemId = ""
    password: Password = ""
    system_type: Annotated[str, CString(13)] = ""
    interface_version: Int1 = 0x34
    addr_ton: Int1 = 0
    addr_npi: Int1 = 0
    address_range: Annotated[str, CString(41)] = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(system_id={self.system_id!r}, password=…)"


class BindReceiver(Bind, frozen=True):
    """Bind as receiver (§4.1.3)."""


class BindTransmitter(Bind, frozen=True):
    """Bind as transmitter (§4.1.1)."""


class BindTransceiver(Bind, frozen=True):
    """Bind as both (§4.1.5)."""


class BindResp(Body, frozen=True):
    """What the answers to binds have in common (§4.1.2)."""

    system_id: SystemId = ""


class BindReceiverResp(BindResp, frozen=True):
    """Answer to a bind as receiver (§4.1.4)."""


class BindTransmitterResp(BindResp, frozen=True):
    """Answer to a bind as transmitter (§4.1.2)."""


class BindTransceiverResp(BindResp, frozen=True):
    """Answer to a bind as both (§4.1.6)."""


class Outbind(Body, frozen=True):
    """The peer asks us to bind on this connection (§4.1.7); there is no answer to it."""

    system_id: SystemId = ""
    password: Password = ""

    def __repr__(self) -> str:
        return f"Outbind(system_id={self.system_id!r}, password=…)"


class Unbind(Body, frozen=True):
    """Wish to end the session (§4.2.1)."""


class UnbindResp(Body, frozen=True):
    """Answer to unbind (§4.2.2)."""


class EnquireLink(Body, frozen=True):
    """Are you there? (§4.11.1)."""


class EnquireLinkResp(Body, frozen=True):
    """I am (§4.11.2)."""


class GenericNack(Body, frozen=True):
    """Answer to what has no better one (§4.3.1)."""


# Messages: §4.4 submit_sm, §4.5 submit_multi, §4.6 deliver_sm, §4.7 data_sm


class ShortMessage(Body, frozen=True):
    """What submit_sm and deliver_sm have in common: everything (§4.4.1, §4.6.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""
    dest_addr_ton: Int1 = 0
    dest_addr_npi: Int1 = 0
    destination_addr: Address21 = ""
    esm_class: Int1 = 0
    protocol_id: Int1 = 0
    priority_flag: Int1 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int1 = 0
    replace_if_present_flag: Int1 = 0
    data_coding: Int1 = 0
    sm_default_msg_id: Int1 = 0
    short_message: Message = b""


class SubmitSm(ShortMessage, frozen=True):
    """A message from an ESME to an SMSC (§4.4.1); from carriers that reverse roles, to us."""


class DeliverSm(ShortMessage, frozen=True):
    """A message or receipt for us (§4.6.1)."""


class MessageIdResp(Body, frozen=True):
    """What the answers to messages have in common."""

    message_id: MessageId = ""


class SubmitSmResp(MessageIdResp, frozen=True):
    """Answer to submit_sm (§4.4.2)."""


class DeliverSmResp(MessageIdResp, frozen=True):
    """Answer to deliver_sm (§4.6.2).

    The specification has message_id unused and empty. We send it so; peers that fill it keep to
    the limit of the other answers.
    """


class DataSm(Body, frozen=True):
    """A message whose content is in ``message_payload`` (§4.7.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address65 = ""
    dest_addr_ton: Int1 = 0
    dest_addr_npi: Int1 = 0
    destination_addr: Address65 = ""
    esm_class: Int1 = 0
    registered_delivery: Int1 = 0
    data_coding: Int1 = 0


class DataSmResp(MessageIdResp, frozen=True):
    """Answer to data_sm (§4.7.2)."""


class SmeAddress(Element, frozen=True):
    """One destination: an address (§4.5.1.1, §5.2.25)."""

    element_flag: ClassVar[int] = 1

    dest_addr_ton: Int1 = 0
    dest_addr_npi: Int1 = 0
    destination_addr: Address21 = ""


class DistributionList(Element, frozen=True):
    """One destination: a list kept at the SMSC (§4.5.1.2)."""

    element_flag: ClassVar[int] = 2

    dl_name: Annotated[str, CString(21)] = ""


Destination = SmeAddress | DistributionList


class SubmitMulti(Body, frozen=True):
    """A message to several destinations (§4.5.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""
    dest_address: Annotated[
        tuple[Destination, ...],
        Listing("number_of_dests", 254, (SmeAddress, DistributionList), "dest_flag"),
    ] = ()
    esm_class: Int1 = 0
    protocol_id: Int1 = 0
    priority_flag: Int1 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int1 = 0
    replace_if_present_flag: Int1 = 0
    data_coding: Int1 = 0
    sm_default_msg_id: Int1 = 0
    short_message: Message = b""


class UnsuccessSme(Element, frozen=True):
    """One destination a message was not accepted for (§4.5.2.1)."""

    dest_addr_ton: Int1 = 0
    dest_addr_npi: Int1 = 0
    destination_addr: Address21 = ""
    error_status_code: Int4 = 0


class SubmitMultiResp(Body, frozen=True):
    """Answer to submit_multi (§4.5.2)."""

    message_id: MessageId = ""
    unsuccess_sme: Annotated[
        tuple[UnsuccessSme, ...], Listing("no_unsuccess", 254, (UnsuccessSme,))
    ] = ()


# Operations on messages once submitted: §4.8 query_sm, §4.9 cancel_sm, §4.10 replace_sm;
# and §4.12 alert_notification


class QuerySm(Body, frozen=True):
    """What became of a message? (§4.8.1)."""

    message_id: MessageId = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""


class QuerySmResp(Body, frozen=True):
    """Answer to query_sm (§4.8.2)."""

    message_id: MessageId = ""
    final_date: Time = ""
    message_state: Int1 = 0
    error_code: Int1 = 0


class CancelSm(Body, frozen=True):
    """Do not deliver a message (§4.9.1)."""

    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""
    dest_addr_ton: Int1 = 0
    dest_addr_npi: Int1 = 0
    destination_addr: Address21 = ""


class CancelSmResp(Body, frozen=True):
    """Answer to cancel_sm (§4.9.2)."""


class ReplaceSm(Body, frozen=True):
    """Deliver another text instead (§4.10.1)."""

    message_id: MessageId = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int1 = 0
    sm_default_msg_id: Int1 = 0
    short_message: Message = b""


class ReplaceSmResp(Body, frozen=True):
    """Answer to replace_sm (§4.10.2)."""


class AlertNotification(Body, frozen=True):
    """A subscriber has become reachable (§4.12.1); there is no answer to it."""

    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address65 = ""
    esme_addr_ton: Int1 = 0
    esme_addr_npi: Int1 = 0
    esme_addr: Address65 = ""


# Broadcasts: SMPP 5.0 §4.4 broadcast_sm, §4.6 query_broadcast_sm and cancel_broadcast_sm. Where,
# how often and what for is in optional parameters, which are not looked at in order to read one.


class BroadcastSm(Body, frozen=True):
    """A message to everybody in some areas (5.0 §4.4.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""
    message_id: MessageId = ""
    priority_flag: Int1 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    replace_if_present_flag: Int1 = 0
    data_coding: Int1 = 0
    sm_default_msg_id: Int1 = 0


class BroadcastSmResp(MessageIdResp, frozen=True):
    """Answer to broadcast_sm (5.0 §4.4.1)."""


class QueryBroadcastSm(Body, frozen=True):
    """What became of a broadcast? (5.0 §4.6.1)."""

    message_id: MessageId = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""


class QueryBroadcastSmResp(MessageIdResp, frozen=True):
    """Answer to query_broadcast_sm (5.0 §4.6.1)."""


class CancelBroadcastSm(Body, frozen=True):
    """Do not broadcast a message any more (5.0 §4.6.2)."""

    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: Int1 = 0
    source_addr_npi: Int1 = 0
    source_addr: Address21 = ""


class CancelBroadcastSmResp(Body, frozen=True):
    """Answer to cancel_broadcast_sm (5.0 §4.6.2)."""


BODIES: dict[int, type[Body]] = {
    CommandId.bind_receiver: BindReceiver,
    CommandId.bind_receiver_resp: BindReceiverResp,
    CommandId.bind_transmitter: BindTransmitter,
    CommandId.bind_transmitter_resp: BindTransmitterResp,
    CommandId.query_sm: QuerySm,
    CommandId.query_sm_resp: QuerySmResp,
    CommandId.submit_sm: SubmitSm,
    CommandId.submit_sm_resp: SubmitSmResp,
    CommandId.deliver_sm: DeliverSm,
    CommandId.deliver_sm_resp: DeliverSmResp,
    CommandId.unbind: Unbind,
    CommandId.unbind_resp: UnbindResp,
    CommandId.replace_sm: ReplaceSm,
    CommandId.replace_sm_resp: ReplaceSmResp,
    CommandId.cancel_sm: CancelSm,
    CommandId.cancel_sm_resp: CancelSmResp,
    CommandId.bind_transceiver: BindTransceiver,
    CommandId.bind_transceiver_resp: BindTransceiverResp,
    CommandId.outbind: Outbind,
    CommandId.enquire_link: EnquireLink,
    CommandId.enquire_link_resp: EnquireLinkResp,
    CommandId.submit_multi: SubmitMulti,
    CommandId.submit_multi_resp: SubmitMultiResp,
    CommandId.alert_notification: AlertNotification,
    CommandId.data_sm: DataSm,
    CommandId.data_sm_resp: DataSmResp,
    CommandId.broadcast_sm: BroadcastSm,
    CommandId.broadcast_sm_resp: BroadcastSmResp,
    CommandId.query_broadcast_sm: QueryBroadcastSm,
    CommandId.query_broadcast_sm_resp: QueryBroadcastSmResp,
    CommandId.cancel_broadcast_sm: CancelBroadcastSm,
    CommandId.cancel_broadcast_sm_resp: CancelBroadcastSmResp,
    CommandId.generic_nack: GenericNack,
}
"""The body of every command."""

COMMANDS: dict[type[Body], int] = {body: int(command) for command, body in BODIES.items()}
"""The command of every body."""

FIELD_STATUS: dict[str, Status] = {
    "system_id": Status.ESME_RINVSYSID,
    "password": Status.ESME_RINVPASWD,
    "system_type": Status.ESME_RINVSYSTYP,
    "service_type": Status.ESME_RINVSERTYP,
    "source_addr": Status.ESME_RINVSRCADR,
    "destination_addr": Status.ESME_RINVDSTADR,
    "dest_flag": Status.ESME_RINVDESTFLAG,
    "dl_name": Status.ESME_RINVDLNAME,
    "schedule_delivery_time": Status.ESME_RINVSCHED,
    "validity_period": Status.ESME_RINVEXPIRY,
    "message_id": Status.ESME_RINVMSGID,
}
"""What an unreadable field is answered with; any other: RINVMSGLEN. Octets that simply end
before a field has begun are RINVMSGLEN too."""
