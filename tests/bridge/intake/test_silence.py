"""Links that died without a word are found out when their carrier is back."""

import trio
from msgspec.structs import replace
from trio.testing import MockClock

from bridge.intake import silence
from bridge.intake.silence import PATIENCE, PEACE, Silence
from smsc.inbox import LinkLoss, LiveLink
from smsc.status import LinkStatus
from tests.fix_intake import NOW
from tests.fix_links import Link


class Bench:
    """Links of a process, and who finds the silent ones."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.losses: list[LinkLoss] = []
        self.now = NOW
        self.silence = Silence(self.live, self.losses.append, lambda: self.now)

    def live(self, account: str) -> list[LiveLink]:
        return [link for link in self.links if link.shown.account == account]

    def open(
        self, name: str, *, alive: bool, account: str = "acme", age: int = 0, arrivals: int = 1
    ) -> Link:
        shown = LinkStatus(
            link=name, account=account, peer="192.0.2.1:5000", state="bound", opened_at=NOW,
            alive_at=NOW - age, arrivals=arrivals,
        )  # fmt: skip
        link = Link(shown, lambda _: None, alive=alive)
        self.links.append(link)
        return link

    async def took(self) -> float:
        """Seconds a bind waits."""
        began = trio.current_time()
        await self.silence.look("acme")
        return trio.current_time() - began


async def test_what_a_silent_link_took_is_in_doubt_as_answered(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.open("lnk_1", alive=False, age=5_000)

    assert await bench.took() == PATIENCE
    assert bench.losses == [
        LinkLoss(link="lnk_1", account="acme", alive_at=NOW - 5_000, unanswered=())
    ]


async def test_who_answers_and_other_accounts_are_left_alone(autojump_clock: MockClock) -> None:
    bench = Bench()
    there = bench.open("lnk_1", alive=True)
    other = bench.open("lnk_2", alive=False, account="other")

    assert await bench.took() == 0
    assert bench.losses == []
    assert (there.asked, there.probed, other.asked) == (1, 0, 0)


async def test_a_link_that_took_nothing_is_not_asked(autojump_clock: MockClock) -> None:
    bench = Bench()
    link = bench.open("lnk_1", alive=False, arrivals=0)

    assert await bench.took() == 0
    assert (link.asked, bench.losses) == (0, [])


async def test_nobody_waits_twice_for_one_that_is_known_to_be_silent(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    link = bench.open("lnk_1", alive=False, age=5_000)
    await bench.took()

    assert await bench.took() == 0
    assert len(bench.losses) == 1
    link.shown = replace(link.shown, alive_at=NOW)  # it was only slow, and is silent again
    assert await bench.took() == PATIENCE
    assert len(bench.losses) == 2


async def test_a_storm_of_binds_shares_its_questions(autojump_clock: MockClock) -> None:
    bench = Bench()
    gone, there = bench.open("lnk_1", alive=False), bench.open("lnk_2", alive=True)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(bench.silence.look, "acme")

    assert trio.current_time() - began == PATIENCE
    assert (gone.asked, there.asked) == (1, 1)
    assert len(bench.losses) == 1
    await bench.took()
    assert there.asked == 1
    bench.now += PEACE + 1
    await bench.took()
    assert there.asked == 2


async def test_those_silent_for_longest_are_asked_first(
    autojump_clock: MockClock, monkeypatch: object
) -> None:
    bench = Bench()
    links = [bench.open(f"lnk_{age}", alive=True, age=age) for age in range(40)]
    await bench.took()

    assert [link.asked for link in links] == [0] * 8 + [1] * silence.MOST_ASKED


async def test_one_that_ends_meanwhile_was_reported_by_itself(autojump_clock: MockClock) -> None:
    bench = Bench()
    link = bench.open("lnk_1", alive=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.silence.look, "acme")
        await trio.sleep(PATIENCE / 2)
        link.shown = replace(link.shown, state="closed")

    assert bench.losses == []


async def test_a_bind_that_is_given_up_leaves_the_others_their_questions(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    link = bench.open("lnk_1", alive=False)
    with trio.move_on_after(PATIENCE / 2):
        await bench.silence.look("acme")

    assert await bench.took() == PATIENCE
    assert link.asked == 2
    assert len(bench.losses) == 1
