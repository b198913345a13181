"""One link: a trio stream driven through framing, codec, session and inbox.

Four kinds of task share one :class:`~smsc.link.session.Session`; all of them run in one nursery:

* *reading* cuts a chunk into PDUs, gives them to the session in one go, interprets what arrived,
  and hands the chunk's arrivals to a task of their own. So an enquire_link is answered while the
  store is busy, and a later chunk may be answered before an earlier one.
* *taking*, one task a chunk: :meth:`smsc.inbox.Inbox.take`, then the answers. Each such task
  holds at least one place of the account's window, which bounds how many there are.
* *flushing*, the only writer: whatever answers have gathered go out in one write. It ends when
  the session is closed and all is written, and its end is the end of the link.
* *time-keeping* sleeps until the session's next deadline.

Nothing here waits while it holds half a change: the session is touched between two awaits only,
so it needs no lock.

Bounds: a chunk is at most 64 KiB; reading stops while more than 64 KiB of answers are unsent,
and a peer that doesn't read these is cut off when one write takes longer than
:data:`WRITE_TIMEOUT`. A link that we end first lingers for at most :data:`LINGER` seconds, so
that octets it still sends don't make the kernel throw away our last answers.

However a link ends (cancellation included), the gate and the inbox hear of it exactly once if it
was bound: :meth:`Inbox.lost` unless an unbind completed, then :meth:`BindGate.closed`.
"""

import math
from collections.abc import Callable, Sequence

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from smsc import crashpoint
from smsc.config import Account, BindKind, Listener
from smsc.inbox import BindGate, BindRequest, BindVerdict, Inbox, LinkLoss
from smsc.link import refusing
from smsc.link.arriving import arrival_of, fault_of
from smsc.link.events import Arrived, BindAnswered, BindAsked, Event, OutbindAsked
from smsc.link.facts import (
    Facts,
    log_end,
    log_framing_lost,
    log_refused_bind,
    log_refused_by_peer,
)
from smsc.link.limits import pdu_limit
from smsc.link.lingering import linger
from smsc.link.phases import Phase
from smsc.link.session import Session
from smsc.link.tap import Tap
from smsc.link.timers import PATIENCE
from smsc.link.turns import FEW, IDLE_CHUNK, Turns
from smsc.message import Arrival, Millis, Verdict, VerdictKind
from smsc.status import LinkStatus
from smsc.wire.errors import WireError
from smsc.wire.framing import Framer
from smsc.wire.pdu import decode
from smsc.wire.spec import RESPONSE_BIT, CommandId

CHUNK = 65_536
"""Octets read at once, at most."""
UNSENT_LIMIT = 65_536
"""Unsent octets above which reading stops."""
WRITE_TIMEOUT = 10.0
"""Seconds one write may take."""
LINGER = 1.0
"""Seconds the peer has to close its side after we closed ours."""

_ENQUIRE_LINK_RESP = int(CommandId.enquire_link_resp)
_UNAVAILABLE = Verdict(VerdictKind.UNAVAILABLE)

_log: FilteringBoundLogger = structlog.get_logger()


class Connection:
    """One link of a carrier, from its first octet to its last.

    Args are what :class:`smsc.link.server.Server` knows: ``link`` is the link's id, ``peer`` its
    ``address:port`` and ``local`` that of our own end, ``clock`` the time of day; ``tls`` and
    ``certificate`` are what :class:`~smsc.inbox.BindRequest` says of them; ``began`` is when the
    peer connected, on trio's clock: session initiation counts from there. The stream is closed
    when :meth:`run` returns.

    ``account`` and ``kind`` are for a link that we dialled: as whom and how to bind, once it runs.
    ``listener`` then only lends its timers and limits.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        link: str,
        peer: str,
        listener: Listener,
        inbox: Inbox,
        gate: BindGate,
        clock: Callable[[], Millis],
        tls: str = "",
        certificate: str = "",
        local: str = "",
        began: float | None = None,
        turns: Turns | None = None,
        account: Account | None = None,
        kind: BindKind = "transceiver",
    ) -> None:
        self._stream = stream
        self._facts = Facts(link, peer, local, tls, clock)
        self._turns = turns or Turns()
        self._certificate = certificate
        self._listener = listener
        self._inbox = inbox
        self._gate = gate
        self._account = account
        self._kind = kind
        self._session = Session(
            listener,
            trio.current_time() if began is None else began,
            dialled=account is not None,
        )
        self._phase = self._session.phase  # as of the latest _moved
        self._framer = Framer(pdu_limit(listener, None))
        self._in_pieces = False  # a PDU has begun and not ended
        self._ready = trio.Event()  # something to write, or the end
        self._drained = trio.Event()  # reading may go on
        self._heard = trio.Event()  # any PDU of the peer, or the end
        self._alarm = trio.CancelScope()
        self._asked = False  # the peer whether it is there, perhaps, since the latest chunk
        self._peer_is_gone = False
        self._scope: trio.CancelScope | None = None
        self._reported = False
        self.tap: Tap | None = None
        """Who listens to this link's octets, for a while; may be set and taken away any time."""

    async def run(self) -> None:
        """Serve the link until it ends.

        Nothing a peer sends or does raises. Cancelled, it closes the stream at once: arrivals
        handed over may still become durable, and count as unanswered.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._flush, nursery.cancel_scope)
                nursery.start_soon(self._keep_time)
                if self._account is not None:
                    self._session.bind(self._account, self._kind, trio.current_time())
                    # Messages may come right behind the answer, in one chunk with it.
                    self._framer.limit = pdu_limit(self._listener, self._account)
                    self._moved()
                await self._read(nursery)
        finally:
            self._session.stop("cancelled")  # unless it has ended already
            self._heard.set()
            self._report()
            try:
                if not self._peer_is_gone:
                    await linger(self._stream, LINGER)
            finally:  # lingering is cut short by a cancellation
                await trio.aclose_forcefully(self._stream)

    def status(self) -> LinkStatus:
        """Return the link as it is now."""
        return self._facts.status(self._session, self._account, recording=self.tap is not None)

    @property
    def bound(self) -> bool:
        """Whether it was ever bound."""
        return self._facts.bound_at is not None

    def unbind(self, reason: str) -> None:
        """Begin to part: answer what is open, unbind, await the answer. Returns at once."""
        self._session.unbind(reason, trio.current_time())
        self._moved()

    async def answers(self, seconds: float) -> bool:
        """Ask the peer whether it is there; return whether any PDU came within ``seconds``.

        False as well where the link has ended. It is left as it is, cancelled or not.
        """
        session = self._session
        session.enquire(trio.current_time())
        self._asked = True
        self._set_alarm()  # its answer is due before what was due next
        self._moved()
        self._heard = heard = self._heard if not self._heard.is_set() else trio.Event()
        if not session.closed:
            with trio.move_on_after(seconds):
                await heard.wait()
        return heard.is_set() and not session.closed

    async def probe(self, seconds: float) -> bool:
        """Do the same, and close a link whose peer stayed silent.

        Inbox and gate have heard of it when this returns. False as well for one that ended
        meanwhile for any other reason. Cancelling this leaves the link as it is.
        """
        session = self._session
        answered = await self.answers(seconds)
        if not answered and not session.closed:
            self._peer_is_gone = True
            session.stop("probe-timeout")
            if self._scope is not None:  # a write that nobody reads must not hold it up
                self._scope.cancel()
        if session.closed:
            self._report()
            return False
        return True

    def refresh(self) -> None:
        """Look at the account again now, rather than at the peer's next PDU."""
        self._follow(trio.current_time())
        self._moved()

    # Tasks.

    async def _read(self, nursery: trio.Nursery) -> None:
        session = self._session
        size = IDLE_CHUNK  # until it has brought something
        while not session.closed:
            if session.unsent > UNSENT_LIMIT:
                self._drained = trio.Event()
                await self._drained.wait()
                continue
            try:
                data = await self._stream.receive_some(size)
            except trio.BrokenResourceError:
                self._peer_is_gone = True
                session.stop("connection-broken")
                self._moved()
                return
            if not data:
                self._peer_is_gone = True
                session.end_of_stream(trio.current_time())
                self._moved()
                return
            began, idle = trio.current_time(), self._facts.pdus - session.arrivals
            self._receive(data, nursery)
            if self._framer.lost:
                return
            size = CHUNK
            if self._facts.pdus - session.arrivals - idle > FEW:
                size = IDLE_CHUNK
                await self._turns.pay(trio.current_time() - began)

    async def _take(self, places: Sequence[int], arrivals: Sequence[Arrival]) -> None:
        try:
            verdicts = await self._inbox.take(arrivals)
            if len(verdicts) != len(places):
                raise RuntimeError(f"{len(verdicts)} verdicts for {len(places)} arrivals")
        except Exception as error:  # noqa: BLE001  # a fault of ours must not cost the link
            _log.error(
                "arrivals.failed", link=self._facts.link, count=len(places), error=fault_of(error)
            )
            verdicts = [_UNAVAILABLE] * len(places)
        crashpoint.reached("carrier.verdict")
        session = self._session
        now = trio.current_time()
        for place, verdict in zip(places, verdicts, strict=True):
            session.answer(place, verdict, now)
        self._moved()

    async def _ask(self, asked: BindAsked | OutbindAsked) -> None:
        by_outbind = type(asked) is OutbindAsked
        until = self._session.next_deadline()
        # §2.2.1 has a receiver follow an outbind; which kind we bind as is for the account to say.
        request = BindRequest(
            link=self._facts.link,
            peer=self._facts.peer,
            kind=asked.kind if type(asked) is BindAsked else "receiver",
            system_id=asked.system_id,
            password=asked.password,
            system_type=asked.system_type if type(asked) is BindAsked else "",
            version=asked.version if type(asked) is BindAsked else 0,
            tls=self._facts.tls,
            certificate=self._certificate,
            outbind=by_outbind,
            patience=PATIENCE if until is None else max(0, until - trio.current_time()),
        )
        try:
            verdict = await self._gate.ask(request)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not cost the process
            _log.error("bind.failed", link=self._facts.link, error=fault_of(error))
            verdict = BindVerdict(refusal="unavailable")
        session = self._session
        if by_outbind:
            session.answer_outbind(verdict, trio.current_time())
        else:
            session.answer_bind(verdict, trio.current_time())
            if session.phase is Phase.BOUND:
                self._open()
        self._framer.limit = pdu_limit(self._listener, session.account)
        if verdict.account is None:
            log_refused_bind(request, verdict)
            self._gate.refused([refusing.bind_told(request, verdict, self._facts.clock())])
        self._moved()

    async def _flush(self, link: trio.CancelScope) -> None:
        session = self._session
        while True:
            data = session.data_to_send()
            if data:
                with trio.move_on_after(WRITE_TIMEOUT) as patience:
                    try:
                        await self._stream.send_all(data)
                    except trio.BrokenResourceError:
                        self._peer_is_gone = True
                        session.stop("connection-broken")
                        break
                if patience.cancelled_caught:
                    self._peer_is_gone = True
                    session.stop("write-timeout")
                    break
                session.sent()
                self._facts.octets_out += len(data)
                if self.tap is not None:
                    self.tap.said(self.status(), data)
                crashpoint.reached("carrier.answered")
                self._drained.set()
            elif session.closed:
                break
            else:
                self._ready = trio.Event()
                await self._ready.wait()
        link.cancel()

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                self._set_alarm()
                await trio.sleep_forever()
            self._session.tick(trio.current_time())
            self._asked = True
            self._moved()

    # Steps.

    def _receive(self, data: bytes | bytearray, nursery: trio.Nursery) -> None:
        """Take one chunk in, and start what must wait."""
        session, facts = self._session, self._facts
        now = trio.current_time()
        facts.alive_at = received_at = facts.clock()
        facts.octets_in += len(data)
        self._follow(now)
        frames = self._framer.feed(data)
        if frames:
            self._hear(frames)
        if self._in_pieces or self._framer.pending:
            self._mind_pieces(whole=bool(frames), now=now)
        pdus = [decode(frame) for frame in frames]
        crashpoint.reached("carrier.decoded")
        places: list[int] = []
        arrivals: list[Arrival] = []
        for frame, pdu in zip(frames, pdus, strict=True):
            event = session.receive(pdu, now)
            if type(event) is Arrived:
                account = session.account
                assert account is not None  # nothing arrives on a link that is not bound
                places.append(event.place)
                arrivals.append(
                    arrival_of(event.pdu, frame, account, facts.link, event.place, received_at)
                )
            elif pdu.command_id | RESPONSE_BIT == _ENQUIRE_LINK_RESP:
                facts.enquired_at = received_at
            elif event is not None:
                self._meet(event, nursery)
        if arrivals:
            crashpoint.reached("carrier.interpreted")
            nursery.start_soon(self._take, places, arrivals)
        if self._framer.lost:
            self._lose(self._framer.lost, now)
        if self._asked and frames:  # what was asked is answered, and the next question nearer
            self._asked = False
            self._set_alarm()
        self._moved(frames)

    def _hear(self, frames: list[bytes]) -> None:
        self._facts.pdus += len(frames)
        self._heard.set()
        if self.tap is not None:
            self.tap.heard(self.status(), frames)

    def _meet(self, event: Event, nursery: trio.Nursery) -> None:
        """See to an event that is no arrival."""
        if isinstance(event, BindAsked | OutbindAsked):
            nursery.start_soon(self._ask, event)
        elif type(event) is BindAnswered:
            if event.refusal:
                status = self.status()
                log_refused_by_peer(status, event.refusal)
                self._gate.refused(
                    [refusing.our_bind_told(event.refusal, status, self._facts.clock())]
                )
            else:
                self._open()

    def _open(self) -> None:
        """Go to work: the link is bound, whoever asked for it."""
        self._facts.bound_at = self._facts.clock()
        self._gate.opened(self)

    def _mind_pieces(self, *, whole: bool, now: float) -> None:
        """Let a PDU that came in part be timed from its first octet."""
        before = self._in_pieces
        self._in_pieces = begun = self._framer.pending > 0
        if before and begun and not whole:
            return  # it is still the same
        self._session.in_pieces(begun=begun, now=now)
        if begun and self._alarm.deadline > now + self._listener.timers.pdu:
            self._set_alarm()

    def _lose(self, lost: WireError, now: float) -> None:
        log_framing_lost(self.status(), lost.detail, self._framer.pending_prefix())
        self._session.framing_lost(lost, now)

    def _follow(self, now: float) -> None:
        account = self._session.account
        if account is not None:
            latest = self._gate.account(account.name)
            self._session.follow(latest, now)
            if latest is not account and latest is not None:
                self._framer.limit = pdu_limit(self._listener, latest)

    def _moved(self, frames: Sequence[bytes] = ()) -> None:
        """Wake whom the session's latest move concerns; ``frames`` are what it was made by."""
        session = self._session
        if session.unsent or session.closed:
            self._ready.set()
        if session.refusals:
            self._tell_refused(frames)
        if session.phase is not self._phase:
            self._phase = session.phase
            self._set_alarm()

    def _tell_refused(self, frames: Sequence[bytes]) -> None:
        refusals, more = self._session.refusals.fetch()
        told = refusing.told(refusals, frames, self.status(), self._facts.clock())
        if told or more:
            self._gate.refused(told, more)

    def _set_alarm(self) -> None:
        deadline = self._session.next_deadline()
        self._alarm.deadline = math.inf if deadline is None else deadline

    def _report(self) -> None:
        """Tell everybody concerned that the link has ended, once."""
        if self._reported:
            return
        self._reported = True
        session = self._session
        status = self.status()
        if self.tap is not None:
            self.tap.ended(status)
        if self._facts.bound_at is not None:
            if not session.parted:
                self._inbox.lost(
                    LinkLoss(
                        link=self._facts.link,
                        account=status.account,
                        alive_at=self._facts.alive_at,
                        unanswered=session.unanswered(),
                    )
                )
            self._gate.closed(status)
        log_end(status, session)
