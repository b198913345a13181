from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bridge.api.overview import Overview
from bridge.errors import StoreUnavailable
from bridge.store.contract import ProcessStatus
from bridge.store.records import ArrivalKey, DeliveryRecord, EventRecord, MessageRecord
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from bridge.telemetry import Metrics
from smsc.message import Millis, VerdictKind


class Node:
    """A store with processes in it, and an overview."""

    def __init__(self, path: Path) -> None:
        self.now: Millis = 1_000_000
        self.store = SqliteStore(path, clock=lambda: self.now)
        self.metrics = Metrics()
        threads = StoreThreads(self.store, inline=True)
        self.overview = Overview(threads, self.metrics, lambda: self.now, "prc_api")

    def beat(self, role: str, *, ready: int = 1, stored: int = 0) -> None:
        metrics = Metrics()
        metrics.ready.set(ready)
        metrics.arrivals[VerdictKind.STORED].inc(stored)
        status = ProcessStatus(
            id=f"prc_{role}", node="n", pid=1, pid_started=0, role=role, started_at=0,
            figures=metrics.figures(),
        )  # fmt: skip
        self.store.beat(status, [], self.now)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "sms.db")
    yield made
    made.store.close()


async def test_ready_once_every_needed_role_is(node: Node) -> None:
    assert node.overview.missing() == "has not looked at the store yet"
    await node.overview.look()
    assert node.overview.missing() == "no ready carrier process, no ready delivery process"
    node.beat("carrier")
    node.beat("delivery", ready=0)
    await node.overview.look()
    assert node.overview.missing() == "no ready delivery process"
    node.beat("delivery")
    await node.overview.look()
    assert node.overview.missing() == ""


async def test_one_process_with_all_roles_is_enough(node: Node) -> None:
    node.beat("all")
    await node.overview.look()
    assert node.overview.missing() == ""


async def test_a_silent_process_is_not_counted(node: Node) -> None:
    node.beat("carrier", stored=5)
    node.beat("delivery")
    node.now += 4_999
    await node.overview.look()
    assert node.overview.missing() == ""
    node.now += 2
    await node.overview.look()
    assert "no ready carrier" in node.overview.missing()
    assert 'smsbridge_arrivals_total{verdict="stored"} 0.0' in node.overview.page().decode()


async def test_the_page_adds_up_and_tells_of_the_store(node: Node) -> None:
    node.beat("carrier", stored=5)
    node.beat("delivery", stored=2)
    node.metrics.arrivals[VerdictKind.STORED].inc(1)
    await node.overview.look()
    await node.overview.count()
    page = node.overview.page().decode()
    assert 'smsbridge_arrivals_total{verdict="stored"} 8.0' in page
    assert 'smsbridge_processes{role="carrier"} 1.0' in page
    assert 'smsbridge_stored{kind="messages"} 0.0' in page


async def test_the_page_tells_how_long_lanes_wait(node: Node) -> None:
    key = ArrivalKey("one", "lnk_1", 1, bytes(32), node.now)
    delivery = DeliveryRecord("customer", "customer/1")
    event = EventRecord("evt_1", "message.received", "default", b"{}", node.now, (delivery,))
    message = MessageRecord(
        id="msg_1", key=key, carrier="c", tenant="default", number="*", source="1",
        destination="2", encoding="gsm7", raw=b"{}", events=(event,),
    )  # fmt: skip
    node.store.record([message])
    node.now += 2_500
    await node.overview.count()
    page = node.overview.page().decode()
    assert 'smsbridge_lane_age_seconds{lane="customer/1"} 2.5' in page
    assert 'smsbridge_backlog{endpoint="customer"} 1.0' in page


async def test_a_store_that_is_away_is_missing_until_it_is_back(
    node: Node, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> list[ProcessStatus]:
        raise StoreUnavailable("locked")

    node.beat("all")
    async with trio.open_nursery() as nursery:
        with monkeypatch.context() as patched:
            patched.setattr(node.store, "processes", away)
            await node.overview.start(nursery)
            await trio.sleep(1)
            assert node.overview.missing() == "the store can't be read"
        await trio.sleep(1)
        assert node.overview.missing() == ""
        nursery.cancel_scope.cancel()
