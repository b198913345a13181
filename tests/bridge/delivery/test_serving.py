"""What one lane holds, and when it stops."""

from bridge.delivery.serving import FURTHEST_REACH, ServedLane, prepare
from bridge.model import Endpoint
from bridge.store.contract import Due

ENDPOINT = Endpoint(
    name="crm",
    url="https://receiver.example/",
    secrets=("whsec_" + "c2VjcmV0IG9mIHR3ZW50eS1mb3VyIG9jdGV0cyE=",),
    max_concurrency=4,
)


def lane(lease_until: float = 100) -> ServedLane:
    return ServedLane("crm", prepare(ENDPOINT, "1"), 1, lease_until)


def rows(count: int, first: int = 1) -> list[Due]:
    return [
        Due(number, "crm", "crm", f"evt_{number}", "message.received", b"{}", 0, 0, 0, 0)
        for number in range(first, first + count)
    ]


def test_it_reads_ahead_twice_what_it_may_have_under_way() -> None:
    served = lane()
    assert served.room(0) == 8

    served.take_in(rows(8), 8, 0)
    assert served.room(0) == 0
    started = [served.next(0) for _ in range(6)]
    assert [each[0].id for each in started if each] == [1, 2, 3, 4]
    assert len(served.held) == 8

    served.settled([1, 2])
    assert served.room(0) == 2


def test_it_is_hungry_when_half_is_used_up_and_there_is_more() -> None:
    served = lane()
    served.take_in(rows(8), 8, 0)
    assert not served.hungry()  # full

    for _ in range(4):
        served.next(0)
    served.settled([1])
    assert served.hungry()

    served.take_in(rows(0), 1, 0)  # nothing more in the store
    assert not served.hungry()


def test_a_fast_lane_reaches_further_up_to_a_bound_and_a_slow_one_back() -> None:
    served = lane()
    now = 0.0
    for _ in range(20):
        now += 0.01
        limit = served.room(now)
        served.take_in(rows(limit), limit, now)
        served.settled(list(served.held))
        served.ready.clear()
    assert served.room(now) == FURTHEST_REACH

    for _ in range(20):
        now += 10
        served.take_in([], 1, now)
    assert served.room(90) == 8


def test_retiring_or_without_a_lease_it_starts_and_reads_nothing() -> None:
    served = lane(lease_until=10)
    served.take_in(rows(2), 8, 9)
    assert served.room(10) == 0
    assert served.next(10) is None

    served.lease_until = 20
    served.retiring = True
    assert served.next(10) is None
    served.take_in(rows(2, 3), 8, 10)
    assert served.held == {1, 2}


def test_it_is_drained_when_nothing_is_held() -> None:
    served = lane()
    served.take_in(rows(3), 8, 0)
    served.next(0)
    served.retiring = True
    served.forget_ready()
    assert not served.drained

    served.settled([1])
    assert served.drained


def test_what_was_read_while_the_lane_stopped_is_not_held() -> None:
    served = lane()
    served.pace.paused_until = 5
    served.take_in(rows(3), 8, 1)

    assert not served.held
    assert served.room(1) == 0
    assert served.room(5) == 8


def test_an_open_breaker_wants_one_row_for_its_probe_once_all_is_settled() -> None:
    served = lane()
    served.take_in(rows(8), 8, 0)
    for _ in range(10):
        served.pace.start()
        served.pace.end(False, 0, probe=False)
    served.forget_ready()
    assert not served.held
    assert served.room(29) == 0
    assert served.room(30) == 1

    served.take_in(rows(1), 1, 30)
    started = served.next(30)
    assert started
    assert started[1]
    assert served.room(30) == 0


def test_a_changed_endpoint_holds_from_then_on() -> None:
    served = lane()
    more = Endpoint(name="crm", url=ENDPOINT.url, secrets=ENDPOINT.secrets, max_concurrency=10)
    served.serve(prepare(more, "1"))

    assert served.pace.limit == 10
