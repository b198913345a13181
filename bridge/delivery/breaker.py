"""Stops sending to what keeps failing (CONTRACT §5). Pure; one for each lane.

::

    closed ── 10 failures in a row, or ≥ 10 requests of which ≥ 70 % failed in 5 min ──▶ open
    open   ── 30 s later (then 60 s, 120 s … at most 10 min) ──▶ one probe may go
    probe  ── success ──▶ closed, all forgotten        failure ──▶ open, twice as long

While it is open, deliveries wait without spending attempts. Requests that were under way when
it opened end as they end; only the probe's result changes its state.
"""

from collections import deque

FAILURES_IN_A_ROW = 10
MIN_REQUESTS = 10
FAILURE_SHARE = 0.7
WINDOW = 300.0
FIRST_WAIT = 30.0
LONGEST_WAIT = 600.0

_BUCKET = 10.0


class Breaker:
    """Counts results and says when the next request may go. Times are seconds on any clock."""

    def __init__(self) -> None:
        self.open_until: float | None = None
        """When the next probe may go; None: closed."""
        self._wait = FIRST_WAIT
        self._probing = False
        self._in_a_row = 0
        self._buckets: deque[list[float]] = deque()  # start, requests, failures

    @property
    def closed(self) -> bool:
        """Whether requests flow freely."""
        return self.open_until is None

    @property
    def probing(self) -> bool:
        """Whether a probe is under way."""
        return self._probing

    def admits(self, now: float) -> bool:
        """Whether a request may go now. If it is not closed, call :meth:`probe` with it."""
        if self.open_until is None:
            return True
        return not self._probing and now >= self.open_until

    def probe(self) -> None:
        """Note that the one request an open breaker admits is under way."""
        self._probing = True

    def observe(self, success: bool | None, now: float, *, probe: bool = False) -> None:
        """Count a result; None says neither (postponed, abandoned)."""
        if self.open_until is not None:
            if probe:
                self._end_probe(success, now)
            return
        if success is None:
            return
        bucket = self._bucket(now)
        bucket[1] += 1
        if success:
            self._in_a_row = 0
            return
        bucket[2] += 1
        self._in_a_row += 1
        if self._in_a_row >= FAILURES_IN_A_ROW or self._mostly_failing():
            self.open_until = now + self._wait

    def _end_probe(self, success: bool | None, now: float) -> None:
        self._probing = False
        if success:
            self.open_until = None
            self._wait = FIRST_WAIT
            self._in_a_row = 0
            self._buckets.clear()
        elif success is None:
            self.open_until = now
        else:
            self._wait = min(self._wait * 2, LONGEST_WAIT)
            self.open_until = now + self._wait

    def _bucket(self, now: float) -> list[float]:
        buckets = self._buckets
        if not buckets or now - buckets[-1][0] >= _BUCKET:
            while buckets and now - buckets[0][0] >= WINDOW:
                buckets.popleft()
            buckets.append([now, 0, 0])
        return buckets[-1]

    def _mostly_failing(self) -> bool:
        requests = sum(bucket[1] for bucket in self._buckets)
        failures = sum(bucket[2] for bucket in self._buckets)
        return requests >= MIN_REQUESTS and failures >= requests * FAILURE_SHARE
