"""Requests to real receivers: kept-alive connections, TLS, and every way a peer can misbehave.

Each test talks to loopback sockets and has a deadline; what has to take time is held by events.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
import trio

from bridge.delivery.connection import KEEP_LIMIT, READ_LIMIT
from bridge.delivery.egress import Lookup, Policy, Resolver
from bridge.delivery.exchange import Facts, Request, aim
from bridge.delivery.sender import DirectSender
from tests.fix_http import Listen, Received, Receiver, Reply

LOOPBACK = Policy((ip_network("127.0.0.0/8"),))
BODY = b'{"type":"message.received"}'


Make = Callable[..., DirectSender]


@pytest.fixture
async def sender() -> AsyncIterator[Make]:
    """Make senders that may connect to loopback; closed after the test."""
    made: list[DirectSender] = []

    def make(
        policy: Policy = LOOPBACK, *, lookup: Lookup | None = None, **options: Any
    ) -> DirectSender:
        made.append(DirectSender(Resolver(policy, lookup=lookup), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def request(url: str, *, body: bytes = BODY, pool: str = "crm", connect: float = 5) -> Request:
    return Request(pool, aim(url), b"x-one: 1\r\n", body, connect)


async def exchanged(
    direct: DirectSender, url: str, *, within: float = 10, pool: str = "crm", connect: float = 5
) -> Facts:
    with trio.fail_after(20):
        return await direct.exchange(
            request(url, pool=pool, connect=connect), trio.current_time() + within
        )


async def test_a_request_comes_through_whole(sender: Make, receiver: Listen) -> None:
    peer = await receiver()
    facts = await exchanged(sender(), peer.url("/hook?a=b"))

    [got] = peer.requests
    assert (got.method, got.path, got.body) == ("POST", "/hook?a=b", BODY)
    assert got.headers == {
        "host": f"127.0.0.1:{peer.port}",
        "content-length": str(len(BODY)),
        "x-one": "1",
    }
    assert (facts.status, facts.error) == (200, None)
    assert facts.remote == f"127.0.0.1:{peer.port}"
    assert facts.connect_ms is not None
    assert facts.first_byte_ms is not None
    assert 0 <= facts.first_byte_ms <= facts.duration_ms


async def test_connections_are_kept_and_used_again(sender: Make, receiver: Listen) -> None:
    peer = await receiver()
    direct = sender()
    first, second, third = [await exchanged(direct, peer.url()) for _ in range(3)]

    assert peer.connections == 1
    assert first.connect_ms is not None
    assert second.connect_ms is third.connect_ms is None


async def test_they_are_never_shared_between_endpoints(sender: Make, receiver: Listen) -> None:
    peer = await receiver()
    direct = sender()
    for pool in ("crm", "billing"):
        await exchanged(direct, peer.url(), pool=pool)

    assert [got.connection for got in peer.requests] == [1, 2]


async def test_concurrent_requests_have_connections_of_their_own(
    sender: Make, receiver: Listen
) -> None:
    hold = trio.Event()
    peer = await receiver(Reply(hold=hold))
    direct = sender()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(exchanged, direct, peer.url())
            await peer.wait_for(3)
            hold.set()

    assert peer.connections == 3
    await exchanged(direct, peer.url())
    assert peer.connections == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(close=True),
        Reply(headers=(("Connection", "close"),)),
        Reply(raw=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Reply(raw=b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 -\r\n\r\n"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\x00garbage"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", close=True),
        Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 999_999),
    ],
)
async def test_a_status_stands_and_doubtful_connections_are_not_used_again(
    sender: Make, receiver: Listen, reply: Reply
) -> None:
    peer = await receiver(reply)
    direct = sender()
    first, second = [await exchanged(direct, peer.url()) for _ in range(2)]

    assert (first.status, second.status) == (200, 200)
    assert peer.connections == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_every_way_to_end_a_response_keeps_the_connection(
    sender: Make, receiver: Listen, raw: bytes
) -> None:
    peer = await receiver(Reply(raw=raw))
    direct = sender()
    statuses = [(await exchanged(direct, peer.url())).status for _ in range(3)]

    assert statuses in ([200] * 3, [204] * 3)
    assert peer.connections == 1


async def test_a_kept_connection_found_dead_costs_one_more_connection_not_the_attempt(
    sender: Make,
    receiver: Listen,
) -> None:
    def script(got: Received) -> Reply:
        # The second request on a connection is read and never answered, as by a peer that
        # timed out just then.
        again = sum(each.connection == got.connection for each in peer.requests)
        return Reply(raw=b"", close=True) if again else Reply()

    peer = await receiver(script)
    direct = sender()
    first, second = [await exchanged(direct, peer.url()) for _ in range(2)]

    assert (first.status, second.status) == (200, 200)
    assert second.connect_ms is not None
    assert [got.connection for got in peer.requests] == [1, 1, 2]


async def test_a_fresh_connection_is_not_tried_twice(sender: Make, receiver: Listen) -> None:
    peer = await receiver(Reply(raw=b"", close=True))
    facts = await exchanged(sender(), peer.url())

    assert (facts.status, facts.error) == (None, "reset")
    assert len(peer.requests) == 1


async def test_what_was_said_unasked_is_never_taken_for_an_answer(
    sender: Make, receiver: Listen
) -> None:
    timeout = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
    peer = await receiver(
        [Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + timeout), Reply()]
    )
    direct = sender()
    first, second = [await exchanged(direct, peer.url()) for _ in range(2)]

    assert (first.status, second.status) == (200, 200)
    assert peer.connections == 2


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "not a valid HTTP response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a valid HTTP response"),
        (b"HTTP/1.1 banana\r\n\r\n", "not a valid HTTP response"),
        (b"HTTP/1.1 101 -\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "switched"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (READ_LIMIT + 1), "no complete response head"),
        (b"HTTP/1.1 100 -\r\n\r\n" * 5_000, "no complete response head"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "not a valid HTTP response",
        ),
    ],
)
async def test_what_is_not_http_is_said_to_be_so(
    sender: Make, receiver: Listen, raw: bytes, detail: str
) -> None:
    peer = await receiver(Reply(raw=raw))
    facts = await exchanged(sender(), peer.url())

    assert (facts.status, facts.error) == (None, "protocol")
    assert detail in facts.detail


async def test_a_reset_is_a_reset(sender: Make, receiver: Listen) -> None:
    peer = await receiver(Reply(reset=True))
    facts = await exchanged(sender(), peer.url())

    assert (facts.status, facts.error) == (None, "reset")


async def test_half_a_head_and_the_end_is_no_response(sender: Make, receiver: Listen) -> None:
    peer = await receiver(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-", close=True))
    facts = await exchanged(sender(), peer.url())

    assert (facts.status, facts.error) == (None, "reset")


async def test_a_deaf_peer_costs_the_timeout_and_its_connection(
    sender: Make, receiver: Listen
) -> None:
    peer = await receiver([Reply(deaf=True), Reply()])
    direct = sender()
    facts = await exchanged(direct, peer.url(), within=0.2)

    assert (facts.status, facts.error) == (None, "timeout")
    assert facts.duration_ms >= 150
    assert (await exchanged(direct, peer.url())).status == 200
    assert peer.connections == 2


async def test_a_status_whose_body_never_ends_stands(sender: Make, receiver: Listen) -> None:
    def script(_got: Received) -> Reply:
        return Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12")

    peer = await receiver(script)
    facts = await exchanged(sender(), peer.url(), within=0.2)

    assert (facts.status, facts.error) == (200, None)


async def test_failures_keep_the_beginning_of_their_body_successes_nothing(
    sender: Make,
    receiver: Listen,
) -> None:
    peer = await receiver([Reply(status=500, body=b"e" * 40_000), Reply(body=b"thanks")])
    direct = sender()

    assert (await exchanged(direct, peer.url())).response == b"e" * KEEP_LIMIT
    assert (await exchanged(direct, peer.url())).response == b""


async def test_headers_that_mean_something_are_read_anew_each_time(
    sender: Make, receiver: Listen
) -> None:
    peer = await receiver(
        [
            Reply(status=503, headers=(("Retry-AFTER", "7"), ("Webhook-Delivery", "disable"))),
            Reply(status=500),
        ]
    )
    direct = sender()
    first, second = [await exchanged(direct, peer.url()) for _ in range(2)]

    assert (first.retry_after, first.directive) == ("7", "disable")
    assert (second.retry_after, second.directive) == (None, None)
    assert peer.connections == 1


async def test_redirects_are_not_followed(sender: Make, receiver: Listen) -> None:
    elsewhere = await receiver()
    peer = await receiver(Reply(status=302, headers=(("Location", elsewhere.url()),)))
    facts = await exchanged(sender(), peer.url())

    assert facts.status == 302
    assert elsewhere.requests == []


async def test_proxies_of_the_environment_are_ignored(
    sender: Make, receiver: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await receiver()
    peer = await receiver()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url("/"))

    assert (await exchanged(sender(), peer.url())).status == 200
    assert proxy.connections == 0


async def test_a_private_target_is_not_even_connected_to(sender: Make, receiver: Listen) -> None:
    peer = await receiver()
    facts = await exchanged(sender(Policy()), peer.url())

    assert (facts.status, facts.error) == (None, "egress")
    assert "loopback" in facts.detail
    assert peer.connections == 0


async def test_nobody_there_is_a_connect_error(sender: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        facts = await exchanged(sender(), f"http://127.0.0.1:{port}/")

    assert (facts.status, facts.error) == (None, "connect")
    assert "refused" in facts.detail.lower()
    assert facts.remote == f"127.0.0.1:{port}"


async def test_a_peer_that_accepts_nobody_costs_the_connect_timeout(sender: Make) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = []
        for _ in range(3):  # fill the queue of connections nobody accepts
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        facts = await exchanged(sender(), f"http://127.0.0.1:{port}/", connect=0.2)
        for filler in fillers:
            filler.close()

    assert facts.status is None
    assert facts.error in {"connect", "timeout"}
    assert facts.duration_ms < 5_000


class Changing:
    """A name that resolves to other addresses each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return self.answers.pop(0)


async def test_each_new_connection_is_vetted_anew(sender: Make, receiver: Listen) -> None:
    peer = await receiver(Reply(close=True))
    policy = Policy((ip_network("127.0.0.1/32"),))
    direct = sender(policy, lookup=Changing(["127.0.0.1"], ["127.0.0.2"]))
    url = peer.url(host="rebinding.example")

    assert (await exchanged(direct, url)).status == 200
    facts = await exchanged(direct, url)
    assert (facts.status, facts.error) == (None, "egress")
    assert len(peer.requests) == 1


async def test_the_next_address_is_dialled_where_one_is_dead(
    sender: Make, receiver: Listen
) -> None:
    peer = await receiver()
    lookup = Changing(["127.0.0.9", "10.0.0.1", "127.0.0.1"])
    direct = sender(lookup=lookup)
    facts = await exchanged(direct, peer.url(host="several.example"))

    assert facts.status == 200
    assert facts.remote == f"127.0.0.1:{peer.port}"


async def test_an_unknown_name_is_a_dns_error(sender: Make) -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    facts = await exchanged(sender(lookup=unknown), "https://unknown.example/")

    assert (facts.status, facts.error) == (None, "dns")
    assert "not known" in facts.detail


async def test_a_name_server_that_never_answers_costs_the_connect_timeout(sender: Make) -> None:
    async def hanging(_host: str, _port: int) -> Sequence[str]:
        await trio.sleep_forever()
        raise AssertionError

    facts = await exchanged(sender(lookup=hanging), "https://slow.example/", connect=0.1)

    assert (facts.status, facts.error) == (None, "timeout")


async def here(_host: str, _port: int) -> Sequence[str]:
    await trio.lowlevel.checkpoint()
    return ["127.0.0.1"]


async def test_tls_is_spoken_to_the_name_and_kept_alive(
    sender: Make, receiver: Listen, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    names: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    peer = await receiver(tls=server_tls)
    direct = sender(lookup=here, tls=client_tls)
    url = peer.url(host="receiver.example")
    statuses = [(await exchanged(direct, url)).status for _ in range(3)]

    assert statuses == [200] * 3
    assert names == ["receiver.example"]
    assert peer.connections == 1
    assert peer.requests[0].headers["host"] == f"receiver.example:{peer.port}"


async def test_a_certificate_of_another_name_is_refused(
    sender: Make, receiver: Listen, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    peer = await receiver(tls=server_tls)
    facts = await exchanged(sender(lookup=here, tls=client_tls), peer.url(host="other.example"))

    assert (facts.status, facts.error) == (None, "tls")
    assert "certificate" in facts.detail
    assert peer.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused(
    sender: Make, receiver: Listen, server_tls: ssl.SSLContext
) -> None:
    peer = await receiver(tls=server_tls)
    facts = await exchanged(
        sender(lookup=here, tls=ssl.create_default_context()), peer.url(host="receiver.example")
    )

    assert (facts.status, facts.error) == (None, "tls")
    assert peer.requests == []


async def test_plain_http_is_no_tls(
    sender: Make, receiver: Listen, client_tls: ssl.SSLContext
) -> None:
    peer = await receiver()
    peer.scheme = "https"
    facts = await exchanged(
        sender(lookup=here, tls=client_tls), peer.url(host="receiver.example"), within=2
    )

    assert facts.status is None
    assert facts.error in {"tls", "timeout"}


async def test_old_tls_versions_are_never_spoken(sender: Make, client_tls: ssl.SSLContext) -> None:
    sender(lookup=here, tls=client_tls)

    assert client_tls.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_a_cancelled_exchange_leaves_no_connection(sender: Make, receiver: Listen) -> None:
    peer = await receiver([Reply(), Reply(deaf=True), Reply()])
    direct = sender()
    await exchanged(direct, peer.url())
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchanged, direct, peer.url())
            await peer.wait_for(2)
            nursery.cancel_scope.cancel()

    assert direct._idle_count == 0
    assert (await exchanged(direct, peer.url())).status == 200
    assert peer.connections == 2


async def test_idle_connections_are_bounded_swept_and_closed(
    sender: Make, receiver: Listen
) -> None:
    peer = await receiver()
    direct = sender(idle_timeout=0, idle_limit=2)
    for pool in "abc":
        await exchanged(direct, peer.url(), pool=pool)
    assert direct._idle_count == 2

    direct.sweep()
    assert direct._idle_count == 0

    kept = sender()
    await exchanged(kept, peer.url())
    kept.close()
    await exchanged(kept, peer.url())
    assert kept._idle_count == 0


def test_a_receiver_says_its_url() -> None:
    assert Receiver().url("/x") == "http://127.0.0.1:0/x"
