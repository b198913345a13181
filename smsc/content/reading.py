"""Frame → arrival, as an account wants it read: on a link, and again out of quarantine. Pure.

Most of it is :mod:`smsc.content.interpret`. What is here is the account's say in which PDUs are
read at all, and the way back from octets that were kept.
"""

from typing import Final

from smsc.config import Account
from smsc.content.interpret import interpret, unreadable
from smsc.message import Arrival, Millis
from smsc.wire.errors import WireError
from smsc.wire.pdu import HEADER_SIZE, Pdu, Undecodable, decode, encode
from smsc.wire.spec import ARRIVALS, Status

_ARRIVALS: Final = frozenset(int(command) for command in ARRIVALS)

_TAILS: Final = {
    "tlv-overrun": (Status.ESME_RINVPARLEN, "an optional parameter runs past the end"),
    "trailing": (Status.ESME_RINVOPTPARSTREAM, "octets behind the last optional parameter"),
}
"""Flag of a broken tail → what it is refused with (SMPP 3.4 §5.1.3), in words."""


def as_wanted(pdu: Pdu, account: Account | None) -> Pdu | Undecodable:
    """Return a PDU that has flags as its account wants it: unreadable where its tail is broken
    and :attr:`smsc.config.Account.tails` says ``reject``.

    Only PDUs that bring something are concerned.
    """
    if account is None or account.tails == "accept" or pdu.command_id not in _ARRIVALS:
        return pdu
    for flag in pdu.flags:
        if flag in _TAILS:
            status, detail = _TAILS[flag]
            frame = encode(pdu)  # octet for octet what was decoded
            at = len(frame) - len(pdu.trailing)
            error = WireError("answer", status, "tlvs", at, detail)
            return Undecodable(
                pdu.command_id, pdu.command_status, pdu.sequence_number, error, frame
            )
    return pdu


def read(
    frame: bytes, account: Account, *, link: str, place: int, received_at: Millis
) -> Arrival | None:
    """Return what a frame that was kept brings, by this account's options as they are now.

    None where it is shorter than a header, and so no frame at all. The other arguments are those
    of :func:`smsc.content.interpret.interpret`; may raise what that should not, if it is at fault.
    """
    if len(frame) < HEADER_SIZE:
        return None
    pdu = decode(frame)
    if type(pdu) is Pdu and pdu.flags:
        pdu = as_wanted(pdu, account)
    if type(pdu) is Pdu:
        return interpret(pdu, frame, account, link=link, place=place, received_at=received_at)
    assert type(pdu) is Undecodable
    return unreadable(pdu, account, link=link, place=place, received_at=received_at)
