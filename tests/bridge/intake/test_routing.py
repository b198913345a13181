"""Which number a message came to, and where that leads."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.lanes import lane_of
from bridge.intake.routing import UNKNOWN, Leg, RoutingTable, wants
from bridge.model import Endpoint, Live, Number, Route
from bridge.store.records import DeliveryRecord


def endpoint(name: str, *, lanes: int = 1, event_types: tuple[str, ...] = ("*",)) -> Endpoint:
    return Endpoint(
        name=name, url="https://example.com/", secrets=(), lanes=lanes, event_types=event_types
    )


def table(*numbers: str) -> RoutingTable:
    return RoutingTable(Live(numbers=tuple(Number(number=number) for number in numbers)))


def routed(*routes: Route, endpoints: tuple[Endpoint, ...]) -> RoutingTable:
    number = Number(number="*", routes=tuple(route.name for route in routes))
    return RoutingTable(Live(numbers=(number,), routes=routes, endpoints=endpoints))


def to(*names: str) -> tuple[DeliveryRecord, ...]:
    return tuple(DeliveryRecord(name, name) for name in names)


def test_the_exact_number_wins_then_the_longest_prefix_then_any() -> None:
    numbers = table("+447700900999", "+4477*", "+44770090*", "*")

    assert numbers.match("+447700900999").number == "+447700900999"
    assert numbers.match("+447700900998").number == "+44770090*"
    assert numbers.match("+447711111111").number == "+4477*"
    assert numbers.match("+4477").number == "+4477*"
    assert numbers.match("60777").number == "*"


def test_a_number_nobody_configured_leads_nowhere() -> None:
    assert table("+4477*").match("+33123456789") == UNKNOWN
    assert table().match("") == UNKNOWN


_digits = st.text("01", max_size=6)


@given(st.sets(_digits), st.sets(_digits), st.booleans(), _digits)
def test_matching_agrees_with_reading_the_rule_aloud(
    exact: set[str], prefixes: set[str], has_any: bool, destination: str
) -> None:
    names = [*exact, *(f"{prefix}*" for prefix in prefixes if prefix), *(["*"] if has_any else [])]
    fitting = [
        name
        for name in names
        if name == destination
        or (name.endswith("*") and name != "*" and destination.startswith(name[:-1]))
    ]
    if destination in exact:
        expected: str | None = destination
    elif fitting:
        expected = max(fitting, key=len)
    else:
        expected = "*" if has_any else None

    assert table(*names).match(destination).number == expected


def test_each_route_makes_a_leg() -> None:
    numbers = routed(
        Route(name="one", endpoints=("a", "b"), routing_tag="billing"),
        Route(name="two", endpoints=("c",)),
        endpoints=(endpoint("a"), endpoint("b"), endpoint("c")),
    )

    assert numbers.match("1").message == (
        Leg("one", "billing", to("a", "b")),
        Leg("two", None, to("c")),
    )


def test_an_endpoint_in_two_routes_is_told_once() -> None:
    numbers = routed(
        Route(name="one", endpoints=("a", "a")),
        Route(name="two", endpoints=("a", "b")),
        Route(name="three", endpoints=("a", "b")),
        endpoints=(endpoint("a"), endpoint("b")),
    )

    assert numbers.match("1").message == (Leg("one", None, to("a")), Leg("two", None, to("b")))


def test_endpoints_get_the_types_they_subscribe_to() -> None:
    numbers = routed(
        Route(name="one", endpoints=("all", "messages", "receipts", "exact")),
        endpoints=(
            endpoint("all"),
            endpoint("messages", event_types=("message.*",)),
            endpoint("receipts", event_types=("receipt.received",)),
            endpoint("exact", event_types=("message.received", "receipt.other")),
        ),
    )
    match = numbers.match("1")

    assert match.message == (Leg("one", None, to("all", "messages", "exact")),)
    assert match.receipt == (Leg("one", None, to("all", "receipts")),)


def test_a_disabled_endpoint_collects_deliveries() -> None:
    off = Endpoint(name="a", url="https://example.com/", secrets=(), enabled=False)

    numbers = routed(Route(name="one", endpoints=("a",)), endpoints=(off,))

    assert numbers.match("1").message == (Leg("one", None, to("a")),)


def test_an_endpoint_with_several_lanes_spreads_events_over_them() -> None:
    wide = endpoint("wide", lanes=4)
    numbers = routed(Route(name="one", endpoints=("wide", "a")), endpoints=(wide, endpoint("a")))
    (leg,) = numbers.match("1").message

    lanes = set()
    for index in range(100):
        first, second = leg.deliveries(f"evt_{index}")
        assert first == DeliveryRecord("a", "a")
        assert second == DeliveryRecord("wide", lane_of(wide, f"evt_{index}"))
        lanes.add(second.lane)
    assert len(lanes) == 4


def test_a_number_keeps_its_tenant_without_routes() -> None:
    numbers = RoutingTable(Live(numbers=(Number(number="1", tenant="retail"),)))

    match = numbers.match("1")

    assert (match.number, match.tenant, match.message, match.receipt) == ("1", "retail", (), ())


def test_names_that_lead_nowhere_are_passed_over() -> None:
    numbers = RoutingTable(
        Live(
            numbers=(Number(number="1", routes=("gone", "one")),),
            routes=(Route(name="one", endpoints=("gone", "a")),),
            endpoints=(endpoint("a"),),
        )
    )

    assert numbers.match("1").message == (Leg("one", None, to("a")),)


def test_wants() -> None:
    assert wants(endpoint("a", event_types=("message.*",)), "message.received")
    assert not wants(endpoint("a", event_types=("message.*",)), "receipt.received")
    assert not wants(endpoint("a", event_types=()), "message.received")
