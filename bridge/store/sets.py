"""Which set a fragment joins. Pure: engines read the sets of a key, ask here, and write.

Theory
------
Segments of one message share a key, but a key does not name a message: senders count references
modulo 256, and some never count at all. So several sets may exist for one key:

- *open* ones wait for segments,
- *late* ones were delivered with gaps when their time was up, and still take what was missing,
- *done* ones are tombstones: they were delivered whole, and only absorb repeats.

Two rules keep text from being lost or mixed up. A slot never changes its octets: other octets
for a taken slot belong to another message, and open another set. And a segment that somebody
waits for is not a repeat of something finished: an open set with the slot free goes before a
tombstone with the same octets, unless the segment is known to be doubtful, which is to say
probably sent again.
"""

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct


class SetState(IntEnum):
    """Where a set stands. The numbers are stored."""

    OPEN = 0
    LATE = 1
    DONE = 2


class Slot(Struct, gc=False):
    """A segment that a set has."""

    digest: bytes
    id: str
    """Id of the fragment."""


class KnownSet(Struct):
    """A set of one key, as far as placing needs it."""

    id: int
    total: int
    state: SetState
    slots: dict[int, Slot]
    """By sequence number."""

    @property
    def whole(self) -> bool:
        """Whether every segment is there."""
        return len(self.slots) >= self.total

    @property
    def unfinished(self) -> bool:
        """Whether it may still change."""
        return self.state is not SetState.DONE


class Placed(Struct, frozen=True, gc=False):
    """Where a fragment belongs."""

    joins: KnownSet | None
    """None: it opens a set."""
    repeats: Slot | None = None
    """The equal segment which the set already has."""


def place(
    known: Sequence[KnownSet], total: int, seq: int, digest: bytes, *, doubtful: bool = False
) -> Placed:
    """Decide on one fragment, given all sets of its key, oldest first.

    Changes nothing: the caller adds the slot, so that the next fragment of the batch sees it.
    """
    repeated: Placed | None = None
    free: KnownSet | None = None
    for candidate in known:
        if candidate.total != total:
            continue
        slot = candidate.slots.get(seq)
        if slot is not None:
            if slot.digest == digest:
                if candidate.unfinished:
                    return Placed(candidate, slot)
                repeated = Placed(candidate, slot)
        elif candidate.unfinished and (free is None or candidate.state < free.state):
            free = candidate
    if repeated is not None and (doubtful or free is None):
        return repeated
    return Placed(free)
