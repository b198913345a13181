"""What a session took in → the arrival handed over. A fault of ours costs one PDU, not the link."""

import structlog
from structlog.typing import FilteringBoundLogger

from smsc.config import Account
from smsc.content.interpret import interpret, unreadable
from smsc.message import Arrival, Millis
from smsc.wire.errors import WireError
from smsc.wire.pdu import Pdu, Undecodable
from smsc.wire.spec import Status

_log: FilteringBoundLogger = structlog.get_logger()


def arrival_of(
    pdu: Pdu | Undecodable,
    frame: bytes,
    account: Account,
    link: str,
    place: int,
    received_at: Millis,
) -> Arrival:
    """Return what a PDU brings. One that we fail on is an unreadable one: its octets are kept."""
    try:
        if type(pdu) is Undecodable:
            return unreadable(pdu, account, link=link, place=place, received_at=received_at)
        assert type(pdu) is Pdu
        return interpret(pdu, frame, account, link=link, place=place, received_at=received_at)
    except Exception as error:  # noqa: BLE001  # one poisonous PDU costs only itself
        _log.error("arrival.failed", link=link, place=place, error=fault_of(error))
        fault = WireError("answer", Status.ESME_RSYSERR, "", 0, f"internal: {type(error).__name__}")
        unread = Undecodable(pdu.command_id, 0, pdu.sequence_number, fault, frame)
        return unreadable(unread, account, link=link, place=place, received_at=received_at)


def fault_of(error: Exception) -> str:
    """Name a fault and where it arose; its own words may quote a text, a number, a password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__ + where
