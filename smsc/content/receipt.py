"""Delivery receipts (SMPP 3.4 appendix B), as carriers really write them.

Whether a PDU is a receipt is decided by esm_class alone: people write ``id:`` and ``stat:``
into messages too. Only where an account's carrier is known to leave esm_class 0 is a text asked
whether it reads like one (:func:`reads_like_one`).

What a receipt says is read from TLVs first, then from its text, in any order and case, with
anything missing. What cannot be read is absent; nothing raises.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from smsc.message import Millis
from smsc.wire.spec import Tag

MESSAGE_TYPE: Final = 0x3C
"""The bits of esm_class that say what kind of message it is (SMPP 3.4 §5.2.12)."""
DELIVERY_RECEIPT: Final = 0x04
DELIVERY_ACK: Final = 0x08
MANUAL_ACK: Final = 0x10
CONVERSATION_ABORT: Final = 0x18
INTERMEDIATE: Final = 0x20

MESSAGE_TYPES: Final = {
    DELIVERY_ACK: "delivery-acknowledgement",
    MANUAL_ACK: "manual-acknowledgement",
    CONVERSATION_ABORT: "conversation-abort",
    INTERMEDIATE: "intermediate-notification",
}
"""Names of the message types other than an ordinary message and a final receipt."""

RESERVED_TYPE: Final = "reserved"
"""Name of the message types that the specification gives no meaning."""

_RECEIPTS = frozenset({DELIVERY_RECEIPT, INTERMEDIATE, DELIVERY_RECEIPT | INTERMEDIATE})

UNPARSED: Final = "unparsed-receipt"
"""Flag: neither an id nor a state could be found; the text says what it says."""

STATES: Final = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
"""message_state → the text's abbreviation (SMPP 3.4 §5.2.28, 5.0 §4.7.15). 0 is no final word:
SMPP 3.4 does not define it, and carriers send it beside a text that knows better."""

_ABBREVIATED = {
    "DELIVERED": "DELIVRD",
    "UNDELIVERED": "UNDELIV",
    "UNDELIVERABLE": "UNDELIV",
    "ACCEPTED": "ACCEPTD",
    "REJECTED": "REJECTD",
}


class Fields(Struct, frozen=True):
    """What a receipt says, as far as it could be read."""

    id_text: str | None = None
    id_tlv: str | None = None
    id: str | None = None
    """The one to match on: see :func:`normal_id`."""
    sub: int | None = None
    dlvrd: int | None = None
    submit_date: datetime | None = None
    """In the account's zone, like :attr:`done_date`."""
    done_date: datetime | None = None
    stat: str | None = None
    err: str | None = None
    text: str | None = None
    network_error: tuple[int, int] | None = None
    """Network type and code of the network_error_code TLV."""


def is_receipt(esm_class: int) -> bool:
    """Say whether esm_class marks a receipt, final or intermediate.

    What a recipient acknowledges or answers (SMPP 3.4 §2.11) is a message: it may hold words of
    a person, which must reach whoever looks for them in messages.
    """
    return esm_class & MESSAGE_TYPE in _RECEIPTS


_TELLING = frozenset({Tag.receipted_message_id, Tag.message_state})
_KNOWN_STATES = frozenset(STATES.values())


def may_be_one(text: str, tlvs: Iterable[tuple[int, bytes]]) -> bool:
    """Say at little cost whether it is worth reading a message as a receipt."""
    if ":" in text and "stat:" in text.lower():
        return True
    return any(tag in _TELLING for tag, _ in tlvs)


def reads_like_one(fields: Fields) -> bool:
    """Say whether what was read from a message makes it a receipt.

    It has an id; and a state that the specification knows, or any state with two more of the
    fields of appendix B. An id or a state alone is what people write.
    """
    if fields.id is None or fields.stat is None:
        return False
    if fields.stat in _KNOWN_STATES:
        return True
    others = (fields.sub, fields.dlvrd, fields.submit_date, fields.done_date, fields.err)
    return sum(other is not None for other in others) >= 2


_KEY = re.compile(
    r"(?<![a-z])(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text):", re.IGNORECASE
)
_KEYS = {name: name for name in ("id", "sub", "dlvrd", "stat", "err", "text")} | {
    "submitdate": "submit date",
    "submit date": "submit date",
    "donedate": "done date",
    "done date": "done date",
}
_GAPS = re.compile("[ _]")


def _pairs(text: str) -> dict[str, str]:
    """Return the named values of a receipt's text; the first one of a name counts.

    A value ends at white space, but ``text`` goes on: to the end where the state is known by
    then, for it quotes what a person wrote; else to the next name.
    """
    values: dict[str, str] = {}
    keys = list(_KEY.finditer(text))
    for at, match in enumerate(keys):
        name = _KEYS.get(match[1]) or _KEYS[_GAPS.sub("", match[1].lower())]
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        if name == "text":
            if "stat" in values:
                values.setdefault(name, text[match.end() :])
                break
            values.setdefault(name, text[match.end() : end])
            continue
        words = text[match.end() : end].split(None, 1)
        if words:
            values.setdefault(name, words[0])
    return values


def read(
    text: str, tlvs: Iterable[tuple[int, bytes]], time_zone: str, ids: str = "as-is"
) -> Fields:
    """Return what the text and the TLVs of a receipt say; never raises.

    Dates are in ``time_zone``, an IANA name; one that does not exist is taken for UTC. ``ids``
    is the rule of :func:`normal_id`. The first of repeated TLVs counts.
    """
    id_tlv = stat = network_error = None
    for tag, value in tlvs:
        if tag == Tag.receipted_message_id and id_tlv is None:
            id_tlv = text_of(value)
        elif tag == Tag.message_state and stat is None:
            stat = STATES.get(int.from_bytes(value, "big"))
        elif tag == Tag.network_error_code and network_error is None and len(value) == 3:
            network_error = value[0], int.from_bytes(value[1:], "big")
    values = _pairs(text)
    if stat is None and "stat" in values:
        stat = values["stat"].upper()
        stat = _ABBREVIATED.get(stat, stat)
    err = values.get("err")
    if err is None and network_error is not None:
        err = str(network_error[1])
    id_text = values.get("id")
    return Fields(
        id_text=id_text,
        id_tlv=id_tlv,
        id=normal_id(id_text, id_tlv, ids),
        sub=_count(values.get("sub")),
        dlvrd=_count(values.get("dlvrd")),
        submit_date=date(values.get("submit date", ""), time_zone),
        done_date=date(values.get("done date", ""), time_zone),
        stat=stat,
        err=err,
        text=values.get("text"),
        network_error=network_error,
    )


ID_RULES: Final = (
    "as-is",
    "decimal",
    "hexadecimal",
    "decimal-to-hexadecimal",
    "hexadecimal-to-decimal",
)
"""What :func:`normal_id` can be asked for: the values of an account's ``receipt_ids``."""

_DECIMAL = re.compile("[0-9]{1,64}")
_HEXADECIMAL = re.compile("[0-9A-Fa-f]{1,64}")


def normal_id(text: str | None, tlv: str | None, rule: str) -> str | None:
    """Return the id to match on, of those in the text and in the TLV; None where there is none.

    ``as-is``
        The TLV's, else the text's, as it stands.
    ``decimal``, ``hexadecimal``
        Where one of the two is the other's number in the other base, the one in this base. Else
        the TLV's, or the text's where there is no TLV: rewritten in this base if it can only be
        a number in the other one, which is to say: if it holds a letter a to f. Digits alone
        tell no base, and stay.
    ``hexadecimal-to-decimal``, ``decimal-to-hexadecimal``
        The same, but digits alone are a number in the first base: for carriers that give an id
        in one form only, and always that one.

    Numbers are written without leading zeros, with letters in lower case. What is no number of
    at most 64 digits (``4a38dc46-5125``) stays as it stands, under every rule.
    """
    given = tlv or text
    if given is None or rule == "as-is":
        return given
    decimal = rule in ("decimal", "hexadecimal-to-decimal")
    if text and tlv:
        for one, other in ((tlv, text), (text, tlv)):
            if (
                _DECIMAL.fullmatch(one)
                and _HEXADECIMAL.fullmatch(other)
                and int(one) == int(other, 16)
            ):
                return str(int(one)) if decimal else f"{int(one):x}"
    if not _HEXADECIMAL.fullmatch(given):
        return given
    digits = given.isdecimal()
    if decimal:
        return str(int(given, 10 if digits and rule == "decimal" else 16))
    return f"{int(given, 10 if digits and rule != 'hexadecimal' else 16):x}"


def text_of(value: bytes) -> str | None:
    """Return a C-octet string TLV as text, with or without its NUL; None where it is empty."""
    return value.rstrip(b"\0").decode("latin-1").replace("\0", "\ufffd") or None


def _count(digits: str | None) -> int | None:
    return int(digits) if digits and digits.isdecimal() and len(digits) <= 9 else None


def date(digits: str, time_zone: str) -> datetime | None:
    """Return a carrier's date in ``time_zone``, or None where it is none.

    ``YYMMDDhhmm``, ``YYMMDDhhmmss``, ``YYYYMMDDhhmm`` and ``YYYYMMDDhhmmss`` are known; 12 digits
    are taken for the second form where that is a date. Two-digit years from 70 are of the last
    century. Years before 1970 or after 9998 are none: not every zone can write them.
    """
    if not digits.isdecimal() or not digits.isascii() or not digits.strip("0"):
        return None
    zone = _zone(time_zone)
    if len(digits) == 10:
        return _date(_century(digits) + digits + "00", zone)
    if len(digits) == 12:
        return _date(_century(digits) + digits, zone) or _date(digits + "00", zone)
    return _date(digits, zone) if len(digits) == 14 else None


def millis(moment: datetime | None) -> Millis | None:
    """Return a date as milliseconds, or None for none."""
    return None if moment is None else int(moment.timestamp()) * 1000


def local(moment: Millis | None, time_zone: str) -> str | None:
    """Return milliseconds as ISO 8601 in ``time_zone``, without the zone; None for none."""
    if moment is None:
        return None
    date = datetime.fromtimestamp(moment / 1000, _zone(time_zone))
    return date.replace(tzinfo=None).isoformat()


def _century(digits: str) -> str:
    return "19" if digits[:2] >= "70" else "20"


def _date(digits: str, zone: tzinfo) -> datetime | None:
    if not "1970" <= digits[:4] <= "9998":
        return None
    try:
        return datetime(
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:14]),
            tzinfo=zone,
        )
    except ValueError:
        return None


@lru_cache(maxsize=1_024)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name != "UTC" else UTC
    except (KeyError, ValueError, OSError):
        return UTC  # the configuration is checked when it is read; a receipt is never refused
