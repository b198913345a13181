"""What is wrong with what a peer sent, told by its consequence.

Bytes of a peer never raise: they become a PDU, or a value that carries one of these. A driver
therefore decides nothing; it does what :attr:`WireError.consequence` says with the status given.
"""

from typing import Literal

from msgspec import Struct

Consequence = Literal["close", "answer", "incomplete"]
"""``close``: framing is lost, answer ``generic_nack`` and close; ``answer``: answer this PDU by
its sequence number and go on; ``incomplete``: octets are missing, wait for them."""


class WireError(Struct, frozen=True, gc=False):
    """One fault in one PDU. Holds no value a peer sent, so that it may be logged."""

    consequence: Consequence
    status: int
    """The ``command_status`` to answer with (SMPP 3.4 §5.1.3)."""
    field: str
    """Name of the field that could not be read, as the specification spells it; elements of a
    list as ``dest_address[2].destination_addr``."""
    offset: int
    """Octet in the frame at which that field begins, counted from 0."""
    detail: str
    """The fault in words."""
