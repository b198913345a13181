"""Octets on their way to the peer, and which arrivals they answer.

Octets are *queued* until they are pulled, then *in transit* until they are confirmed as written.
An arrival counts as answered only with the latter: a peer whose connection broke in the middle
of a write must be expected to send again. Nothing is dropped here and nothing is limited: the
driver stops reading while too much is unsent.
"""


class Outgoing:
    """What one session has to write."""

    __slots__ = ("_octets", "_places", "_queued", "_transit", "_transit_places")

    def __init__(self) -> None:
        self._octets: list[bytes] = []
        self._queued = 0
        self._places: list[int] = []  # answered in what is queued
        self._transit = 0
        self._transit_places: list[int] = []

    @property
    def unsent(self) -> int:
        """Octets not yet confirmed as written."""
        return self._queued + self._transit

    def put(self, octets: bytes) -> None:
        """Queue octets that answer no arrival."""
        self._octets.append(octets)
        self._queued += len(octets)

    def answer(self, place: int, octets: bytes) -> None:
        """Queue the answer to the arrival at ``place``."""
        self._octets.append(octets)
        self._queued += len(octets)
        self._places.append(place)

    def pull(self) -> bytes:
        """Return all that is queued, once."""
        if not self._octets:
            return b""
        octets = b"".join(self._octets)
        self._octets.clear()
        self._transit += self._queued
        self._queued = 0
        self._transit_places += self._places
        self._places = []
        return octets

    def confirm(self, *, read: bool) -> None:
        """Take everything pulled so far as written; with ``read`` also as likely to be read.

        Without, the arrivals answered in it stay unanswered.
        """
        self._transit = 0
        if read:
            self._transit_places = []

    def unanswered(self) -> list[int]:
        """Return the places whose answers were not confirmed, in no order."""
        return self._places + self._transit_places
