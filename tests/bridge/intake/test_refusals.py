"""Refusals: written with the beat, a flood counted rather than kept, none lost to a pause."""

from pathlib import Path

import pytest
import structlog
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from bridge.errors import StoreUnavailable
from bridge.intake.refusals import EACH, WAITING, Refusals
from bridge.store.records import Refusal
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.inbox import Refused
from tests.fix_store import Clock

ACME = Account(name="acme", system_id="acme-1")
REFUSED = Refused(
    at=7, link="lnk_1", account="acme", peer="192.0.2.1:5000", command="deliver_sm", status=0x58,
    reason="why", raw=b"\0\1",
)  # fmt: skip
BIND = Refused(
    at=7, link="lnk_1", system_id="acme-1", peer="192.0.2.1:5000", command="bind_receiver",
    status=14, reason="why",
)  # fmt: skip


class Flaky(SqliteStore):
    """A store that can be made to fail."""

    away = False

    def refuse(self, refusals: object) -> None:
        if self.away:
            raise StoreUnavailable("gone")
        super().refuse(refusals)  # type: ignore[arg-type]  # handed on as it came


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Flaky:
    return Flaky(tmp_path / "store.db", clock=clock)


@pytest.fixture
def refusals(store: Flaky) -> Refusals:
    accounts = {ACME.system_id: ACME}
    return Refusals(StoreThreads(store, inline=True), accounts.get)


async def test_what_was_refused_is_in_the_store_with_the_next_beat(
    refusals: Refusals, store: Flaky, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(refusals.run)
        refusals.note([REFUSED])
        refusals.note([BIND, replace(BIND, system_id="nobody")])
        await trio.sleep(1.5)
        refusals.note([REFUSED])
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()

    rows = [row.refusal for row in store.refusals()]
    assert [(row.account, row.command) for row in rows] == [
        ("acme", "deliver_sm"), ("", "bind_receiver"), ("acme", "bind_receiver"),
        ("acme", "deliver_sm"),
    ]  # fmt: skip
    assert rows[-1] == Refusal(
        at=7, account="acme", link="lnk_1", peer="192.0.2.1:5000", command="deliver_sm",
        status=0x58, reason="why", raw=b"\0\1",
    )  # fmt: skip


async def test_a_flood_costs_one_account_little_and_others_nothing(
    refusals: Refusals, store: Flaky
) -> None:
    with structlog.testing.capture_logs() as log:
        refusals.note([REFUSED] * 1_000, 50)
        refusals.note([replace(BIND, system_id="nobody")])
        await refusals.write()

    assert len(store.refusals(account="acme", limit=100)) == EACH
    assert len(store.refusals(account="", limit=100)) == 1
    assert log == [{"event": "refusals.left_out", "log_level": "warning", "count": 1_050 - EACH}]
    refusals.note([REFUSED])
    await refusals.write()
    assert len(store.refusals(account="acme", limit=100)) == EACH + 1


async def test_while_the_store_is_away_they_wait(refusals: Refusals, store: Flaky) -> None:
    store.away = True
    for beat in range(2 * WAITING // EACH):
        refusals.note([replace(REFUSED, at=beat)] * EACH)
        await refusals.write()
    store.away = False
    await refusals.write()

    rows = store.refusals(limit=1_000)
    assert len(rows) == WAITING
    assert rows[-1].refusal.at == 0  # the first ones tell most


async def test_what_can_not_be_stored_does_not_wait(refusals: Refusals, store: Flaky) -> None:
    refusals.note([replace(REFUSED, reason="\ud800")])
    await refusals.write()
    refusals.note([REFUSED])
    await refusals.write()

    assert len(store.refusals()) == 1
