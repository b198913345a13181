"""Stores to examine, and records to put into them.

``engine`` runs a test once for each engine; another one joins by one more entry in ``ENGINES``.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from bridge.model import Attempt
from bridge.store.contract import Due, Lease, Settlement, Store
from bridge.store.records import (
    ArrivalKey,
    DeliveryRecord,
    Doubt,
    EventRecord,
    FragmentRecord,
    MessageRecord,
    OpenSet,
    QuarantineRecord,
)
from bridge.store.sqlite.engine import SqliteStore
from smsc.message import Address, Concat, Fragment, Millis, Origin, Part

START: Millis = 1_760_000_000_000
SECOND: Millis = 1_000
MINUTE: Millis = 60_000


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> Millis:
        return self.now


class Engine:
    """One kind of store, in a place of its own for each test."""

    def __init__(self, name: str, opener: Callable[[], Store]) -> None:
        self.name = name
        self._opener = opener
        self._opened: list[Store] = []

    def open(self) -> Store:
        """Open the test's store, once more after a restart, or beside another process."""
        store = self._opener()
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


def _sqlite(tmp_path: Path, clock: Clock) -> Callable[[], Store]:
    return lambda: SqliteStore(tmp_path / "store.db", clock=clock)


ENGINES: dict[str, Callable[[Path, Clock], Callable[[], Store]]] = {"sqlite": _sqlite}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    engine = Engine(request.param, ENGINES[request.param](tmp_path, clock))
    yield engine
    engine.close()


@pytest.fixture
def store(engine: Engine) -> Store:
    return engine.open()


# -- records -------------------------------------------------------------------------------


def key(
    place: int,
    *,
    link: str = "lnk_1",
    content: str | None = None,
    account: str = "one",
    at: Millis = START,
) -> ArrivalKey:
    """Key of an arrival; equal ``content`` is a repeat."""
    said = content if content is not None else f"{link} {place}"
    return ArrivalKey(account, link, place, hashlib.sha256(said.encode()).digest(), at)


def event(name: str, *endpoints: str, body: bytes | None = None, at: Millis = START) -> EventRecord:
    """Event for endpoints by lane: ``a`` is the only one of ``a``, ``a/1`` one of several."""
    return EventRecord(
        id=f"evt_{name}",
        type="message.received",
        tenant="default",
        body=body if body is not None else f'{{"id": "{name}"}}'.encode(),
        created_at=at,
        deliveries=tuple(DeliveryRecord(lane.partition("/")[0], lane) for lane in endpoints),
    )


def message(
    name: str,
    arrival: ArrivalKey,
    *endpoints: str,
    source: str = "+447700900123",
    destination: str = "+447700900999",
    events: Sequence[EventRecord] | None = None,
    duplicate_of: str | None = None,
    complete: bool = True,
    total: int = 1,
    raw: bytes = b'{"raw": true}',
) -> MessageRecord:
    """Message with one event for ``endpoints``."""
    return MessageRecord(
        id=f"msg_{name}",
        key=arrival,
        carrier="carrier",
        tenant="default",
        number="+4477*" if endpoints else None,
        source=source,
        destination=destination,
        encoding="gsm7",
        total=total,
        complete=complete,
        raw=raw,
        events=(
            tuple(events)
            if events is not None
            else (event(name, *endpoints, at=arrival.received_at),)
        ),
        duplicate_of=duplicate_of,
    )


def quarantined(name: str, arrival: ArrivalKey) -> QuarantineRecord:
    """Something unreadable."""
    return QuarantineRecord(id=f"qtn_{name}", key=arrival, raw=b"\x00\x01", reason="no idea")


def fragment(
    name: str,
    arrival: ArrivalKey,
    seq: int,
    total: int,
    text: str,
    *,
    set_key: str = "carrier +447700900123 +447700900999 7",
    patience: Millis = 30 * MINUTE,
) -> FragmentRecord:
    """Segment ``seq`` of ``total`` saying ``text``."""
    return FragmentRecord(
        id=f"frg_{name}",
        key=arrival,
        set_key=set_key,
        total=total,
        seq=seq,
        digest=hashlib.sha256(text.encode()).digest(),
        fragment=Fragment(
            origin=Origin(
                arrival.account,
                "carrier",
                arrival.link,
                arrival.place,
                arrival.received_at,
                arrival.fingerprint,
            ),
            source=Address("+447700900123", "e164"),
            destination=Address("+447700900999", "e164"),
            concat=Concat("udh", 8, 7, total, seq),
            part=Part(text.encode(), "gsm7", 0),
        ),
        expires_at=arrival.received_at + patience,
    )


def join_to(*endpoints: str) -> Callable[[OpenSet], MessageRecord]:
    """A join whose message says its parts, ``-`` for missing ones, for ``endpoints``."""

    def join(open_set: OpenSet) -> MessageRecord:
        parts = open_set.fragments
        total = parts[0].concat.total
        said = {part.concat.seq: part.part.octets.decode() for part in parts}
        text = "".join(said.get(seq, "-") for seq in range(1, total + 1))
        name = f"{open_set.id}.{len(parts)}"
        origin = parts[-1].origin
        return message(
            open_set.message_id.removeprefix("msg_") if open_set.message_id else name,
            key(origin.place, link=origin.link, at=origin.received_at),
            events=[event(name, *endpoints, body=msgspec.json.encode(text))],
            complete=len(parts) == total,
            total=total,
        )

    return join


def doubt(
    answered_to: int,
    *unanswered: int,
    link: str = "lnk_1",
    since: Millis = START - MINUTE,
    until: Millis = START + 10 * MINUTE,
    only_unanswered: bool = False,
) -> Doubt:
    """Doubt about a link whose answers were written up to ``answered_to``."""
    return Doubt(
        link=link,
        account="one",
        since=since,
        answered_to=answered_to,
        unanswered=unanswered,
        only_unanswered=only_unanswered,
        until=until,
    )


# -- delivering ----------------------------------------------------------------------------


def attempt(number: int = 1, status: int | None = 200, **facts: str) -> Attempt:
    """Facts of an HTTP request."""
    return Attempt(number=number, started_at=START, duration_ms=3.5, status=status, **facts)  # type: ignore[arg-type]  # only str facts are given


def delivered(due: Due) -> Settlement:
    """A success."""
    return Settlement(delivery=due.id, attempt=attempt(due.attempts + 1), state="delivered")


def failed(due: Due, *, again_at: Millis, status: int = 500) -> Settlement:
    """A failure that is tried again."""
    return Settlement(
        delivery=due.id,
        attempt=attempt(due.attempts + 1, status),
        state="pending",
        due_at=again_at,
        step=due.step + 1,
    )


def died(due: Due, reason: str = "tried enough", status: int = 500) -> Settlement:
    """The last failure."""
    return Settlement(
        delivery=due.id, attempt=attempt(due.attempts + 1, status), state="dead", reason=reason
    )


def leased(store: Store, lane: str, process: str = "prc_1") -> Lease:
    """Lease a lane that is free."""
    (lease,) = store.lease(process, [lane], 30)
    return lease


def all_due(store: Store, lane: str, now: Millis = START) -> list[Due]:
    """Read all that is due in a lane."""
    return store.due(lane, now, 1_000)


def bodies(store: Store, lane: str, now: Millis = START) -> list[bytes]:
    """Bodies of what is due in a lane."""
    return [due.body for due in all_due(store, lane, now)]
