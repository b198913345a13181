"""Requests of ours that await their answers: enquire_link, unbind, and a bind where it is ours.

Numbers count from 1 to 0x7FFFFFFF and begin anew (SMPP 3.4 §3.2). At most one request of each
kind is open, so they are few; who sends one sees to that.
"""

from typing import Final

from smsc.wire.spec import BINDS, RESPONSE_BIT, CommandId

_LAST: Final = 0x7FFFFFFF
_GENERIC_NACK: Final = int(CommandId.generic_nack)


class Requests:
    """The numbers of one session's own requests."""

    __slots__ = ("_latest", "_open")

    def __init__(self) -> None:
        self._latest = 0
        self._open: dict[int, int] = {}  # sequence_number → command_id

    def __len__(self) -> int:
        return len(self._open)

    def number(self, command: int) -> int:
        """Return a number for a request, which none of those in flight has."""
        self._latest = self._latest % _LAST + 1
        while self._latest in self._open:
            self._latest = self._latest % _LAST + 1
        self._open[self._latest] = command
        return self._latest

    def match(self, command: int, sequence: int) -> int | None:
        """Return the command of ours that a response answers, and close it; None for no one.

        Any response with the right number and of the right kind will do, and ``generic_nack``
        for every kind (§4.3.1). While a bind is open it is all that a peer can mean, so there a
        nack needs no number: some peers give it 0.
        """
        ours = self._open.get(sequence)
        if ours is None and command == _GENERIC_NACK:
            sequence, ours = next(
                ((number, each) for number, each in self._open.items() if each in BINDS), (0, None)
            )
        if ours is None or command not in (ours | RESPONSE_BIT, _GENERIC_NACK):
            return None
        del self._open[sequence]
        return ours

    def forget(self, sequence: int) -> None:
        """Give one up; its answer, should it still come, matches nothing."""
        self._open.pop(sequence, None)

    def clear(self) -> None:
        """Give all up."""
        self._open.clear()
