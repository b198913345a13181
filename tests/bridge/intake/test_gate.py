"""Who may bind, and how many at once."""

from itertools import count

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from bridge import passwords
from bridge.errors import StoreUnavailable
from bridge.intake.gate import Gate
from bridge.intake.places import GRANT_LASTS
from bridge.live import LiveView
from bridge.model import Live
from bridge.passwords import hash_password
from bridge.store.contract import ProcessStatus
from smsc.config import Account, BindKind
from smsc.inbox import BindGate, BindRequest
from smsc.status import LinkStatus
from tests.fix_intake import NOW, FaultyStore, HeldThreads
from tests.fix_links import Link

ACME = Account(
    name="acme",
    system_id="acme-id",
    password_hash=hash_password("secret08"),
    carrier="acme",
    max_links=2,
    binds=("receiver", "transceiver"),
)
OFF = replace(ACME, name="off", system_id="off-id", enabled=False)


def request(
    link: str = "lnk_1",
    *,
    system_id: str = "acme-id",
    password: str = "secret08",
    kind: BindKind = "transceiver",
    peer: str = "192.0.2.1:5000",
) -> BindRequest:
    return BindRequest(link=link, peer=peer, kind=kind, system_id=system_id, password=password)


def status(link: str, *, account: str = "acme", state: str = "bound", age: int = 0) -> LinkStatus:
    made = LinkStatus(
        link=link, account=account, peer="192.0.2.1:5000", state="bound", opened_at=NOW,
        alive_at=NOW - age,
    )  # fmt: skip
    return replace(made, state=state)


class Bench:
    def __init__(self, store: FaultyStore, threads: HeldThreads) -> None:
        self.store = store
        self.live = LiveView(threads, Live(revision=1, accounts=(ACME, OFF)))
        self.rounds: list[str] = []
        self.hold: trio.Event | None = None
        orders = count(1)
        self.gate = Gate(
            threads,
            self.live,
            lambda: NOW,
            new_id=lambda: f"ord_{next(orders)}",
            doubt_vanished=self.doubt,
            announce=self.announce,
            apart=0,
        )
        self.port: BindGate = self.gate

    def open(self, link: str, *, alive: bool = True) -> Link:
        """A bound link of this process."""
        opened = Link(status(link), self.port.closed, alive=alive)
        self.port.opened(opened)
        return opened

    async def doubt(self) -> None:
        self.rounds.append("doubted")
        if self.hold is not None:
            await self.hold.wait()

    async def announce(self) -> None:
        self.rounds.append("announced")

    async def refusal(self, asked: BindRequest) -> str | None:
        with trio.fail_after(30):
            verdict = await self.port.ask(asked)
        assert (verdict.account is None) == (verdict.refusal is not None)
        assert "secret08" not in verdict.detail
        assert asked.password == "" or asked.password not in verdict.detail
        return verdict.refusal

    def others(self, *links: LinkStatus) -> None:
        """Links of another process, as the store knows them."""
        process = ProcessStatus(
            id="prc_other", node="here", pid=1, pid_started=0, role="carrier", started_at=NOW
        )
        self.store.beat(process, links, NOW)


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads) -> Bench:
    return Bench(faulty_store, held)


async def test_the_right_password_binds_with_the_accounts_options(bench: Bench) -> None:
    verdict = await bench.port.ask(request())

    assert verdict.account == ACME
    assert verdict.refusal is None


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (request(system_id="nobody"), "unknown-system-id"),
        (request(system_id="ACME-ID"), "unknown-system-id"),
        (request(password="secret09"), "wrong-password"),
        (request(password=""), "wrong-password"),
        (request(kind="transmitter"), "kind-not-allowed"),
        (request(system_id="off-id"), "disabled"),
        (request(system_id="off-id", password="guess"), "wrong-password"),
    ],
)
async def test_others_are_refused_with_the_reason(
    bench: Bench, asked: BindRequest, refusal: str
) -> None:
    assert await bench.refusal(asked) == refusal


async def test_who_is_refused_costs_the_store_nothing(bench: Bench) -> None:
    await bench.refusal(request(password="guess"))
    await bench.refusal(request(system_id="off-id"))

    assert bench.rounds == []


async def test_too_many_binds_at_once_are_our_trouble(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)

    assert await bench.refusal(request()) == "unavailable"


async def test_r25_links_are_limited(bench: Bench) -> None:
    for link in ("lnk_1", "lnk_2"):
        assert await bench.refusal(request(link)) is None
        bench.open(link)

    assert await bench.refusal(request("lnk_3")) == "too-many-links"
    bench.port.closed(status("lnk_1"))
    assert await bench.refusal(request("lnk_3")) is None


async def test_r24_a_link_that_answers_is_not_replaced(bench: Bench) -> None:
    links = [bench.open("lnk_1"), bench.open("lnk_2")]

    assert await bench.refusal(request("lnk_3")) == "too-many-links"
    assert [link.probed for link in links] == [1, 1]


async def test_r24_a_link_that_stays_silent_is_replaced(bench: Bench) -> None:
    links = [bench.open("lnk_1"), bench.open("lnk_2", alive=False)]

    assert await bench.refusal(request("lnk_3")) is None
    assert [link.probed for link in links] == [1, 1]
    assert bench.gate.links() == [links[0]]


async def test_nobody_is_asked_for_who_does_not_know_the_password(bench: Bench) -> None:
    links = [bench.open("lnk_1"), bench.open("lnk_2", alive=False)]

    assert await bench.refusal(request("lnk_3", password="guess")) == "wrong-password"
    assert [link.probed for link in links] == [0, 0]


async def test_a_granted_bind_holds_its_place_for_a_while(
    bench: Bench, mock_clock: MockClock
) -> None:
    # No autojump: hashing takes real time in its thread.
    for link in ("lnk_1", "lnk_2"):
        assert (await bench.port.ask(request(link))).account
    assert (await bench.port.ask(request("lnk_3"))).refusal == "too-many-links"
    mock_clock.jump(GRANT_LASTS + 1)
    assert (await bench.port.ask(request("lnk_3"))).account


async def test_links_of_other_processes_count(bench: Bench) -> None:
    bench.others(status("lnk_7"), status("lnk_8", state="unbinding"))

    assert await bench.refusal(request()) == "too-many-links"


async def test_links_that_can_not_be_counted_on_do_not_count(bench: Bench) -> None:
    bench.others(
        status("lnk_5", state="closed"),
        status("lnk_6", age=600_000),
        status("lnk_7", account="other"),
        status("lnk_8", account="", state="open"),
    )

    assert await bench.refusal(request()) is None


async def test_our_own_links_are_not_counted_twice(bench: Bench) -> None:
    assert await bench.refusal(request("lnk_1")) is None
    bench.open("lnk_1")
    bench.others(status("lnk_1"))

    assert await bench.refusal(request("lnk_2")) is None


async def test_a_link_of_ours_that_ended_frees_its_place_before_the_store_knows(
    bench: Bench,
) -> None:
    bench.others(status("lnk_1"), status("lnk_2"))
    for link in ("lnk_1", "lnk_2"):
        bench.open(link)
    bench.port.closed(status("lnk_1"))
    bench.port.closed(status("lnk_1"))

    assert await bench.refusal(request("lnk_3")) is None


async def test_no_limit(bench: Bench, held: HeldThreads) -> None:
    unlimited = replace(ACME, max_links=0)
    gate = Gate(held, LiveView(held, Live(accounts=(unlimited,))), lambda: NOW, new_id=str)
    with trio.fail_after(30):
        for number in range(20):
            assert (await gate.ask(request(f"lnk_{number}"))).account == unlimited


# What needs no secret comes first, and fails closed.


@pytest.mark.parametrize(
    ("options", "asked", "refusal", "detail"),
    [
        ({"allow_from": ("192.0.2.0/24",)}, {}, None, ""),
        ({"allow_from": ("192.0.2.0/24",)}, {"peer": "[::ffff:192.0.2.9]:1"}, None, ""),
        (
            {"allow_from": ("192.0.2.0/24",)},
            {"peer": "198.51.100.1:5000"},
            "address-not-allowed",
            "198.51.100.1 is not within allow_from of account acme",
        ),
        ({"allow_from": ("0.0.0.0/0",)}, {"peer": "unknown"}, "address-not-allowed", "unknown is"),
        ({"allow_from": ("192.0.2.0/24", "?")}, {}, "address-not-allowed", "192.0.2.1 is not"),
        ({"require_tls": True}, {"tls": "TLSv1.3"}, None, ""),
        ({"require_tls": True}, {}, "tls-required", "account acme wants TLS"),
        ({"certificates": ("AB:CD",)}, {"tls": "TLSv1.3", "certificate": "abcd"}, None, ""),
        ({"certificates": ("abcd",)}, {"certificate": "ef01"}, "certificate-not-allowed", "ef01"),
        ({"certificates": ("abcd",)}, {}, "certificate-not-allowed", "it showed none"),
        ({"certificates": ("",)}, {}, "certificate-not-allowed", "it showed none"),
        ({"outbind": True}, {"outbind": True, "kind": "transmitter"}, None, ""),
        ({}, {"outbind": True}, "outbind-not-allowed", "account acme takes no outbind"),
    ],
)
async def test_r25_where_and_how_an_account_may_be_bound(
    bench: Bench,
    options: dict[str, object],
    asked: dict[str, object],
    refusal: str | None,
    detail: str,
) -> None:
    bench.live._set(Live(accounts=(replace(ACME, **options),)))
    with trio.fail_after(30):
        verdict = await bench.port.ask(replace(request(), **asked))

    assert verdict.refusal == refusal
    assert detail in verdict.detail


async def test_r25_who_may_not_even_try_learns_nothing_of_the_password(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "verify", None)  # nobody is to be asked
    bench.live._set(Live(accounts=(replace(ACME, allow_from=("198.51.100.0/24",)),)))

    for password in ("secret08", "guess"):
        assert await bench.refusal(request(password=password)) == "address-not-allowed"


async def test_r25_wrong_passwords_cost_time_there_and_nowhere_else(
    bench: Bench, mock_clock: MockClock
) -> None:
    # No autojump: hashing takes real time in its thread.
    assert (await bench.port.ask(request(password="guess"))).refusal == "wrong-password"
    verdicts: list[str | None] = []

    async def ask(password: str) -> None:
        verdicts.append((await bench.port.ask(request(password=password))).refusal)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "secret08")
        await wait_all_tasks_blocked()
        elsewhere = request("lnk_2", peer="192.0.2.2:5000")
        assert (await bench.port.ask(elsewhere)).account == ACME
        assert verdicts == []
        mock_clock.jump(0.5)
    assert verdicts == [None]


async def test_r25_strangers_wait_as_well(bench: Bench, mock_clock: MockClock) -> None:
    stranger = request(system_id="nobody")
    assert (await bench.port.ask(stranger)).refusal == "unknown-system-id"
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.port.ask, stranger)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught


async def test_before_a_bind_the_vanished_are_doubted_and_links_announced(bench: Bench) -> None:
    assert await bench.refusal(request()) is None

    assert bench.rounds == ["doubted", "announced"]


async def test_before_a_bind_of_our_own_the_same_is_done(bench: Bench) -> None:
    with trio.fail_after(30):
        await bench.gate.prepare("acme")

    assert bench.rounds == ["doubted", "announced"]


async def test_one_round_serves_all_who_asked_before_it_began(bench: Bench) -> None:
    hold = bench.hold = trio.Event()
    bench.live._set(Live(accounts=(replace(ACME, max_links=0),)))
    with trio.fail_after(30):
        assert await bench.gate._passwords.check(ACME.password_hash, "secret08")
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(bench.port.ask, request(f"lnk_{number}"))
            await wait_all_tasks_blocked()
            for number in range(10, 20):  # too late for the round that is under way
                nursery.start_soon(bench.port.ask, request(f"lnk_{number}"))
            await wait_all_tasks_blocked()
            bench.hold = None
            hold.set()

    assert bench.rounds == ["doubted", "announced"] * 2


async def test_an_account_changed_meanwhile_is_decided_by_as_it_is(bench: Bench) -> None:
    hold = bench.hold = trio.Event()
    verdicts: list[str | None] = []

    async def ask(number: int) -> None:
        verdicts.append(await bench.refusal(request(f"lnk_{number}")))

    for changed in ((), (replace(ACME, password_hash="$"),), (replace(ACME, enabled=False),)):
        assert await bench.gate._passwords.check(ACME.password_hash, "secret08")
        bench.live._set(Live(accounts=(ACME,)))
        async with trio.open_nursery() as nursery:
            hold = bench.hold = trio.Event()
            nursery.start_soon(ask, len(verdicts))
            await wait_all_tasks_blocked()
            bench.live._set(Live(accounts=changed))
            hold.set()

    assert verdicts == ["wrong-password", "wrong-password", "disabled"]


async def test_without_the_store_binds_go_on(bench: Bench, held: HeldThreads) -> None:
    async def away() -> None:
        raise StoreUnavailable("away")

    owed: list[object] = []
    gate = Gate(held, bench.live, lambda: NOW, new_id=str, doubt_vanished=away, owe=owed.append)
    with trio.fail_after(30):
        assert (await gate.ask(request("lnk_1"))).account == ACME
        assert (await gate.ask(request("lnk_2"))).account == ACME
    assert owed == [away, away]


async def test_cancelled_it_leaves_nothing_behind(bench: Bench) -> None:
    bench.hold = trio.Event()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.port.ask, request("lnk_1"))
            await wait_all_tasks_blocked()
            scope.cancel()
    bench.hold = None

    for link in ("lnk_2", "lnk_3"):
        assert await bench.refusal(request(link)) is None


async def test_an_account_is_there_until_it_is_removed_or_disabled(bench: Bench) -> None:
    assert bench.port.account("acme") == ACME
    assert bench.port.account("off") is None
    bench.live._set(Live())
    assert bench.port.account("acme") is None
