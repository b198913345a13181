"""One batch into the store: what becomes of each arrival, whatever the store does."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from msgspec.structs import replace

from bridge.errors import BatchRejected, StoreError, StoreFull, StoreUnavailable
from bridge.intake import recording
from bridge.intake.completing import Completer
from bridge.intake.recording import Batch, Recorder
from bridge.intake.records import Joiner
from bridge.live import LiveView
from bridge.store.records import Doubt, MessageRecord, QuarantineRecord
from smsc.message import Arrival, VerdictKind
from tests.fix_intake import (
    NOW,
    FaultyStore,
    HeldThreads,
    fragment,
    message,
    new_ids,
    receipt,
    unreadable,
)

STORED, FULL, UNAVAILABLE = VerdictKind.STORED, VerdictKind.FULL, VerdictKind.UNAVAILABLE


class Bench:
    """A recorder over the real store."""

    def __init__(self, store: FaultyStore, threads: HeldThreads, live: LiveView) -> None:
        self.store = store
        self.rings = 0
        ids = new_ids()
        self.completer = Completer(threads, Joiner(lambda: live.table, ids, lambda: NOW), self.ring)
        self.recorder = Recorder(
            threads,
            live,
            ids,
            lambda: NOW,
            ring=self.ring,
            completer=self.completer,
            assembly_timeout=1_800,
        )

    def ring(self) -> None:
        self.rings += 1

    def batch(self, *arrivals: Arrival) -> Batch:
        return Batch(arrivals, [self.recorder.record(each, NOW) for each in arrivals])

    async def write(self, *arrivals: Arrival) -> list[VerdictKind]:
        batch = self.batch(*arrivals)
        await self.recorder.write(batch)
        return [verdict.kind for verdict in batch.verdicts]

    def stored(self) -> list[str]:
        """Texts of the messages stored, oldest first."""
        rows = reversed(self.store.messages())
        return [msgspec.json.decode(row.event)["data"]["content"] for row in rows]


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads, live_view: LiveView) -> Bench:
    return Bench(faulty_store, held, live_view)


def poison(*texts: str) -> Callable[[Sequence[object]], None]:
    """A store that rejects batches with a message of one of these texts."""

    def fault(batch: Sequence[object]) -> None:
        for each in batch:
            if isinstance(each, MessageRecord):
                for text in texts:
                    if f'"content":"{text}"'.encode() in each.events[0].body:
                        raise BatchRejected("a row can't be stored")

    return fault


def failing(error: StoreError) -> Callable[[Sequence[object]], None]:
    def fault(_: Sequence[object]) -> None:
        raise error

    return fault


async def test_all_kinds_are_stored_and_get_their_ids(bench: Bench) -> None:
    batch = bench.batch(message(1), fragment(1, place=2), receipt(3), unreadable(4))

    await bench.recorder.write(batch)

    assert [verdict.kind for verdict in batch.verdicts] == [STORED] * 4
    assert [verdict.id[:4] for verdict in batch.verdicts] == ["msg_", "frg_", "msg_", "qtn_"]
    assert bench.rings == 1


async def test_nobody_is_rung_for_parts_alone(bench: Bench) -> None:
    await bench.write(fragment(1), unreadable(3))

    assert bench.rings == 0


async def test_sets_that_become_whole_are_told_of(bench: Bench) -> None:
    await bench.write(fragment(1))
    assert bench.completer.waiting == ()
    await bench.write(fragment(2))

    assert len(bench.completer.waiting) == 1


async def test_sets_that_wait_ride_along_with_the_next_batch(bench: Bench) -> None:
    await bench.write(fragment(1), fragment(2))
    rings = bench.rings
    await bench.write(message(1))

    assert sorted(bench.stored()) == ["hello", "part1part2"]
    assert bench.completer.waiting == ()
    assert bench.rings == rings + 2


@pytest.mark.parametrize(
    "failure", [BatchRejected("a set's message can't be stored"), TypeError("a set's own bug")]
)
async def test_a_batch_that_is_rejected_with_sets_is_stored_without_them(
    bench: Bench, failure: Exception
) -> None:
    await bench.write(fragment(1), fragment(2))
    whole = bench.completer.waiting
    tried: list[int] = []

    def refuse_once(batch: Sequence[object]) -> None:
        tried.append(len(batch))
        if len(tried) == 1:
            raise failure

    bench.store.fault = refuse_once
    assert await bench.write(message(1), message(2)) == [STORED, STORED]
    assert tried == [2, 2]
    assert bench.store.counts()["quarantined"] == 0
    assert bench.completer.waiting == whole
    assert bench.completer.ride() == []


@pytest.mark.parametrize("bad", [[0], [6], [2, 3], list(range(7))])
async def test_a_row_the_store_rejects_costs_only_itself(bench: Bench, bad: list[int]) -> None:
    bench.store.fault = poison(*(f"text {index}" for index in bad))
    arrivals = [message(index, text=f"text {index}") for index in range(7)]
    batch = bench.batch(*arrivals)

    await bench.recorder.write(batch)

    assert [verdict.kind for verdict in batch.verdicts] == [STORED] * 7
    assert [i for i, v in enumerate(batch.verdicts) if v.id.startswith("qtn_")] == bad
    assert bench.stored() == [f"text {index}" for index in range(7) if index not in bad]
    assert bench.store.counts()["quarantined"] == len(bad)


async def test_what_can_not_even_be_quarantined_is_not_acknowledged(bench: Bench) -> None:
    def fault(batch: Sequence[object]) -> None:
        for each in batch:
            if isinstance(each, MessageRecord | QuarantineRecord) and each.key.place == 2:
                raise BatchRejected("never")

    bench.store.fault = fault

    assert await bench.write(message(1), message(2), message(3)) == [STORED, UNAVAILABLE, STORED]


async def test_a_bug_of_the_engine_is_narrowed_down_too(bench: Bench) -> None:
    def fault(batch: Sequence[object]) -> None:
        for each in batch:
            if isinstance(each, MessageRecord) and each.key.place == 2:
                raise KeyError("a bug")

    bench.store.fault = fault

    assert await bench.write(message(1), message(2), message(3)) == [STORED] * 3
    assert bench.stored() == ["hello", "hello"]


async def test_text_that_can_not_be_stored_is_quarantined_by_the_real_store(bench: Bench) -> None:
    odd = replace(message(2), carrier_message_id="\ud800")

    assert await bench.write(message(1), odd, message(3)) == [STORED] * 3
    assert bench.store.counts()["quarantined"] == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreUnavailable("away"), UNAVAILABLE),
        (StoreUnavailable("who knows", in_doubt=True), UNAVAILABLE),
        (StoreFull("no room"), FULL),
    ],
)
async def test_a_store_that_fails_is_told_as_it_is(
    bench: Bench, error: StoreError, kind: VerdictKind
) -> None:
    bench.store.fault = failing(error)
    told = await bench.write(message(1), message(2))
    bench.store.fault = None

    assert told == [kind] * 2
    assert await bench.write(message(3)) == [STORED]
    assert bench.stored() == ["hello"]


async def test_a_store_that_fails_while_halving_ends_it(bench: Bench) -> None:
    tries = 0

    def fault(batch: Sequence[object]) -> None:
        nonlocal tries
        tries += 1
        raise BatchRejected("some row") if tries == 1 else StoreFull("no room")

    bench.store.fault = fault

    assert await bench.write(*(message(index) for index in range(8))) == [FULL] * 8
    assert tries == 2


async def test_a_commit_in_doubt_is_doubted_before_the_next_record(bench: Bench) -> None:
    bench.store.after = failing(StoreUnavailable("who knows", in_doubt=True))
    assert await bench.write(message(1, body="x"), message(2, body="y")) == [UNAVAILABLE] * 2
    bench.store.after = None
    assert bench.recorder.owes

    # The carrier sends again what it was told to, on the same link or another.
    again = bench.batch(message(3, body="x"), message(1, link="lnk_2", body="y"))
    await bench.recorder.write(again)

    first = bench.store.batches[0]
    assert [verdict.id for verdict in again.verdicts] == [record.id for record in first]
    assert not bench.recorder.owes
    assert len(bench.stored()) == 2


async def test_what_was_in_doubt_and_not_stored_is_stored_by_its_repeat(bench: Bench) -> None:
    bench.store.fault = failing(StoreUnavailable("who knows", in_doubt=True))
    assert await bench.write(message(1, body="x")) == [UNAVAILABLE]
    bench.store.fault = None

    assert await bench.write(message(2, body="x")) == [STORED]
    assert await bench.write(message(3, body="x")) == [STORED]
    assert len(bench.stored()) == 2


async def test_no_record_is_written_while_a_doubt_is_owed(bench: Bench) -> None:
    bench.store.after = failing(StoreUnavailable("who knows", in_doubt=True))
    await bench.write(message(1, body="x"))
    bench.store.after = None

    def fault(batch: Sequence[object]) -> None:
        if any(isinstance(each, Doubt) for each in batch):
            raise StoreUnavailable("away")

    bench.store.fault = fault
    assert await bench.write(message(2, body="x")) == [UNAVAILABLE]
    bench.store.fault = None
    assert await bench.write(message(3, body="x")) == [STORED]

    assert len(bench.stored()) == 1


async def test_a_late_batch_is_doubted_where_it_was_stored(bench: Bench) -> None:
    batch = bench.batch(message(1, body="x"), message(2, body="y"))

    def become_late(_: Sequence[object]) -> None:
        batch.late = True

    bench.store.after = become_late
    await bench.recorder.write(batch)
    bench.store.after = None
    assert bench.recorder.owes
    await bench.write(message(3, body="x"))

    (doubt,) = bench.store.doubts
    assert doubt.unanswered == (1, 2)
    assert doubt.only_unanswered
    assert len(bench.stored()) == 2


async def test_a_late_batch_is_not_halved_any_further(bench: Bench) -> None:
    batch = bench.batch(*(message(index) for index in range(8)))

    def reject(_: Sequence[object]) -> None:
        batch.late = True
        raise BatchRejected("some row")

    bench.store.fault = reject
    await bench.recorder.write(batch)

    assert bench.store.batches == []
    assert not bench.recorder.owes


def doubt(link: str = "lnk_1", *, unanswered: tuple[int, ...] = ()) -> Doubt:
    return Doubt(
        link=link,
        account="acme",
        since=0,
        answered_to=1_000,
        unanswered=unanswered,
        until=NOW + 600_000,
    )


async def test_a_repeat_of_an_answered_one_is_delivered_as_a_duplicate(bench: Bench) -> None:
    await bench.write(message(1, body="x"))
    bench.recorder.owe(doubt())

    batch = bench.batch(message(1, link="lnk_2", body="x"), message(2, link="lnk_2"))
    await bench.recorder.write(batch)

    first = bench.store.batches[0][0]
    (second,) = [row for row in bench.store.messages() if row.duplicate_of]
    assert second.duplicate_of == first.id
    assert msgspec.json.decode(second.event)["data"]["duplicateOf"] == first.id
    assert [verdict.kind for verdict in batch.verdicts] == [STORED] * 2
    assert batch.verdicts[0].id == second.id
    assert len(bench.stored()) == 3
    assert len(bench.store.batches) == 2  # recognised and marked in one transaction


async def test_or_is_dropped_where_the_account_says_so(bench: Bench) -> None:
    await bench.write(message(1, body="x", account="dropper"))
    bench.recorder.owe(replace(doubt(), account="dropper"))
    batch = bench.batch(message(1, link="lnk_2", body="x", account="dropper"))
    await bench.recorder.write(batch)

    assert batch.verdicts[0].id == bench.store.batches[0][0].id
    assert len(bench.stored()) == 1


async def test_a_repeat_of_one_never_answered_is_absorbed(bench: Bench) -> None:
    await bench.write(message(1, body="x"))
    bench.recorder.owe(doubt(unanswered=(1,)))

    assert await bench.write(message(1, link="lnk_2", body="x")) == [STORED]
    assert len(bench.stored()) == 1


async def test_a_message_no_record_can_be_made_of_is_quarantined(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recording, "record", broken)

    assert await bench.write(message(1)) == [STORED]
    (kept,) = bench.store.batches[0]
    assert isinstance(kept, QuarantineRecord)
    assert kept.reason == "no record could be made of it: ZeroDivisionError"


async def test_so_is_a_repeat_no_duplicate_can_be_made_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.write(message(1, body="x"))
    bench.recorder.owe(doubt())
    batch = bench.batch(message(1, link="lnk_2", body="x"))

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recording, "message_record", broken)
    await bench.recorder.write(batch)

    assert batch.verdicts[0].kind is STORED
    assert batch.verdicts[0].id.startswith("qtn_")


async def test_a_bug_of_ours_leaves_everything_in_doubt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.completer, "add", broken)

    told = await bench.write(message(1), fragment(1, total=1, place=2), message(3))

    assert told == [STORED, UNAVAILABLE, UNAVAILABLE]
    assert [each.unanswered for each in bench.recorder._owed] == [(2, 3)]


async def test_doubts_owed_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_OWED", 3)
    bench.recorder.owe(replace(doubt("old"), until=NOW - 1))
    for index in range(5):
        bench.recorder.owe(doubt(f"lnk_{index}"))

    assert [each.link for each in bench.recorder._owed] == ["lnk_2", "lnk_3", "lnk_4"]
