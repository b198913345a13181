"""Delivers: reads what is due in the lanes it serves, sends it, and settles what came of it.

Theory
------
::

    bell, poll ─▶ reader ─▶ lane (ready) ─▶ workers ─▶ exchange ─▶ judge ─▶ settler ─▶ store
                    ▲                          │ up to the lane's share of maxConcurrency
    leases ─────────┴── which lanes are ours   └ one more task only while something is ready

*Independence.* What endpoints do shows only in the workers of their lanes: a worker waits for
its own request and nothing else. Reader, settler and leases wait for the store only. What a lane
may hold is bounded (:mod:`.serving`), so an endpoint that hangs costs its own connections and a
few deliveries in memory. A lane that stops sending (breaker open, Retry-After) lets go of what it
has read.

*At least once.* A delivery is pending in the store until its outcome is durable. Whatever ends a
process, a lane's next owner reads it again; an attempt cut off by a shutdown leaves no trace.

*Gone.* An endpoint that answers 410 (or ``webhook-delivery: disable``) is sent nothing more until
its configuration changes, and what is pending for it becomes dead letters. Each process learns it
for itself and doesn't remember it beyond its end: a new one asks once again.

*Store away.* Every part waits with growing pauses and goes on; nothing in here ends for it.

*End.* :meth:`Dispatcher.stop` starts nothing new, gives attempts under way until shortly before
the deadline, cancels the rest, settles, and gives the leases back.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, Protocol

import structlog
import trio
from structlog.typing import FilteringBoundLogger

import smsc
from bridge.delivery.backoff import Backoff
from bridge.delivery.classify import Judgement, classify
from bridge.delivery.exchange import Exchange, Facts, Request
from bridge.delivery.leases import Leases
from bridge.delivery.reader import Reader
from bridge.delivery.retry import Next, decide
from bridge.delivery.serving import Recipient, ServedLane, prepare
from bridge.delivery.settler import Settler
from bridge.errors import StoreError
from bridge.model import Attempt, DeliveryState, Endpoint, Live, Outcome
from bridge.store.contract import Due, Settlement
from bridge.store.threaded import StoreThreads
from smsc import crashpoint
from smsc.message import Millis

SWEEP = 5.0
"""Seconds between two looks for connections idle too long."""
FAREWELL = 2.0
"""Seconds before the deadline of a stop from which only settling and releasing is done (a
quarter of the time there is, if that is less)."""
BURIED_AT_ONCE = 1_000

Watch = Callable[[Due, Facts, Outcome, Millis], None]
"""Told of each attempt: the delivery, the facts, what it led to, and when."""

_log: FilteringBoundLogger = structlog.get_logger()


class LiveSource(Protocol):
    """Where the live configuration is read: :class:`bridge.live.LiveView`."""

    @property
    def current(self) -> Live:
        """The newest revision known here."""
        ...


class Dispatcher:
    """The delivery side of one process."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveSource,
        exchange: Exchange,
        clock: Callable[[], Millis],
        rng: Random,
        process_id: str,
        *,
        watch: Watch = lambda _due, _facts, _outcome, _now: None,
    ) -> None:
        """Take what it works with; nothing happens before :meth:`run`."""
        self._threads = threads
        self._live = live
        self._exchange = exchange
        self._clock = clock
        self._rng = rng
        self._watch = watch
        # Asked once: at thousands a second, even a line that is filtered out has its price.
        self._debug = _log.is_enabled_for(logging.DEBUG)
        self._recipients: dict[str, Recipient] = {}
        self._revision = -1
        self._gone: dict[str, Endpoint] = {}
        self._burials: dict[str, str] = {}
        self._stopping = False
        self._leases = Leases(
            threads,
            process_id,
            clock,
            recipients=self._current_recipients,
            on_taken=self.ring,
        )
        self._reader = Reader(
            threads,
            self._leases.lanes,
            clock,
            on_read=self._start_workers,
            on_strays=self._leases.notice,
        )
        self._settler = Settler(threads, on_settled=self._settled, on_stale=self._leases.lose)
        self._tasks: trio.Nursery | None = None
        self._workers: trio.Nursery | None = None
        self._under_way = 0
        self._quiet = trio.Event()

    # -- for the process -------------------------------------------------------------------

    def ring(self) -> None:
        """Say that something may be due. Never blocks; cheap."""
        self._reader.ask()

    def reconfigured(self) -> None:
        """Say that there is a new revision of the live configuration."""
        self._leases.review()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until :meth:`stop` is done. Cancelled, it leaves leases to run out."""
        try:
            async with trio.open_nursery() as tasks:
                self._tasks = tasks
                async with trio.open_nursery() as workers:
                    self._workers = workers
                    for part in (self._leases.run, self._reader.run, self._settler.run, self._tidy):
                        tasks.start_soon(part)
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self._exchange.close()

    async def stop(self, deadline: float) -> bool:
        """End in good order by ``deadline`` on trio's clock; whether all of it could be done.

        Attempts still under way shortly before it are abandoned, and will be made again.
        """
        self._stopping = True
        for lane in list(self._leases.lanes.values()):
            self._leases.retire(lane)
        now = trio.current_time()
        done = False
        with trio.move_on_at(deadline - min(FAREWELL, (deadline - now) / 4)):
            while self._under_way:
                if self._quiet.is_set():
                    self._quiet = trio.Event()
                await self._quiet.wait()
        if self._workers is not None:
            self._workers.cancel_scope.cancel()
        with trio.move_on_at(deadline):
            await self._settler.flushed()
            try:
                await self._leases.give_back()
                done = True
            except StoreError as error:
                _log.warning("lanes.not_released", reason=str(error))
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        return done

    def figures(self) -> dict[str, float]:
        """Return how many lanes are served, have an open breaker, and requests under way."""
        lanes = self._leases.lanes.values()
        return {
            "lanes": len(lanes),
            "lanes_open": sum(not lane.pace.breaker.closed for lane in lanes),
            "under_way": self._under_way,
            "held": sum(len(lane.held) for lane in lanes),
        }

    # -- who is sent to ----------------------------------------------------------------------

    def _current_recipients(self) -> Mapping[str, Recipient]:
        """Return enabled endpoints that can be sent to, by name."""
        live = self._live.current
        if self._stopping:
            return {}
        if live.revision != self._revision:
            known, self._recipients = self._recipients, {}
            for endpoint in live.endpoints:
                before = known.get(endpoint.name)
                if before is not None and before.endpoint == endpoint:
                    self._recipients[endpoint.name] = before
                elif endpoint.enabled:
                    self._add(endpoint)
            self._revision = live.revision
        return {
            name: recipient
            for name, recipient in self._recipients.items()
            if self._gone.get(name) != recipient.endpoint
        }

    def _add(self, endpoint: Endpoint) -> None:
        try:
            self._recipients[endpoint.name] = prepare(endpoint, smsc.__version__)
        except ValueError as error:
            _log.error("endpoint.unusable", endpoint=endpoint.name, reason=str(error))

    # -- sending -----------------------------------------------------------------------------

    def _start_workers(self, lane: ServedLane) -> None:
        if self._workers is None:
            return
        now = trio.current_time()
        while (started := lane.next(now)) is not None:
            self._under_way += 1
            self._workers.start_soon(self._work, lane, *started)

    async def _work(self, lane: ServedLane, due: Due, probe: bool) -> None:
        try:
            while True:
                recovered = await self._attempt(lane, due, probe) and probe
                if recovered:
                    self._start_workers(lane)
                if lane.hungry() or recovered:
                    self._reader.ask()
                started = lane.next(trio.current_time())
                if started is None:
                    return
                due, probe = started
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def _attempt(self, lane: ServedLane, due: Due, probe: bool) -> bool:
        """Make one attempt and hand its outcome over; whether it was delivered."""
        recipient = lane.recipient
        endpoint = recipient.endpoint
        started_at = self._clock()
        try:
            facts = await self._send(recipient, due, started_at)
        except Exception as error:  # noqa: BLE001  # our fault in one delivery ends no other
            _log.exception("delivery.fault", delivery=due.id)
            facts = Facts(0, error="internal", detail=type(error).__name__)
        now = self._clock()
        judgement = classify(
            facts,
            now=now,
            permanent_status_codes=endpoint.permanent_status_codes,
            max_retry_after=endpoint.max_retry_after,
        )
        following = decide(
            judgement,
            endpoint,
            step=due.step,
            created_at=due.created_at,
            now=now,
            chance=self._rng.random(),
        )
        self._pace(lane, judgement, probe=probe)
        self._settler.put(lane, _settlement(due, facts, following, started_at))
        self._watch(due, facts, judgement.outcome, now)
        self._tell(lane, due, facts, judgement, following)
        if judgement.disable:
            self._stop_sending_to(endpoint, judgement.reason)
        return judgement.outcome is Outcome.DELIVERED

    async def _send(self, recipient: Recipient, due: Due, started_at: Millis) -> Facts:
        endpoint = recipient.endpoint
        headers = recipient.letterhead.write(
            due.event_id,
            due.body,
            timestamp=started_at // 1000,
            attempt=due.attempts + 1,
            span=self._rng.getrandbits(64),
        )
        crashpoint.reached("delivery.signed")
        facts = await self._exchange.exchange(
            Request(endpoint.name, recipient.target, headers, due.body, endpoint.connect_timeout),
            trio.current_time() + endpoint.timeout,
        )
        crashpoint.reached("delivery.sent")
        return facts

    def _pace(self, lane: ServedLane, judgement: Judgement, *, probe: bool) -> None:
        pace = lane.pace
        closed = pace.breaker.closed
        now = trio.current_time()
        pace.end(judgement.healthy, now, probe=probe, pause=judgement.delay)
        if pace.breaker.closed and not judgement.delay:
            if not closed:
                _log.info("lane.recovered", lane=lane.name)
            return
        lane.forget_ready()
        if closed and not pace.breaker.closed:
            _log.warning("lane.stopped", lane=lane.name, reason=judgement.reason)

    def _tell(
        self, lane: ServedLane, due: Due, facts: Facts, judgement: Judgement, following: Next
    ) -> None:
        delivered = judgement.outcome is Outcome.DELIVERED
        if delivered and not self._debug:
            return
        (_log.debug if delivered else _log.info)(
            "delivery.attempted",
            endpoint=due.endpoint,
            lane=lane.name,
            delivery=due.id,
            event_id=due.event_id,
            attempt=due.attempts + 1,
            outcome=judgement.outcome.value,
            reason=judgement.reason,
            likely_permanent=judgement.likely_permanent,
            status=facts.status,
            error=facts.error,
            detail=facts.detail,
            remote=facts.remote,
            duration_ms=round(facts.duration_ms, 1),
            connect_ms=None if facts.connect_ms is None else round(facts.connect_ms, 1),
            state=following.state.value,
            due_at=following.due_at,
        )

    # -- what follows ------------------------------------------------------------------------

    def _settled(self, lane: ServedLane, settlements: Sequence[Settlement]) -> None:
        lane.settled([settlement.delivery for settlement in settlements])
        if lane.drained:
            self._leases.review()
            self._bury_if_quiet(lane.recipient.endpoint.name)
        elif lane.hungry() or any(settlement.due_at for settlement in settlements):
            self._reader.ask()

    def _stop_sending_to(self, endpoint: Endpoint, reason: str) -> None:
        if self._gone.get(endpoint.name) == endpoint:
            return
        self._gone[endpoint.name] = endpoint
        _log.warning("endpoint.gone", endpoint=endpoint.name, reason=reason)
        for lane in list(self._leases.lanes.values()):
            if lane.recipient.endpoint.name == endpoint.name:
                self._leases.retire(lane)
        self._burials[endpoint.name] = reason
        self._leases.review()

    def _bury_if_quiet(self, endpoint: str) -> None:
        """Begin to bury what is pending for a gone endpoint, once its attempts are settled."""
        if endpoint not in self._burials or self._tasks is None:
            return
        lanes = self._leases.lanes.values()
        if not any(lane.held and lane.recipient.endpoint.name == endpoint for lane in lanes):
            self._tasks.start_soon(self._bury, endpoint, self._burials.pop(endpoint))

    async def _bury(self, endpoint: str, reason: str) -> None:
        backoff = Backoff()
        while True:
            try:
                buried = await self._threads.write(
                    self._threads.store.bury, endpoint, reason, self._clock(), BURIED_AT_ONCE
                )
            except StoreError as error:
                _log.warning("endpoint.burial_waits", endpoint=endpoint, reason=str(error))
                await trio.sleep(backoff.pause())
                continue
            if buried < BURIED_AT_ONCE:
                return

    async def _tidy(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            self._exchange.sweep()


def _settlement(due: Due, facts: Facts, following: Next, started_at: Millis) -> Settlement:
    # NUL is text to SQLite and none to PostgreSQL; of what can't be decoded, nobody needs octets.
    response = facts.response.decode("utf-8", "replace").replace("\0", "\ufffd")
    return Settlement(
        delivery=due.id,
        attempt=Attempt(
            number=due.attempts + 1,
            started_at=started_at,
            duration_ms=facts.duration_ms,
            connect_ms=facts.connect_ms,
            first_byte_ms=facts.first_byte_ms,
            status=facts.status,
            error=facts.error,
            detail=facts.detail,
            remote=facts.remote,
            response=response,
        ),
        state=_STATES[following.state],
        due_at=following.due_at,
        step=following.step,
        reason=following.reason,
    )


_STATES: dict[DeliveryState, Literal["delivered", "pending", "dead"]] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "pending",
    DeliveryState.DEAD: "dead",
}
