"""Which number a message came to, and where that leads. Pure.

A table is built once per revision of the live configuration, with everything that doesn't
depend on the message worked out in advance; finding a number then costs one look-up for an
exact one and one more for each length that prefixes have.
"""

from msgspec import Struct

from bridge.delivery.lanes import lane_of
from bridge.model import DEFAULT_TENANT, Endpoint, EventType, Live, Number, Route
from bridge.store.records import DeliveryRecord

ANY = "*"


class Leg(Struct, frozen=True, gc=False):
    """What one route asks for one type of event: one event, and who gets it."""

    route_id: str | None
    routing_tag: str | None
    fixed: tuple[DeliveryRecord, ...]
    """To endpoints with one lane: the same for every event."""
    spread: tuple[Endpoint, ...] = ()
    """Endpoints with several lanes, where the event's id decides."""

    def deliveries(self, event_id: str) -> tuple[DeliveryRecord, ...]:
        """Return the event's deliveries."""
        if not self.spread:
            return self.fixed
        return self.fixed + tuple(
            DeliveryRecord(endpoint.name, lane_of(endpoint, event_id)) for endpoint in self.spread
        )


class Match(Struct, frozen=True):
    """What a destination leads to."""

    number: str | None
    """The configured number that matched; None: none did."""
    tenant: str
    message: tuple[Leg, ...]
    """Legs of ``message.received``: each endpoint is in one of them only, the first whose route
    names it. Empty: the message is unrouted."""
    receipt: tuple[Leg, ...]
    """Legs of ``receipt.received``."""


UNKNOWN = Match(None, DEFAULT_TENANT, (), ())
"""What a destination nobody configured leads to."""


class RoutingTable:
    """The numbers, routes and endpoints of one revision, ready to be asked."""

    def __init__(self, live: Live) -> None:
        routes = {route.name: route for route in live.routes}
        endpoints = {endpoint.name: endpoint for endpoint in live.endpoints}
        self._exact: dict[str, Match] = {}
        prefixes: dict[int, dict[str, Match]] = {}
        self._any = UNKNOWN
        for number in live.numbers:
            match = _match(number, routes, endpoints)
            if number.number == ANY:
                self._any = match
            elif number.number.endswith(ANY):
                prefix = number.number[:-1]
                prefixes.setdefault(len(prefix), {})[prefix] = match
            else:
                self._exact[number.number] = match
        self._prefixes = tuple(sorted(prefixes.items(), reverse=True))

    def match(self, destination: str) -> Match:
        """Find what a destination leads to: the exact number, else the longest prefix, else any
        (``*``), else :data:`UNKNOWN`."""
        match = self._exact.get(destination)
        if match is not None:
            return match
        for length, found in self._prefixes:
            match = found.get(destination[:length])
            if match is not None:
                return match
        return self._any


def _match(number: Number, routes: dict[str, Route], endpoints: dict[str, Endpoint]) -> Match:
    taken = [routes[name] for name in number.routes if name in routes]
    return Match(
        number.number,
        number.tenant,
        _legs("message.received", taken, endpoints),
        _legs("receipt.received", taken, endpoints),
    )


def _legs(
    event_type: EventType, routes: list[Route], endpoints: dict[str, Endpoint]
) -> tuple[Leg, ...]:
    """Return a leg for each route that still has somebody to tell."""
    told: set[str] = set()
    legs: list[Leg] = []
    for route in routes:
        named = [endpoints[name] for name in dict.fromkeys(route.endpoints) if name in endpoints]
        new = [each for each in named if each.name not in told and wants(each, event_type)]
        told.update(each.name for each in new)
        if new:
            fixed = tuple(DeliveryRecord(e.name, lane_of(e, "")) for e in new if e.lanes <= 1)
            spread = tuple(each for each in new if each.lanes > 1)
            legs.append(Leg(route.name, route.routing_tag, fixed, spread))
    return tuple(legs)


def wants(endpoint: Endpoint, event_type: str) -> bool:
    """Say whether an endpoint is subscribed to a type: by name, ``message.*`` or ``*``."""
    group = event_type.partition(".")[0] + ".*"
    return any(name in (event_type, group, ANY) for name in endpoint.event_types)
