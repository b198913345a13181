"""The store contract: what every engine promises, and the exam in ``tests/store_exam`` asks.

Engines are plain synchronous classes. All calls may be made from any thread; writes of one
engine object are serialised by it, reads don't wait for writes. :mod:`bridge.store.threaded`
runs them off the event loop.

Theory
------
*Record.* One transaction stores a batch of arrivals, each with all that follows from it: a
message with its events and their deliveries, or a fragment, or something quarantined. When the
call returns the batch is committed and synced to disk; when it raises, nothing of it is stored,
except that :class:`~bridge.errors.StoreUnavailable` with ``in_doubt`` says that nobody knows.

*Repeats.* Every stored arrival keeps its link, place and fingerprint. :meth:`Store.doubt` makes
some of them *doubtful*; a doubtful one absorbs exactly one equal arrival of its account until
its time is up, decided inside the recording transaction. A record may also carry the id its
*carrier* gave it: the first with an id absorbs every other one until its time is up.

*Quarantine.* What could not be read or stored is kept as it came. :meth:`Store.reread` puts what
it is now understood as in its place, as if that had been recorded when it came.

*Sets.* A fragment joins the open set of its key, unless its slot is taken by other octets: then
it opens a new one. :meth:`Store.complete` joins what has become whole in a transaction of its
own and leaves a tombstone that absorbs late repeats; it does nothing for sets that aren't whole,
so it may be called twice, or after a crash for all sets.

*Lanes.* A delivery process leases whole lanes and reads what is due in them; the only write a
delivery costs is its settling, which carries the lease's fencing token.

*Live configuration.* Numbered revisions; :meth:`Store.apply` makes one from the difference to
what the same source declared before.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from bridge.model import Attempt, Live
from bridge.store.listing import DeadLetter, DeliveryRow, MessageRow, QuarantineRow, RefusalRow
from bridge.store.records import (
    Doubt,
    Join,
    Mark,
    Record,
    Recorded,
    Refusal,
    Reread,
    Room,
)
from smsc.message import Millis
from smsc.status import LinkStatus


class Due(Struct, frozen=True, gc=False):
    """A delivery whose time has come."""

    id: int
    lane: str
    endpoint: str
    event_id: str
    event_type: str
    body: bytes
    attempts: int
    """Attempts made so far, manual ones included."""
    step: int
    """Steps of the schedule spent so far."""
    due_at: Millis
    created_at: Millis


class Settlement(Struct, frozen=True, kw_only=True):
    """What became of one delivery after an attempt."""

    delivery: int
    attempt: Attempt
    state: Literal["delivered", "pending", "dead"]
    due_at: Millis = 0
    """For ``pending``: when to try again."""
    step: int = 0
    """For ``pending``: steps of the schedule spent."""
    reason: str = ""
    """For ``dead``: why, in words."""


class Lease(Struct, frozen=True):
    """The right to send from a lane."""

    lane: str
    token: int
    """Fencing token: grows with every change of owner."""
    until: Millis
    """By the store's clock."""


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """One process of the gateway, as it tells the store every second."""

    id: str
    """``prc_…``, new at every start."""
    node: str
    """Host name and boot: processes of one node can see whether each other's pid lives."""
    pid: int
    pid_started: float
    """Start time of the pid, seconds since the epoch: pids are used again."""
    role: str
    started_at: Millis
    seen_at: Millis = 0
    figures: dict[str, float] = {}
    """Vital figures by metric name, for ``/metrics`` of the api role."""


class Order(Struct, frozen=True, kw_only=True):
    """What whoever serves a link is asked to do, by a person or by another process.

    Orders stand until they run out; each process does those that concern links it serves. They
    are heard of by the bell (:data:`bridge.doorbell.ORDERS`), or with the next beat.
    """

    id: str
    """``ord_…``."""
    kind: Literal["record", "end-recording", "probe"]
    """``record`` what goes over a link; ``probe``: ask its peer whether it is there, and close
    the link if it stays silent."""
    account: str = ""
    """All links of this account, those to come too …"""
    link: str = ""
    """… or one link."""
    until: Millis
    """When it runs out."""
    pdus: int = 0
    """``record``: how many PDUs of a link at most; 0: no limit but the time."""
    unmask: bool = False
    """``record``: whether numbers and texts are shown in the decoded view."""
    pcap: bool = False
    """``record``: whether a capture is written too, which holds them in full."""


class LiveObject(Struct, frozen=True):
    """One thing of the live configuration. ``repr`` never shows secrets."""

    kind: Literal["account", "tenant", "number", "route", "endpoint"]
    name: str
    json: bytes
    """The struct of :mod:`bridge.model` or :mod:`smsc.config`, as msgspec JSON."""

    def __repr__(self) -> str:
        return f"LiveObject({self.kind!r}, {self.name!r})"


class Applied(Struct, frozen=True):
    """What :meth:`Store.apply` changed, as ``kind name``."""

    revision: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Store(Protocol):
    """What every engine does. See the module's theory.

    Every method may raise :class:`~bridge.errors.StoreUnavailable` (nothing was done), and every
    writing one :class:`~bridge.errors.StoreFull` and, where a value can't be stored (a lone
    surrogate, say), :class:`~bridge.errors.BatchRejected`.
    """

    def close(self) -> None:
        """Let go of all connections. Idempotent."""
        ...

    # -- the carrier side ------------------------------------------------------------------

    def record(
        self,
        batch: Sequence[Record],
        sets: Sequence[int] = (),
        join: Join | None = None,
        mark: Mark | None = None,
    ) -> list[Recorded]:
        """Store a batch in one transaction; durable on return.

        At most 1,000 records. Repeats inside the batch are seen too; ``mark`` says what is
        stored of those that were answered before, nothing if there is none. ``sets`` that became
        whole by earlier batches are completed in the same transaction, as :meth:`complete` does
        it, which saves one of its own. Raises :class:`~bridge.errors.BatchRejected` where a row (or
        what ``join`` makes) can't be stored: nothing was.
        """
        ...

    def complete(self, sets: Sequence[int], join: Join) -> list[str]:
        """Join each of these sets that is whole and not done; return the message ids.

        One transaction; durable on return. Done sets become tombstones.
        """
        ...

    def expire(
        self, now: Millis, join: Join, limit: int = 100, room: Room | None = None
    ) -> list[str]:
        """Join at most ``limit`` sets that are whole but not done, or whose time is up.

        Where a carrier has more waiting than there is ``room``, the time of its oldest sets is
        up at once. Those that are not whole are delivered with their gaps and stay able to take
        late parts as long again; tombstones past their time are removed.
        """
        ...

    def doubt(self, doubts: Sequence[Doubt]) -> int:
        """Make arrivals doubtful; return how many. Repeating a call changes nothing."""
        ...

    def doubt_process(self, process: str, now: Millis) -> int:
        """Do the same for every link of a process that is gone, by the last status of each
        that :meth:`beat` stored, and forget the process. Releases its leases too."""
        ...

    # -- the delivery side -----------------------------------------------------------------

    def lease(self, process: str, lanes: Sequence[str], ttl: float) -> list[Lease]:
        """Take or renew these lanes for ``ttl`` seconds; return those now held.

        A lane somebody else holds is left out. A change of owner raises the token.
        """
        ...

    def release(self, process: str, lanes: Sequence[str] | None = None) -> None:
        """Give lanes back (all for None) so that another may take them at once."""
        ...

    def due(self, lane: str, now: Millis, limit: int, held: Sequence[int] = ()) -> list[Due]:
        """Read what is due in a lane, oldest due first, without those in ``held``."""
        ...

    def next_due(self, lane: str, now: Millis) -> Millis | None:
        """When the next delivery of the lane after ``now`` is due; None: there is none."""
        ...

    def pending_lanes(self) -> list[tuple[str, Millis]]:
        """Name every lane with pending deliveries, and when its earliest is due.

        One look tells a process which of a thousand lanes to read. Work grows with the lanes
        that have something pending, never with the deliveries in them (a loose index scan).
        """
        ...

    def settle(self, lane: str, token: int, settlements: Sequence[Settlement]) -> None:
        """Write outcomes and attempts in one transaction; durable on return.

        Raises :class:`~bridge.errors.StaleLease` if the token is not the lane's current one.
        """
        ...

    def settle_lanes(self, batches: Sequence[tuple[str, int, Sequence[Settlement]]]) -> list[str]:
        """Do for several lanes, given as lane, token and settlements, what :meth:`settle` does
        for one, in one transaction; durable on return.

        Returns the lanes whose token is not the current one: of theirs nothing was settled, of
        the others everything.
        """
        ...

    def bury(self, endpoint: str, reason: str, now: Millis, limit: int = 1_000) -> int:
        """Make at most ``limit`` pending deliveries of an endpoint dead letters; how many."""
        ...

    def backlog(self) -> dict[str, int]:
        """Pending deliveries by endpoint, those of endpoints no longer declared included."""
        ...

    # -- processes, links, configuration -----------------------------------------------------

    def beat(self, process: ProcessStatus, links: Sequence[LinkStatus], now: Millis) -> None:
        """Store a process's figures and its links; closed links are kept for a day.

        What is not named any more is closed, or forgotten where it never bound.
        """
        ...

    def announce(self, process: str, links: Sequence[LinkStatus], now: Millis) -> None:
        """Store some links of a process that has told of itself, between two beats."""
        ...

    def leave(self, process: str) -> None:
        """Forget a process that ended in good order: its links are closed, nothing doubtful."""
        ...

    def processes(self) -> list[ProcessStatus]:
        """All that have not left, alive or not."""
        ...

    def links(self, *, closed: bool = True) -> list[LinkStatus]:
        """Return links of all processes, live ones first; without ``closed`` only these, at a cost
        that doesn't grow with how many have ended."""
        ...

    def order(self, order: Order) -> None:
        """Give an order; one of the same id is replaced."""
        ...

    def orders(self, now: Millis) -> list[Order]:
        """Return the orders that stand."""
        ...

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep refusals: the newest 1,000 of each account, and of strangers together."""
        ...

    def refusals(
        self, *, account: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[RefusalRow]:
        """List refusals, newest first; ``before`` is the number a page ended with."""
        ...

    def apply(self, source: str, objects: Sequence[LiveObject], now: Millis) -> Applied:
        """Make what ``source`` declares exactly ``objects``; a new revision if that differs.

        Pending deliveries of endpoints that go away become dead letters.
        """
        ...

    def live(self, known: int = -1) -> Live | None:
        """Return the newest revision; None if it is ``known``."""
        ...

    # -- for people --------------------------------------------------------------------------

    def messages(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        status: str | None = None,
        id: str | None = None,  # noqa: A002  # the field's name
    ) -> list[MessageRow]:
        """List messages, newest first; ``before`` is the id a page ended with.

        ``source`` and ``destination`` match whole addresses only, through a keyed hash.
        """
        ...

    def deliveries(self, message_id: str) -> list[DeliveryRow]:
        """Return every delivery of a message with its attempts."""
        ...

    def dead_letters(
        self, *, limit: int = 50, before: int | None = None, endpoint: str | None = None
    ) -> list[DeadLetter]:
        """List dead letters, newest first; ``before`` is the id a page ended with."""
        ...

    def quarantined(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        after: int | None = None,
        account: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[QuarantineRow]:
        """List what is in quarantine, newest first; ``before`` is the number a page ended with.

        With ``after`` (0 to begin with) oldest first, behind that number; with ``ids`` only
        those, all of them.
        """
        ...

    def reread(self, items: Sequence[Reread], join: Join) -> list[Recorded | None]:
        """Put what was in quarantine where it belongs, in one transaction; durable on return.

        Each leaves quarantine and is recorded, unmarked by doubts: they were for when it came.
        Sets that become whole are completed. One that stays gets its new reason. None: it is
        not in quarantine any more. Raises :class:`~bridge.errors.BatchRejected` like
        :meth:`record`; nothing was done then.
        """
        ...

    def discard(self, numbers: Sequence[int]) -> int:
        """Remove from quarantine for good; how many were there."""
        ...

    def retry(
        self, ids: Sequence[int] | None, *, endpoint: str | None, now: Millis, limit: int = 1_000
    ) -> int:
        """Make dead letters pending again, due now, with a fresh schedule; how many.

        ``ids`` None: all (of ``endpoint`` if given), at most ``limit`` a call.
        """
        ...

    def counts(self) -> dict[str, int]:
        """Messages, unrouted, pending, dead letters, open sets, quarantined: for people and
        metrics; bounded work, however much is stored."""
        ...

    # -- upkeep ------------------------------------------------------------------------------

    def prune(self, now: Millis) -> int:
        """Remove at most 1,000 rows each of what is only needed for a while: arrival keys after
        15 minutes, doubts and carriers' ids past their end, closed links after a day; how many
        went."""
        ...

    def checkpoint(self) -> None:
        """Do what the engine wants done now and then off the hot path."""
        ...
