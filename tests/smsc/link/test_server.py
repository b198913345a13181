"""A port over real loopback sockets: one side always acts first, each test has a deadline."""

import errno
import hashlib
import itertools
import logging
import struct
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.smpp
import structlog
import trio
from msgspec.structs import replace

from smsc.config import Account, Listener, ListenerTls, Timers
from smsc.link import server as module
from smsc.link.server import Server, open_listeners
from smsc.link.tls import TlsError
from smsc.message import Message
from smsc.wire.pdu import Pdu
from smsc.wire.spec import CommandId, Status, UnbindResp
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer, bind, deliver
from tests.fix_tls import Certificates

HOST = "127.0.0.1"
DEADLINE = 15
ACCOUNT = Account(name="acme", system_id="acme")


@dataclass
class Port:
    """A server on a free port."""

    server: Server
    port: int
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    gate: MemoryGate = field(default_factory=lambda: MemoryGate(ACCOUNT))
    done: trio.Event = field(default_factory=trio.Event)

    async def dial(self) -> Peer:
        return Peer(await trio.open_tcp_stream(HOST, self.port))

    async def until(self, states: list[str]) -> None:
        """Wait until the links are in these states."""
        while sorted(status.state for status in self.server.statuses()) != sorted(states):
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(listener: Listener | None = None, *accounts: Account) -> AsyncIterator[Port]:
    inbox = MemoryInbox()
    gate = MemoryGate(*(accounts or (ACCOUNT,)))
    ids = itertools.count(1)
    server = Server(
        listener or Listener(),
        inbox,
        gate,
        clock=lambda: time.time_ns() // 1_000_000,
        new_link=lambda: f"lnk_{next(ids)}",
    )
    sockets = await open_listeners(HOST, 0)
    port = Port(server, sockets[0].socket.getsockname()[1], inbox, gate)

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        await server.serve(sockets, task_status=task_status)
        port.done.set()

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            yield port
            nursery.cancel_scope.cancel()


# An independent carrier: smpplib, as it is.


def client_of(port: Port) -> smpplib.client.Client:
    logging.getLogger("smpplib").setLevel(logging.CRITICAL)
    client = smpplib.client.Client(HOST, port.port, timeout=5, allow_unknown_opt_params=True)
    client.connect()
    return client


async def with_smpplib(port: Port, use: Callable[[smpplib.client.Client], None]) -> None:
    def run() -> None:
        client = client_of(port)
        try:
            use(client)
        finally:
            client.disconnect()

    await trio.to_thread.run_sync(run)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("receiver", "deliver_sm"),
        ("transceiver", "deliver_sm"),
        ("transceiver", "submit_sm"),
        ("transmitter", "submit_sm"),  # smpplib lets no transmitter send deliver_sm
    ],
)
async def test_smpplib_binds_delivers_and_unbinds(kind: str, command: str) -> None:
    answers: list[tuple[str, int, int]] = []

    def use(client: smpplib.client.Client) -> None:
        bound = getattr(client, f"bind_{kind}")(system_id="acme", password="secret")
        answers.append((bound.command, bound.status, bound.sequence))
        for text in (b"first", b"second"):
            pdu = smpplib.smpp.make_pdu(
                command,
                client=client,
                source_addr_ton=smpplib.consts.SMPP_TON_INTL,
                source_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                source_addr="447700900123",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr="447700900999",
                short_message=text,
            )
            client.send_pdu(pdu)
            answer = client.read_pdu()
            answers.append((answer.command, answer.status, answer.sequence - pdu.sequence))
        client.unbind()

    async with serving() as port:
        await with_smpplib(port, use)
        await port.until([])

    assert answers == [
        (f"bind_{kind}_resp", 0, answers[0][2]),
        (f"{command}_resp", 0, 0),
        (f"{command}_resp", 0, 0),
    ]
    assert [
        arrival.content.text for arrival in port.inbox.arrivals if isinstance(arrival, Message)
    ] == ["first", "second"]
    assert [status.kind for status in port.gate.opens] == [kind]
    assert [status.reason for status in port.gate.closes] == ["unbound-by-peer"]
    assert port.inbox.losses == []


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [
        ("acme", "wrong", Status.ESME_RINVPASWD),
        ("nobody", "secret", Status.ESME_RINVSYSID),
    ],
)
async def test_smpplib_is_told_why_it_may_not_bind(
    system_id: str, password: str, status: Status
) -> None:
    errors: list[int] = []

    def use(client: smpplib.client.Client) -> None:
        with pytest.raises(smpplib.exceptions.PDUError) as raised:
            client.bind_transceiver(system_id=system_id, password=password)
        errors.append(raised.value.args[1])

    async with serving() as port:
        await with_smpplib(port, use)
        await port.until([])

    assert errors == [status]
    assert port.gate.opens == []


async def test_smpplib_message_before_bind_is_refused() -> None:
    statuses: list[int] = []

    def use(client: smpplib.client.Client) -> None:
        client.state = smpplib.consts.SMPP_CLIENT_STATE_BOUND_TRX  # it would not send it otherwise
        client.send_pdu(smpplib.smpp.make_pdu("deliver_sm", client=client, short_message=b"x"))
        statuses.append(client.read_pdu().status)

    async with serving() as port:
        await with_smpplib(port, use)

    assert statuses == [Status.ESME_RINVBNDSTS]


# Octet by octet.


async def test_two_gigabytes_are_refused_without_room_being_made_for_them() -> None:
    async with serving() as port:
        peer = await port.dial()
        await peer.send(struct.pack(">IIII", 0x80000000, CommandId.deliver_sm, 0, 1))

        assert await peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
        assert await peer.told() is None
        await peer.stream.aclose()


async def test_the_last_answer_survives_octets_that_are_still_coming() -> None:
    """Closing a socket with unread octets would reset it, and the peer never see the nack."""
    async with serving() as port:
        peer = await port.dial()
        await peer.send(b"GET / HTTP/1.1\r\n" + b"x" * 500_000)

        assert await peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
        assert await peer.told() is None
        await peer.stream.aclose()


async def test_half_a_bind_then_silence_is_cut() -> None:
    async with serving(Listener(timers=Timers(session_init=0.2))) as port:
        peer = await port.dial()
        await peer.send(struct.pack(">IIII", 64, CommandId.bind_receiver, 0, 1) + b"acm")

        assert await peer.told() is None
        await peer.stream.aclose()


async def test_connect_and_close_is_not_an_error() -> None:
    with structlog.testing.capture_logs() as log:
        async with serving() as port:
            for _ in range(3):
                peer = await port.dial()
                await port.until(["open"])
                await peer.stream.aclose()
                await port.until([])

    assert {event["log_level"] for event in log} == {"debug"}


async def test_one_bad_peer_costs_the_others_nothing() -> None:
    async with serving() as port:
        good = await port.dial()
        await good.bind()
        bad = await port.dial()
        await bad.send(b"\0" * 64)
        assert await bad.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
        await bad.stream.aclose()

        await good.send(deliver(5))
        assert await good.told() == ("deliver_sm_resp", Status.ESME_ROK, 5)
        await good.stream.aclose()


async def test_statuses_show_each_link() -> None:
    async with serving() as port:
        peer = await port.dial()
        await peer.bind()

        (status,) = port.server.statuses()
        host, _, number = status.peer.rpartition(":")
        assert (host, status.state, status.account) == (HOST, "bound", "acme")
        assert int(number)
        assert status.link == "lnk_1"
        await peer.stream.aclose()


async def test_removed_accounts_are_unbound_and_others_are_not() -> None:
    other = Account(name="other", system_id="other")
    async with serving(None, ACCOUNT, other) as port:
        first, second = await port.dial(), await port.dial()
        await first.bind("acme")
        await second.bind("other")
        del port.gate.accounts["acme"]

        port.server.refresh()

        assert await first.told() == ("unbind", 0, 1)
        await first.send(Pdu(CommandId.unbind_resp, 0, 1, UnbindResp()))
        assert await first.told() is None
        await first.stream.aclose()
        await second.send(deliver(2))
        assert await second.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
        await second.stream.aclose()


# Bounds.


async def test_more_connections_than_allowed_wait_their_turn() -> None:
    async with serving(Listener(max_connections=1)) as port:
        first = await port.dial()
        await first.bind()
        second = await port.dial()  # the kernel's queue takes it
        with trio.move_on_after(0.1) as waited:
            await second.bind()
        assert waited.cancelled_caught

        await first.stream.aclose()
        assert await second.told() == ("bind_transceiver_resp", Status.ESME_ROK, 1)
        await second.stream.aclose()


async def test_an_accept_that_lacks_resources_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ACCEPT_PAUSE", 0.01)
    accept = trio.SocketListener.accept
    failures = iter([errno.EMFILE, errno.ENFILE])

    async def poor(self: trio.SocketListener) -> trio.SocketStream:
        error = next(failures, None)
        if error:
            raise OSError(error, "none left")
        return await accept(self)

    monkeypatch.setattr(trio.SocketListener, "accept", poor)
    with structlog.testing.capture_logs() as log:
        async with serving() as port:
            peer = await port.dial()
            await peer.bind()
            await peer.stream.aclose()

    assert [event["event"] for event in log].count("accept.overload") == 2


async def test_an_accept_whose_connection_has_gone_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept = trio.SocketListener.accept
    failures = iter([errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EPERM])

    async def unlucky(self: trio.SocketListener) -> trio.SocketStream:
        error = next(failures, None)
        if error:
            raise OSError(error, "gone")
        return await accept(self)

    monkeypatch.setattr(trio.SocketListener, "accept", unlucky)
    with structlog.testing.capture_logs() as log:
        async with serving(Listener(max_connections=1)) as port:
            peer = await port.dial()
            await peer.bind()
            await peer.stream.aclose()

    assert [event["event"] for event in log].count("accept.gone") == 4


# Before SMPP: limits, balancers, TLS.

PROXIED = Listener(proxies=(f"{HOST}/32",))
LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 2775\r\n"


def warnings_of(log: list[MutableMapping[str, Any]]) -> list[str]:
    return [event["detail"] for event in log if event["event"] == "connection.turned_away"]


async def test_r25_an_address_with_too_many_connections_is_closed_unheard() -> None:
    with structlog.testing.capture_logs() as log:
        async with serving(Listener(binds_per_address=1)) as port:
            first = await port.dial()
            await port.until(["open"])
            second = await port.dial()
            assert await second.told() is None
            await second.stream.aclose()

            await first.bind()  # a bound link counts no more
            third = await port.dial()
            await third.bind()
            for peer in (first, third):
                await peer.stream.aclose()

    assert warnings_of(log) == [f"{HOST} has 1 connections that are not bound"]


async def test_r24_an_address_that_connects_too_often_is_closed_unheard() -> None:
    with structlog.testing.capture_logs() as log:
        async with serving(Listener(bind_rate=0.2)) as port:
            for _ in range(2):
                peer = await port.dial()
                await peer.bind()
                await peer.stream.aclose()
            for _ in range(20):
                peer = await port.dial()
                assert await peer.told() is None
                await peer.stream.aclose()

            assert len(port.gate.refusals) == 10  # as anybody can cause them, spared like the log

    assert warnings_of(log) == [f"{HOST} opens more than 0.2 connections a second"] * 10


async def test_r25_a_balancer_says_whom_it_speaks_for() -> None:
    async with serving(replace(PROXIED, binds_per_address=1)) as port:
        peer = await port.dial()
        await peer.send(LINE, bind())
        assert await peer.told() == ("bind_transceiver_resp", Status.ESME_ROK, 1)
        assert [request.peer for request in port.gate.asked] == ["192.0.2.7:5000"]
        assert [status.peer for status in port.server.statuses()] == ["192.0.2.7:5000"]

        one, other, third = await port.dial(), await port.dial(), await port.dial()
        await one.send(LINE)
        await port.until(["bound", "open"])
        await other.send(LINE)  # limits are those of the carrier's address, not of the balancer's
        assert await other.told() is None
        await third.send(LINE.replace(b"192.0.2.7", b"192.0.2.8"), bind())
        assert await third.told() == ("bind_transceiver_resp", Status.ESME_ROK, 1)
        for each in (peer, one, other, third):
            await each.stream.aclose()


async def test_r25_a_balancer_must_and_nobody_else_may_send_a_header() -> None:
    with structlog.testing.capture_logs() as log:
        async with serving(PROXIED) as port:
            peer = await port.dial()
            await peer.send(bind())
            assert await peer.told() is None
            await peer.stream.aclose()
            (refused,) = port.gate.refusals
            assert (refused.command, refused.status, refused.account) == ("connect", 0, "")
            assert refused.reason.startswith(
                f"turned away at {HOST}:{port.port}: it does not begin"
            )
        async with serving(replace(PROXIED, proxies=("192.0.2.0/24",))) as port:
            peer = await port.dial()
            await peer.send(LINE, bind())
            assert await peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
            await peer.stream.aclose()
            await port.until([])

    assert warnings_of(log) == [
        "it does not begin with a PROXY protocol header: this looks like SMPP"
    ]
    lost = [event["looks_like"] for event in log if event["event"] == "framing.lost"]
    assert lost == ["a PROXY protocol header"]


@pytest.mark.parametrize("listener", [Listener(), PROXIED])
async def test_r24_health_checks_are_not_errors(
    listener: Listener, certificates: Certificates
) -> None:
    local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
    with structlog.testing.capture_logs() as log:
        for options in (listener, replace(listener, tls=certificates.options())):
            async with serving(options) as port:
                for said in (b"", local if listener.proxies else b""):
                    peer = await port.dial()
                    await peer.send(said)
                    await peer.stream.send_eof()  # type: ignore[attr-defined]  # a socket's
                    assert await peer.told() is None
                    await peer.stream.aclose()
                await port.until([])

    assert {event["log_level"] for event in log} <= {"debug"}


async def test_who_introduces_himself_too_slowly_is_cut(certificates: Certificates) -> None:
    hasty = Timers(session_init=0.2)
    with structlog.testing.capture_logs() as log:
        for listener in (PROXIED, Listener(tls=certificates.options())):
            async with serving(replace(listener, timers=hasty)) as port:
                peer = await port.dial()
                await peer.send(b"\x16" if listener.tls else b"PROXY")
                assert await peer.told() is None
                await peer.stream.aclose()

    assert warnings_of(log) == ["it took more than 0.2 s to introduce itself"] * 2


async def test_a_handshake_is_part_of_session_initiation(certificates: Certificates) -> None:
    listener = Listener(tls=certificates.options(), timers=Timers(session_init=0.3))
    async with serving(listener) as port:
        began = trio.current_time()
        peer = await over_tls(port, certificates)
        assert await peer.told() is None
        assert trio.current_time() - began < 5
        await peer.stream.aclose()


async def over_tls(port: Port, certificates: Certificates, shown: str = "") -> Peer:
    context = certificates.trusting(shown)
    stream = trio.SSLStream(
        await trio.open_tcp_stream(HOST, port.port),
        context,
        server_hostname=HOST,
        https_compatible=True,
    )
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(stream)
        raise
    return Peer(stream)


async def test_r25_links_over_tls(certificates: Certificates) -> None:
    async with serving(Listener(tls=certificates.options(mutual=True))) as port:
        peer = await over_tls(port, certificates, certificates.client)
        await peer.bind()
        await peer.send(deliver(2))
        assert await peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
        (asked,), (status,) = port.gate.asked, port.server.statuses()
        assert (asked.tls, status.tls) == ("TLSv1.3", "TLSv1.3")
        assert asked.certificate == certificates.fingerprint(certificates.client)

        await peer.send(b"\xff" * 100_000)  # the last answer survives it here as well
        assert await peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
        assert await peer.told() is None
        await peer.stream.aclose()
        await port.until([])


async def test_a_slow_handshake_keeps_nobody_waiting(certificates: Certificates) -> None:
    async with serving(Listener(tls=certificates.options())) as port:
        slow = await port.dial()
        await slow.send(b"\x16\x03")
        peer = await over_tls(port, certificates)
        await peer.bind()
        await peer.stream.aclose()
        await port.until([])
        await port.server.drain(trio.current_time() + 10)  # nor does it keep us from ending
        assert await slow.told() is None
        await slow.stream.aclose()


async def test_r25_plain_and_tls_that_meet_are_told_apart_in_the_log(
    certificates: Certificates,
) -> None:
    with structlog.testing.capture_logs() as log:
        async with serving(Listener(tls=certificates.options())) as port:
            peer = await port.dial()
            await peer.send(bind())
            assert await peer.told() is None
            await peer.stream.aclose()
        async with serving() as port:
            with pytest.raises(trio.BrokenResourceError):
                await over_tls(port, certificates)
            await port.until([])

    assert warnings_of(log) == [
        "it does not speak TLS, and this listener does: this looks like SMPP"
    ]
    lost = [event["looks_like"] for event in log if event["event"] == "framing.lost"]
    assert lost == ["TLS"]


async def test_files_are_read_again_for_new_connections(
    certificates: Certificates, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("certificate", "key")}

    def put(base: str) -> None:
        files["certificate"].write_bytes(Path(f"{base}.pem").read_bytes())
        files["key"].write_bytes(Path(f"{base}.key").read_bytes())

    def shown(peer: Peer) -> str:
        der = peer.stream.getpeercert(binary_form=True)  # type: ignore[attr-defined]  # TLS
        return hashlib.sha256(der).hexdigest()

    put(certificates.server)
    tls = ListenerTls(certificate=str(files["certificate"]), key=str(files["key"]))
    async with serving(Listener(tls=tls)) as port:
        old = await over_tls(port, certificates)
        put(certificates.renewed)
        port.server.reread()
        new = await over_tls(port, certificates)
        files["key"].write_text("junk", encoding="ascii")
        with pytest.raises(TlsError, match="no private key"):
            port.server.reread()
        newest = await over_tls(port, certificates)

        assert shown(old) == certificates.fingerprint(certificates.server)
        assert shown(new) == shown(newest) == certificates.fingerprint(certificates.renewed)
        for peer in (old, new, newest):
            await peer.bind()
            await peer.stream.aclose()


def test_a_listener_without_its_files_is_none() -> None:
    with pytest.raises(TlsError, match=r"can't read /gone\.pem"):
        Server(
            Listener(tls=ListenerTls(certificate="/gone.pem")),
            MemoryInbox(),
            MemoryGate(),
            clock=lambda: 0,
            new_link=str,
        )


# Shutdown.


async def test_drain_answers_unbinds_and_closes() -> None:
    async with serving() as port:
        peer = await port.dial()
        await peer.bind()
        stranger = await port.dial()
        port.inbox.hold = trio.Event()
        await peer.send(deliver(7))
        await port.inbox.took.wait()
        await port.until(["bound", "open"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.server.drain, trio.current_time() + 10)
            assert await stranger.told() is None
            await stranger.stream.aclose()
            with pytest.raises(OSError, match="all attempts to connect"):
                await trio.open_tcp_stream(HOST, port.port)
            port.inbox.hold.set()

            assert await peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 7)
            assert await peer.told() == ("unbind", 0, 1)
            await peer.send(Pdu(CommandId.unbind_resp, 0, 1, UnbindResp()))
            assert await peer.told() is None
            await peer.stream.aclose()
        await port.done.wait()

    assert port.inbox.losses == []
    assert [status.reason for status in port.gate.closes] == ["shutdown"]


async def test_drain_is_bounded_and_reports_what_it_cut() -> None:
    async with serving() as port:
        peer = await port.dial()
        await peer.bind()
        port.inbox.hold = trio.Event()
        await peer.send(deliver(7))
        await port.inbox.took.wait()

        await port.server.drain(trio.current_time() + 0.1)

        await port.done.wait()
        assert await peer.told() is None
        await peer.stream.aclose()

    assert [loss.unanswered for loss in port.inbox.losses] == [(1,)]
    assert port.server.statuses() == []


async def test_drain_without_links_is_done_at_once() -> None:
    async with serving() as port:
        await port.server.drain(trio.current_time() + 5)
        await port.done.wait()


# Listening.


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serving() as port:
        with pytest.raises(OSError) as raised:
            await open_listeners(HOST, port.port)

    assert raised.value.errno == errno.EADDRINUSE


async def test_a_port_may_be_shared_by_those_who_agree() -> None:
    (first,) = await open_listeners(HOST, 0, reuse_port=True)
    async with first:
        (second,) = await open_listeners(HOST, first.socket.getsockname()[1], reuse_port=True)
        await second.aclose()
