"""``command_status``: every value, and each in words.

Values up to 0xFF are those of SMPP 3.4 §5.1.3, those above it SMPP 5.0 §4.7.6 added; a few have
another name there, which is an alias here. Any other value belongs to a *range* with a meaning of
its own: message centres define errors of theirs in 0x400–0x4FF, the rest is reserved.
"""

from enum import IntEnum


class Status(IntEnum):
    """Statuses by their names in SMPP 3.4, or in 5.0 where that is the first to have them.

    Peers send others too: those stay numbers.
    """

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RINVPRTFLG = 0x06
    ESME_RINVREGDLVFLG = 0x07
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RINVMSGID = 0x0C
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RCANCELFAIL = 0x11
    ESME_RREPLACEFAIL = 0x13
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVNUMDESTS = 0x33
    ESME_RINVDLNAME = 0x34
    ESME_RINVDESTFLAG = 0x40
    ESME_RINVSUBREP = 0x42
    ESME_RINVESMCLASS = 0x43
    ESME_RCNTSUBDL = 0x44
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RINVSYSTYP = 0x53
    ESME_RINVREPFLAG = 0x54
    ESME_RINVNUMMSGS = 0x55
    ESME_RTHROTTLED = 0x58
    ESME_RINVSCHED = 0x61
    ESME_RINVEXPIRY = 0x62
    ESME_RINVDFTMSGID = 0x63
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66
    ESME_RQUERYFAIL = 0x67
    ESME_RINVOPTPARSTREAM = 0xC0
    ESME_ROPTPARNOTALLWD = 0xC1
    ESME_RINVPARLEN = 0xC2
    ESME_RMISSINGOPTPARAM = 0xC3
    ESME_RINVOPTPARAMVAL = 0xC4
    ESME_RDELIVERYFAILURE = 0xFE
    ESME_RUNKNOWNERR = 0xFF

    ESME_RSERTYPUNAUTH = 0x100
    ESME_RPROHIBITED = 0x101
    ESME_RSERTYPUNAVAIL = 0x102
    ESME_RSERTYPDENIED = 0x103
    ESME_RINVDCS = 0x104
    ESME_RINVSRCADDRSUBUNIT = 0x105
    ESME_RINVDSTADDRSUBUNIT = 0x106
    ESME_RINVBCASTFREQINT = 0x107
    ESME_RINVBCASTALIAS_NAME = 0x108
    ESME_RINVBCASTAREAFMT = 0x109
    ESME_RINVNUMBCAST_AREAS = 0x10A
    ESME_RINVBCASTCNTTYPE = 0x10B
    ESME_RINVBCASTMSGCLASS = 0x10C
    ESME_RBCASTFAIL = 0x10D
    ESME_RBCASTQUERYFAIL = 0x10E
    ESME_RBCASTCANCELFAIL = 0x10F
    ESME_RINVBCAST_REP = 0x110
    ESME_RINVBCASTSRVGRP = 0x111
    ESME_RINVBCASTCHANIND = 0x112

    # What 5.0 calls what 3.4 has under another name.
    ESME_RINVTLVSTREAM = ESME_RINVOPTPARSTREAM
    ESME_RTLVNOTALLWD = ESME_ROPTPARNOTALLWD
    ESME_RINVTLVLEN = ESME_RINVPARLEN
    ESME_RMISSINGTLV = ESME_RMISSINGOPTPARAM
    ESME_RINVTLVVAL = ESME_RINVOPTPARAMVAL


STATUS_TEXT: dict[int, str] = {
    Status.ESME_ROK: "no error",
    Status.ESME_RINVMSGLEN: "message length is invalid",
    Status.ESME_RINVCMDLEN: "command length is invalid",
    Status.ESME_RINVCMDID: "unknown command",
    Status.ESME_RINVBNDSTS: "command not allowed in this bind state",
    Status.ESME_RALYBND: "already bound",
    Status.ESME_RINVPRTFLG: "invalid priority flag",
    Status.ESME_RINVREGDLVFLG: "invalid registered delivery flag",
    Status.ESME_RSYSERR: "system error",
    Status.ESME_RINVSRCADR: "invalid source address",
    Status.ESME_RINVDSTADR: "invalid destination address",
    Status.ESME_RINVMSGID: "invalid message id",
    Status.ESME_RBINDFAIL: "bind failed",
    Status.ESME_RINVPASWD: "invalid password",
    Status.ESME_RINVSYSID: "invalid system_id",
    Status.ESME_RCANCELFAIL: "cancel_sm failed",
    Status.ESME_RREPLACEFAIL: "replace_sm failed",
    Status.ESME_RMSGQFUL: "message queue full",
    Status.ESME_RINVSERTYP: "invalid service type",
    Status.ESME_RINVNUMDESTS: "invalid number of destinations",
    Status.ESME_RINVDLNAME: "invalid distribution list name",
    Status.ESME_RINVDESTFLAG: "invalid destination flag",
    Status.ESME_RINVSUBREP: "invalid request to replace when submitting",
    Status.ESME_RINVESMCLASS: "invalid esm_class",
    Status.ESME_RCNTSUBDL: "cannot submit to a distribution list",
    Status.ESME_RSUBMITFAIL: "submit_sm or submit_multi failed",
    Status.ESME_RINVSRCTON: "invalid source address TON",
    Status.ESME_RINVSRCNPI: "invalid source address NPI",
    Status.ESME_RINVDSTTON: "invalid destination address TON",
    Status.ESME_RINVDSTNPI: "invalid destination address NPI",
    Status.ESME_RINVSYSTYP: "invalid system_type",
    Status.ESME_RINVREPFLAG: "invalid replace_if_present flag",
    Status.ESME_RINVNUMMSGS: "invalid number of messages",
    Status.ESME_RTHROTTLED: "throttled: over the message limit",
    Status.ESME_RINVSCHED: "invalid scheduled delivery time",
    Status.ESME_RINVEXPIRY: "invalid validity period",
    Status.ESME_RINVDFTMSGID: "predefined message not found",
    Status.ESME_RX_T_APPN: "temporary error of the receiving application",
    Status.ESME_RX_P_APPN: "permanent error of the receiving application",
    Status.ESME_RX_R_APPN: "rejected by the receiving application",
    Status.ESME_RQUERYFAIL: "query_sm failed",
    Status.ESME_RINVOPTPARSTREAM: "error in the optional part of the body",
    Status.ESME_ROPTPARNOTALLWD: "optional parameter not allowed",
    Status.ESME_RINVPARLEN: "invalid parameter length",
    Status.ESME_RMISSINGOPTPARAM: "expected optional parameter is missing",
    Status.ESME_RINVOPTPARAMVAL: "invalid optional parameter value",
    Status.ESME_RDELIVERYFAILURE: "delivery failed (data_sm_resp)",
    Status.ESME_RUNKNOWNERR: "unknown error",
    Status.ESME_RSERTYPUNAUTH: "not authorised to use this service type",
    Status.ESME_RPROHIBITED: "prohibited from using this operation",
    Status.ESME_RSERTYPUNAVAIL: "this service type is not available",
    Status.ESME_RSERTYPDENIED: "this service type is denied",
    Status.ESME_RINVDCS: "invalid data coding scheme",
    Status.ESME_RINVSRCADDRSUBUNIT: "invalid source address subunit",
    Status.ESME_RINVDSTADDRSUBUNIT: "invalid destination address subunit",
    Status.ESME_RINVBCASTFREQINT: "invalid broadcast frequency interval",
    Status.ESME_RINVBCASTALIAS_NAME: "invalid broadcast alias name",
    Status.ESME_RINVBCASTAREAFMT: "invalid broadcast area format",
    Status.ESME_RINVNUMBCAST_AREAS: "invalid number of broadcast areas",
    Status.ESME_RINVBCASTCNTTYPE: "invalid broadcast content type",
    Status.ESME_RINVBCASTMSGCLASS: "invalid broadcast message class",
    Status.ESME_RBCASTFAIL: "broadcast_sm failed",
    Status.ESME_RBCASTQUERYFAIL: "query_broadcast_sm failed",
    Status.ESME_RBCASTCANCELFAIL: "cancel_broadcast_sm failed",
    Status.ESME_RINVBCAST_REP: "invalid number of repeated broadcasts",
    Status.ESME_RINVBCASTSRVGRP: "invalid broadcast service group",
    Status.ESME_RINVBCASTCHANIND: "invalid broadcast channel indicator",
}
"""Each status in words."""

STATUS_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x00000000, 0x000000FF, "reserved"),
    (0x00000100, 0x000003FF, "reserved for extensions of SMPP"),
    (0x00000400, 0x000004FF, "the peer's own error: ask the carrier what it means"),
    (0x00000500, 0xFFFFFFFF, "reserved"),
)
"""First, last, and what a value between them means where it has no name: all 32 bits."""

STATUS_NAMES: dict[int, str] = {int(status): status.name for status in Status}


def status_name(status: int) -> str:
    """Return the specification's name of a status, or ``0x`` and eight digits for any other."""
    return STATUS_NAMES.get(status) or f"0x{status:08x}"


def status_text(status: int) -> str:
    """Return any status in words: its own, or those of its range."""
    text = STATUS_TEXT.get(status)
    if text is not None:
        return text
    return next((words for first, last, words in STATUS_RANGES if first <= status <= last), "")
