import json
import time
from datetime import UTC, datetime

import pytest
import trio
from standardwebhooks import Webhook

from bridge.customer import (
    MAX_BODY,
    Received,
    Reply,
    Verifier,
    describe,
    open_customer,
    printable,
    scripted,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_c2Vjb25kLXNlY3JldC1zZWNvbmQtc2VjcmV0"
EVENT = {
    "type": "message.received",
    "data": {
        "fromNumber": "+447700900123",
        "toNumber": "+447700900999",
        "content": "Good \N{GRINNING FACE} day",
        "encoding": "ucs2",
        "complete": True,
    },
}


def request(
    body: bytes = b"",
    *,
    secret: str = SECRET,
    age: float = 0,
    id: str = "evt_1",  # noqa: A002  # the header's own word
    extra: str = "",
    path: str = "/hook",
) -> bytes:
    body = body or json.dumps(EVENT).encode()
    at = int(time.time() - age)
    signature = Webhook(secret).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nWebhook-Id: {id}\r\n"
        f"webhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n{extra}\r\n"
    )
    return head.encode() + body


async def connect(url: str) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))


async def answers(stream: trio.SocketStream, count: int) -> list[int]:
    """The statuses of the next ``count`` answers without a body."""
    buffer = b""
    while buffer.count(b"\r\n\r\n") < count:
        data = await stream.receive_some()
        assert data, buffer
        buffer += data
    return [int(part.split(b" ")[1]) for part in buffer.split(b"\r\n\r\n")[:count]]


async def ask(url: str, data: bytes) -> int:
    with trio.fail_after(10):
        stream = await connect(url)
        async with stream:
            await stream.send_all(data)
            return (await answers(stream, 1))[0]


async def test_what_verifies_is_kept_with_its_event() -> None:
    async with open_customer([OTHER, SECRET]) as customer:
        assert await ask(customer.url, request()) == 200

    (received,) = customer.received
    assert received.verified
    assert received.secret == 1
    assert received.event == EVENT
    assert received.id == "evt_1"
    assert received.type == "message.received"
    assert received.data["encoding"] == "ucs2"
    assert received.path == "/hook"


@pytest.mark.parametrize(
    "data",
    [
        request(secret=OTHER),
        request(age=3600),
        request(age=-3600),
        request().replace(b"Good", b"Evil"),
        request().replace(b"Webhook-Id: evt_1", b"Webhook-Id: evt_2"),
        request().replace(b"webhook-signature: v1,", b"webhook-signature: "),
        request().replace(b"webhook-signature: v1,", b"webhook-signature: v1,!!!,"),
        request().replace(b"webhook-timestamp: ", b"webhook-timestamp: nan"),
        request().replace(b"webhook-timestamp", b"webhook-something"),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 2\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\n"
            b"webhook-signature: v1,aaaa\r\n\r\n\xff\xff"
        ),
        b"POST / HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
async def test_what_does_not_verify_is_refused_and_never_read(data: bytes) -> None:
    async with open_customer([SECRET]) as customer:
        assert await ask(customer.url, data) == 401

    (received,) = customer.received
    assert not received.verified
    assert received.event is None
    assert received.data == {}
    assert received.type == ""
    assert SECRET not in received.problem


async def test_a_shorter_tolerance_holds() -> None:
    async with open_customer([SECRET], tolerance=30) as customer:
        assert await ask(customer.url, request(age=100)) == 401
        assert await ask(customer.url, request(age=10)) == 200


async def test_answers_follow_the_script_and_then_the_default() -> None:
    script = scripted([Reply(status=503), Reply(status=429, headers=(("retry-after", "1"),))])
    async with open_customer([SECRET], respond=script) as customer:
        got = [await ask(customer.url, request()) for _ in range(3)]

    assert got == [503, 429, 200]


async def test_a_wrong_signature_is_never_accepted_by_the_script() -> None:
    async with open_customer([SECRET], respond=scripted([Reply(status=204)])) as customer:
        assert await ask(customer.url, request(secret=OTHER)) == 401


async def test_requests_on_one_connection_are_answered_in_order_however_they_are_cut() -> None:
    data = b"".join(request(id=f"evt_{n}") for n in range(5))
    async with open_customer([SECRET]) as customer:
        with trio.fail_after(10):
            stream = await connect(customer.url)
            async with stream:
                for start in range(0, len(data), 97):
                    await stream.send_all(data[start : start + 97])
                assert await answers(stream, 5) == [200] * 5

    assert [received.id for received in customer.received] == [f"evt_{n}" for n in range(5)]


async def test_chunked_bodies_are_put_together() -> None:
    plain = request()
    head, _, body = plain.partition(b"\r\n\r\n")
    head = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(b), b) for b in (body[:7], body[7:])) + b"0\r\n\r\n"
    async with open_customer([SECRET]) as customer:
        assert await ask(customer.url, head + b"\r\n\r\n" + chunked) == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        (b"\x16\x03\x01 nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nx: " + b"y" * 50_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (2 * MAX_BODY) + b"z" * MAX_BODY, 0),
    ],
)
async def test_bad_requests_are_refused_within_bounds(data: bytes, status: int) -> None:
    async with open_customer([SECRET]) as customer:
        if status:
            assert await ask(customer.url, data) == status
        else:  # not whole yet: one octet more than allowed is enough
            assert await ask(customer.url, data + b"z") == 413

    assert not customer.received


async def test_a_wait_ends_with_what_it_waits_for() -> None:
    async with open_customer([SECRET], kept=2) as customer, trio.open_nursery() as nursery:
        with trio.fail_after(10):
            for n in range(3):
                nursery.start_soon(ask, customer.url, request(id=f"evt_{n}"))
            await customer.until(lambda: customer.count == 3)

    assert customer.count == 3
    assert len(customer.received) == len(customer.verified) == 2


async def test_whoever_watches_sees_request_and_reply() -> None:
    seen: list[tuple[Received, Reply]] = []
    async with open_customer(
        [SECRET], on_received=lambda received, reply: seen.append((received, reply))
    ) as customer:
        await ask(customer.url, request())
        await ask(customer.url, request(secret=OTHER))

    assert [(r.verified, reply.status) for r, reply in seen] == [(True, 200), (False, 401)]


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], [SECRET, "x"]])
def test_a_secret_that_is_none_is_refused_without_being_shown(secrets: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        Verifier(secrets)

    assert "whsec_MfKQ" not in str(caught.value)


async def test_one_line_tells_what_came_and_masks_it_unless_asked() -> None:
    async with open_customer([SECRET]) as customer:
        await ask(customer.url, request(extra="webhook-attempt: 2\r\n"))
    (received,) = customer.received

    masked, whole = describe(received, lambda number: number[:5]), describe(received, None)

    assert "900123" not in masked
    assert "day" not in masked
    assert "10 characters" in masked
    assert "attempt 2" in masked
    assert "+447700900123" in whole
    assert "Good \N{GRINNING FACE} day" in whole


async def test_a_refused_request_is_told_with_its_reason() -> None:
    async with open_customer([SECRET]) as customer:
        await ask(customer.url, request(secret=OTHER, id="evt_\x9b2J"))
    (received,) = customer.received

    line = describe(received, str.lower)

    assert line.startswith("REFUSED evt_")
    assert "No matching signature" in line
    assert line.isprintable()


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\u202eb\x9b\n") == "a\\x1b[31m\\u202eb\\x9b\\n"
    assert printable("Grüße \N{GRINNING FACE}") == "Grüße \N{GRINNING FACE}"
