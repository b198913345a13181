"""What may listen to the octets of a link. The link never waits for it."""

from collections.abc import Sequence
from typing import Protocol

from smsc.status import LinkStatus


class Tap(Protocol):
    """Hears what goes over one link, in order. Must not raise, and must not block."""

    def heard(self, link: LinkStatus, frames: Sequence[bytes]) -> None:
        """Take whole PDUs the peer sent, as they were cut out of the stream."""
        ...

    def said(self, link: LinkStatus, octets: bytes) -> None:
        """Take octets just written to the peer: one whole PDU or several."""
        ...

    def ended(self, link: LinkStatus) -> None:
        """Take note that the link has ended, and why."""
        ...
