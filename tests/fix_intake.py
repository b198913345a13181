"""Arrivals, and a real store whose faults a test decides."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from bridge.ids import Ids
from bridge.live import LiveView
from bridge.model import Endpoint, Live, Number, Route
from bridge.store.records import Doubt, Join, Mark, Record, Recorded
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.message import (
    Address,
    Concat,
    Content,
    Fragment,
    Message,
    Millis,
    Origin,
    Part,
    Receipt,
    Unreadable,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NOW: Millis = 1_795_000_000_000
SENDER = Address("+447700900123", "e164")
NUMBER = Address("+447700900999", "e164")

LIVE = Live(
    revision=1,
    accounts=(
        Account(name="acme", system_id="acme", carrier="acme"),
        Account(name="dropper", system_id="dropper", carrier="dropper", doubtful_repeats="drop"),
    ),
    numbers=(Number(number="+447700900999", routes=("support",)),),
    routes=(Route(name="support", endpoints=("helpdesk",), routing_tag="tag"),),
    endpoints=(Endpoint(name="helpdesk", url="https://example.com/", secrets=()),),
)


def origin(
    place: int = 1,
    *,
    link: str = "lnk_1",
    account: str = "acme",
    body: str = "",
    received_at: Millis = NOW,
) -> Origin:
    fingerprint = hashlib.sha256((body or f"{link} {place}").encode()).digest()
    return Origin(account, account, link, place, received_at, fingerprint)


def message(
    place: int = 1,
    *,
    link: str = "lnk_1",
    account: str = "acme",
    text: str = "hello",
    destination: Address = NUMBER,
    body: str = "",
    received_at: Millis = NOW,
) -> Message:
    """A message; those of equal ``body`` are retransmissions of each other."""
    content = Content(text, "gsm7", (Part(text.encode("utf-8", "replace"), "gsm7", 0),))
    came = origin(place, link=link, account=account, body=body, received_at=received_at)
    return Message(came, SENDER, destination, content)


def fragment(
    seq: int, *, total: int = 2, ref: int = 7, place: int = 0, text: str = "part"
) -> Fragment:
    return Fragment(
        origin(place or seq),
        SENDER,
        NUMBER,
        Concat("udh", 8, ref, total, seq),
        Part(f"{text}{seq}".encode(), "gsm7", 0, bytes((5, 0, 3, ref, total, seq))),
    )


def receipt(place: int = 1) -> Receipt:
    text = "id:1 stat:DELIVRD"
    content = Content(text, "gsm7", (Part(text.encode(), "gsm7", 0),))
    return Receipt(origin(place), SENDER, NUMBER, content, id="1", state="DELIVRD")


def unreadable(place: int = 1) -> Unreadable:
    return Unreadable(origin(place), b"\x00\x00\x00\x10", "too short")


class FaultyStore(SqliteStore):
    """The real store. :attr:`fault` is asked before each write, and may raise."""

    fault: Callable[[Sequence[object]], None] | None = None
    after: Callable[[Sequence[object]], None] | None = None
    """The same, asked after the commit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, clock=lambda: NOW)
        self.batches: list[list[Record]] = []
        """What was recorded, by transaction."""
        self.doubts: list[Doubt] = []

    def record(
        self,
        batch: Sequence[Record],
        sets: Sequence[int] = (),
        join: Join | None = None,
        mark: Mark | None = None,
    ) -> list[Recorded]:
        if self.fault is not None:
            self.fault(batch)
        recorded = super().record(batch, sets, join, mark)
        self.batches.append(list(batch))
        if self.after is not None:
            self.after(batch)
        return recorded

    def doubt(self, doubts: Sequence[Doubt]) -> int:
        if self.fault is not None:
            self.fault(doubts)
        self.doubts += doubts
        return super().doubt(doubts)

    def complete(self, sets: Sequence[int], join: Join) -> list[str]:
        if self.fault is not None:
            self.fault(sets)
        return super().complete(sets, join)


class HeldThreads(StoreThreads):
    """Runs calls on the loop; while :attr:`hold` is set, each write waits for it first."""

    def __init__(self, store: FaultyStore) -> None:
        super().__init__(store, inline=True)
        self.hold: trio.Event | None = None
        self.writes = 0
        """Writes begun."""

    async def write(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        self.writes += 1
        if self.hold is not None:
            await self.hold.wait()
        return await super().write(call, *args)


def new_ids() -> Ids:
    chance = iter(range(1_000_000))
    return Ids(lambda: NOW, lambda size: next(chance).to_bytes(size, "big"))


@pytest.fixture
def faulty_store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(tmp_path / "store.db")


@pytest.fixture
def held(faulty_store: FaultyStore) -> HeldThreads:
    return HeldThreads(faulty_store)


@pytest.fixture
def live_view(held: HeldThreads) -> LiveView:
    return LiveView(held, LIVE)
