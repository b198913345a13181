"""Which lane a delivery goes through, who serves a lane, and when it may send. Pure."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from zlib import crc32

from bridge.delivery.breaker import Breaker
from bridge.model import Endpoint


def lanes_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Name an endpoint's lanes: its own name, or ``name/0`` … where it has several."""
    if endpoint.lanes <= 1:
        return (endpoint.name,)
    return tuple(f"{endpoint.name}/{index}" for index in range(endpoint.lanes))


def lane_of(endpoint: Endpoint, event_id: str) -> str:
    """Name the lane of an event: the same one each time it is asked."""
    if endpoint.lanes <= 1:
        return endpoint.name
    return f"{endpoint.name}/{crc32(event_id.encode()) % endpoint.lanes}"


def endpoint_of(lane: str) -> tuple[str, ...]:
    """Name the endpoints a lane may belong to, the likelier first: it may be left from a time
    when its endpoint had more lanes, or fewer."""
    name, slash, index = lane.rpartition("/")
    return (name, lane) if slash and index.isdigit() else (lane,)


def share(endpoint: Endpoint) -> int:
    """How many requests one lane may have under way: the endpoint's, spread over its lanes,
    which may be served by different processes."""
    return max(1, endpoint.max_concurrency // max(1, endpoint.lanes))


def assign(lanes: Iterable[str], processes: Sequence[str], me: str) -> frozenset[str]:
    """Choose the lanes that ``me`` is to serve, one of ``processes``.

    Every process comes to the same result by itself; when one comes or goes, only the lanes it
    gains or loses move (rendezvous hashing).
    """
    if list(processes) == [me]:
        return frozenset(lanes)
    return frozenset(
        lane
        for lane in lanes
        if max(processes, key=lambda process: (_weight(process, lane), process)) == me
    )


def _weight(process: str, lane: str) -> bytes:
    return blake2b(f"{process}\0{lane}".encode(), digest_size=8).digest()


class Pace:
    """When one lane may send: breaker, pause and concurrency. Times are seconds on one clock."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Requests under way at once."""
        self.under_way = 0
        self.paused_until = 0.0
        self.breaker = Breaker()

    def room(self, now: float) -> int:
        """How many requests may be started now."""
        if now < self.paused_until or not self.breaker.admits(now):
            return 0
        if not self.breaker.closed:
            return 1
        return max(0, self.limit - self.under_way)

    def blocked_until(self, now: float) -> float | None:
        """When a lane that may not send now may be asked again; None: nothing but its own
        requests under way holds it back."""
        until = self.paused_until
        breaker = self.breaker
        if breaker.open_until is not None and not breaker.probing:
            until = max(until, breaker.open_until)
        return until if until > now else None

    def start(self) -> bool:
        """Count a request as under way; whether it is a probe."""
        self.under_way += 1
        if self.breaker.closed:
            return False
        self.breaker.probe()
        return True

    def end(self, success: bool | None, now: float, *, probe: bool, pause: float = 0) -> None:
        """Count it as ended; ``pause`` seconds from now nothing is sent."""
        self.under_way -= 1
        if pause:
            self.paused_until = max(self.paused_until, now + pause)
        self.breaker.observe(success, now, probe=probe)
