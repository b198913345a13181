"""Sets and repeats against a tiny model: whatever comes in whatever order, nothing is lost,
nothing is mixed up, and nothing comes twice that should not.

The model knows what senders meant. Messages of one key never share octets at a slot, so every
part belongs to exactly one of them; the store must find that out by itself.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.store.contract import Store
from bridge.store.records import FragmentRecord, Recorded
from tests.fix_store import (
    ENGINES,
    MINUTE,
    SECOND,
    Clock,
    Engine,
    bodies,
    doubt,
    event,
    fragment,
    join_to,
    key,
    message,
)

KEYS = ("x", "y")
FAR = 10**10


class SetsAndRepeats(RuleBasedStateMachine):
    """Segments and messages of two senders over several links, some of which die."""

    engine_name: str

    @initialize()
    def begin(self) -> None:
        self.directory = TemporaryDirectory()
        self.clock = Clock()
        opener = ENGINES[self.engine_name](Path(self.directory.name), self.clock)
        self.engine = Engine(self.engine_name, opener)
        self.store: Store = self.engine.open()
        self.place = 0
        self.link = 1
        self.sent: dict[str, int] = dict.fromkeys(KEYS, 0)
        self.parts: dict[tuple[str, int], set[int]] = {}
        """Segments of each message that were stored: (key, message) → sequence numbers."""
        self.fresh: list[tuple[str, int, str]] = []
        """Messages of the present link: content, place, id of what is stored."""
        self.waiting: dict[str, list[tuple[bool, int, int, str]]] = {}
        """Doubtful ones by content: answered, link, place, id."""
        self.stored: list[str] = []
        """Contents of messages, one for each that was stored."""

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.close()
            self.directory.cleanup()

    @property
    def link_id(self) -> str:
        return f"lnk_{self.link:05}"

    # -- segments: one message of a key after the other ------------------

    @rule(
        key_name=st.sampled_from(KEYS),
        seqs=st.lists(st.integers(1, 3), min_size=1, max_size=5),
        completes=st.booleans(),
    )
    def parts_come(self, key_name: str, seqs: Sequence[int], completes: bool) -> None:
        number = self.sent[key_name]
        mine = self.parts.setdefault((key_name, number), set())
        results = self.store.record([self.part(key_name, number, seq) for seq in seqs])
        for seq, result in zip(seqs, results, strict=True):
            assert (result.repeat == "part") == (seq in mine)
            mine.add(seq)
            assert result.whole == (len(mine) == 3)
        if len(mine) == 3:
            self.sent[key_name] += 1
            if completes:  # else it is for expire, as after a crash
                self.store.complete([results[-1].set_id], join_to("parts"))

    @rule(key_name=st.sampled_from(KEYS), seq=st.integers(1, 3))
    def a_part_of_a_finished_message_comes_again(self, key_name: str, seq: int) -> None:
        number = self.sent[key_name] - 1
        if number < 0 or self.parts.get((key_name, number + 1)):
            return  # while the next one waits for parts, only doubt could tell
        self.store.expire(self.clock.now, join_to("parts"))

        (result,) = self.store.record([self.part(key_name, number, seq)])

        assert (result.repeat, result.whole) == ("part", False)

    def part(self, key_name: str, number: int, seq: int) -> FragmentRecord:
        self.place += 1
        said = f"{key_name}{number}{seq} "
        return fragment(
            f"{self.place}",
            key(self.place, link=self.link_id, at=self.clock.now, content=f"part{said}"),
            seq,
            3,
            said,
            set_key=key_name,
            patience=10_000 * MINUTE,
        )

    # -- messages: doubtful ones absorb one each --------------------------------------------

    @rule(contents=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def messages_come(self, contents: Sequence[str]) -> None:
        batch = []
        expected = []
        for content in contents:
            self.place += 1
            name = str(self.place)
            said = event(name, "m", body=msgspec.json.encode(content), at=self.clock.now)
            arrival = key(self.place, link=self.link_id, content=content, at=self.clock.now)
            batch.append(message(name, arrival, events=[said]))
            if doubtful := sorted(self.waiting.get(content, ())):
                self.waiting[content].remove(doubtful[0])
                answered, _, _, id_ = doubtful[0]
                expected.append(Recorded(id_, "answered" if answered else "absorbed"))
            else:
                id_ = f"msg_{name}"
                expected.append(Recorded(id_))
                self.stored.append(content)
            self.fresh.append((content, self.place, id_))
        assert self.store.record(batch) == expected

    @precondition(lambda self: self.fresh)
    @rule(lost=st.integers(0, 4))
    def the_link_dies(self, lost: int) -> None:
        answered_to = self.place - lost
        far = self.clock.now + FAR
        self.store.doubt([doubt(answered_to, link=self.link_id, since=0, until=far)])
        for content, place, id_ in self.fresh:
            doubtful = (place <= answered_to, self.link, place, id_)
            self.waiting.setdefault(content, []).append(doubtful)
        self.fresh = []
        self.link += 1

    # -- and meanwhile ----------------------------------------------------------------------

    @rule()
    def a_restart(self) -> None:
        self.store.close()
        self.store = self.engine.open()

    @rule()
    def the_janitor_comes(self) -> None:
        self.clock.now += SECOND
        self.store.expire(self.clock.now, join_to("parts"))
        self.store.prune(self.clock.now)

    @invariant()
    def nothing_is_lost_or_mixed_up(self) -> None:
        if not hasattr(self, "store"):
            return
        joined = sorted(msgspec.json.decode(body, type=str) for body in self.delivered("parts"))
        whole = sorted(
            "".join(f"{key_name}{number}{seq} " for seq in (1, 2, 3))
            for (key_name, number), seqs in self.parts.items()
            if len(seqs) == 3
        )
        unfinished = self.store.counts()["open_sets"]
        assert set(joined) <= set(whole)
        assert len(joined) == len(set(joined))
        partial = sum(1 for seqs in self.parts.values() if 0 < len(seqs) < 3)
        assert len(whole) - len(joined) == unfinished - partial
        messages = sorted(msgspec.json.decode(body, type=str) for body in self.delivered("m"))
        assert messages == sorted(self.stored)

    def delivered(self, lane: str) -> list[bytes]:
        return bodies(self.store, lane, self.clock.now + FAR)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ENGINES)
def test_the_store_agrees_with_the_model(engine_name: str) -> None:
    machine = type("Machine", (SetsAndRepeats,), {"engine_name": engine_name})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
