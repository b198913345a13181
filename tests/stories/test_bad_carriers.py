"""What a carrier must not send, on a real gateway: each ends in an answer or a close, and the
links of others never notice."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import BindRefused, Carrier
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, PASSWORD, SECRET, SYSTEM_ID, Gateway, open_gateway, to_one

BOUND = 45
HEADER = struct.Struct(">IIII")
GENERIC_NACK, DELIVER_SM, ENQUIRE_LINK = 0x80000000, 0x05, 0x15
RINVCMDLEN, RINVCMDID, RINVBNDSTS = 0x02, 0x03, 0x04

TIMERS = "\n[listeners.timers]\nsession_init = 1\n"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway beside whose bad carriers a good one stays bound, and can deliver afterwards."""
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, TIMERS + to_one(customer.url)) as running,
            Carrier(port=running.smpp_port, system_id=SYSTEM_ID, password=PASSWORD) as good,
        ):
            yield running
            (answer,) = await good.send("still", source=f"+{SENDER}", destination=NUMBER)
            assert answer.ok
            await customer.until(lambda: customer.verified)
            assert "Traceback" not in running.log_file.read_text(encoding="utf-8")


async def said(gateway: Gateway, octets: bytes) -> list[tuple[int, int, int]]:
    """Send this on a new connection; (command, status, sequence) of all answers until it is
    closed."""
    stream = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
    data = b""
    async with stream:
        try:
            await stream.send_all(octets)
            async for chunk in stream:
                data += chunk
        except trio.BrokenResourceError:
            pass  # closed while octets of ours were on their way
    answers = []
    while data:
        length, command, status, sequence = HEADER.unpack_from(data)
        answers.append((command, status, sequence))
        data = data[length:]
    return answers


async def test_who_may_not_bind_is_told(gateway: Gateway) -> None:
    for system_id, password, name in (
        (SYSTEM_ID, "wrong", "ESME_RINVPASWD"),
        (SYSTEM_ID, "", "ESME_RINVPASWD"),
        ("nobody", PASSWORD, "ESME_RINVSYSID"),
        ("", "", "ESME_RINVSYSID"),
    ):
        with pytest.raises(BindRefused) as caught:
            async with Carrier(port=gateway.smpp_port, system_id=system_id, password=password):
                pass

        assert name in str(caught.value)


async def test_requests_before_a_bind(gateway: Gateway) -> None:
    deliver = HEADER.pack(16, DELIVER_SM, 0, 7)

    answers = await said(gateway, HEADER.pack(16, ENQUIRE_LINK, 0, 6) + deliver)

    assert answers[:2] == [(ENQUIRE_LINK | GENERIC_NACK, 0, 6), (0x80000005, RINVBNDSTS, 7)]


async def test_two_gigabytes_announced(gateway: Gateway) -> None:
    answers = await said(gateway, HEADER.pack(0x7FFFFFFF, DELIVER_SM, 0, 9) + b"x" * 1000)

    assert [answer[:2] for answer in answers] == [(GENERIC_NACK, RINVCMDLEN)]


async def test_a_length_below_a_header(gateway: Gateway) -> None:
    answers = await said(gateway, HEADER.pack(15, DELIVER_SM, 0, 9))

    assert [answer[:2] for answer in answers] == [(GENERIC_NACK, RINVCMDLEN)]


async def test_half_a_pdu_or_nothing_and_then_silence_is_closed_in_time(gateway: Gateway) -> None:
    for octets in (HEADER.pack(100, 0x09, 0, 1)[:10], HEADER.pack(100, 0x09, 0, 1), b""):
        with trio.fail_after(10):
            await said(gateway, octets)


async def test_garbage_is_answered_or_closed(gateway: Gateway) -> None:
    for octets in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
        bytes(1000),
        b"\xff" * 1000,
    ):
        with trio.fail_after(10):
            for command, status, _ in await said(gateway, octets):
                assert command & GENERIC_NACK
                assert status


async def test_an_unknown_command_on_a_bound_link_keeps_it(gateway: Gateway) -> None:
    async with Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD) as link:
        (answer,) = await link.deliver([HEADER.pack(16, 0x00000777, 0, 0)])
        assert answer.status == RINVCMDID
        assert (await link.enquire()).ok


async def test_an_unreadable_message_is_answered_and_keeps_the_link(gateway: Gateway) -> None:
    async with Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD) as link:
        (answer,) = await link.deliver([HEADER.pack(20, DELIVER_SM, 0, 0) + b"\0\1\1x"])
        assert answer.status is not None
        assert (await link.enquire()).ok
