"""Lane names, who serves which lane, and when a lane may send."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.lanes import Pace, assign, endpoint_of, lane_of, lanes_of, share
from bridge.model import Endpoint


def endpoint(lanes: int = 1, max_concurrency: int = 8) -> Endpoint:
    return Endpoint(
        name="crm", url="-", secrets=("-",), lanes=lanes, max_concurrency=max_concurrency
    )


@settings(deadline=None)  # a busy machine is not a bug
@given(st.integers(1, 64), st.text())
def test_an_events_lane_is_one_of_its_endpoints_and_always_the_same(lanes: int, event: str) -> None:
    event = event.encode("utf-8", "replace").decode()
    lane = lane_of(endpoint(lanes), event)

    assert lane in lanes_of(endpoint(lanes))
    assert lane == lane_of(endpoint(lanes), event)
    assert "crm" in endpoint_of(lane)


def test_events_spread_evenly_over_lanes() -> None:
    counts = dict.fromkeys(lanes_of(endpoint(4)), 0)
    for number in range(4_000):
        counts[lane_of(endpoint(4), f"evt_{number:026d}")] += 1

    assert all(800 < count < 1_200 for count in counts.values())


def test_an_ordinary_endpoint_has_one_lane_of_its_own_name() -> None:
    assert lanes_of(endpoint()) == ("crm",)
    assert endpoint_of("crm") == ("crm",)
    assert endpoint_of("crm/3") == ("crm", "crm/3")
    assert endpoint_of("crm/x") == ("crm/x",)


def test_concurrency_is_shared_by_lanes() -> None:
    assert share(endpoint(1, 8)) == 8
    assert share(endpoint(3, 8)) == 2
    assert share(endpoint(16, 8)) == 1


LANES = [f"lane-{number}" for number in range(1_000)]


@settings(deadline=None)  # a busy machine is not a bug
@given(st.sets(st.sampled_from("abcdefgh"), min_size=1))
def test_every_lane_has_exactly_one_owner(names: set[str]) -> None:
    processes = sorted(names)
    owned = [assign(LANES[:100], processes, me) for me in processes]

    assert sorted(lane for lanes in owned for lane in lanes) == sorted(LANES[:100])


def test_few_lanes_move_when_a_process_comes_and_none_between_the_others() -> None:
    before = {me: assign(LANES, ["a", "b", "c"], me) for me in "abc"}
    after = {me: assign(LANES, ["a", "b", "c", "d"], me) for me in "abcd"}

    assert all(after[me] <= before[me] for me in "abc")
    assert 180 < len(after["d"]) < 320
    assert all(250 < len(lanes) < 420 for lanes in before.values())


def test_a_lane_starts_as_many_as_it_may() -> None:
    pace = Pace(2)
    assert pace.room(0) == 2
    assert not pace.start()
    assert not pace.start()
    assert pace.room(0) == 0

    pace.end(True, 0, probe=False)
    assert pace.room(0) == 1


def test_a_pause_holds_everything_back_until_its_end() -> None:
    pace = Pace(2)
    pace.start()
    pace.end(None, 10, probe=False, pause=5)

    assert pace.room(14.9) == 0
    assert pace.blocked_until(14) == 15
    assert pace.room(15) == 2
    assert pace.blocked_until(15) is None


def test_an_open_breaker_lets_one_probe_through() -> None:
    pace = Pace(8)
    for _ in range(10):
        pace.start()
        pace.end(False, 0, probe=False)
    assert pace.room(1) == 0
    assert pace.blocked_until(1) == 30

    assert pace.room(30) == 1
    assert pace.start()
    assert pace.room(31) == 0
    assert pace.blocked_until(31) is None

    pace.end(True, 32, probe=True)
    assert pace.room(32) == 8
