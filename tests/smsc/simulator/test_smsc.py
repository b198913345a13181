import pytest
import trio
from trio.testing import memory_stream_pair

from smsc.config import Account, Dial
from smsc.link.answers import our_bind
from smsc.simulator.carrier import BindRefused, message
from smsc.simulator.segments import segments
from smsc.simulator.smsc import invited, open_smsc
from smsc.wire.pdu import Pdu
from smsc.wire.spec import BindReceiver, CommandId, Outbind, Status, Unbind
from tests.fix_peer import Peer

ACCOUNT = Account(name="acme", system_id="us", dial=Dial(password="pw"))


async def gateway(port: int) -> Peer:
    return Peer(await trio.open_tcp_stream("127.0.0.1", port))


def bind(password: str = "pw") -> Pdu:
    return Pdu(CommandId.bind_receiver, 0, 1, BindReceiver("us", password))


async def test_who_binds_is_delivered_to() -> None:
    frame = message(segments("hello")[0], source="+447700900123", destination="+447700900999")
    with trio.fail_after(10):
        async with open_smsc("us", "pw") as smsc, trio.open_nursery() as nursery:
            peer = await gateway(smsc.port)
            await peer.send(bind())
            assert await peer.told() == ("bind_receiver_resp", Status.ESME_ROK, 1)
            link = await smsc.link()
            assert isinstance(link.bound_as, BindReceiver)

            async def answer() -> None:
                assert await peer.told() == ("deliver_sm", 0, 1)
                await peer.send(bytes.fromhex("00000011 80000005 00000000 00000001 00"))

            nursery.start_soon(answer)
            (answered,) = await link.deliver([frame])
            assert answered.ok
            await peer.send(Pdu(CommandId.unbind, 0, 7, Unbind()))
            assert await peer.told() == ("unbind_resp", 0, 7)
            await peer.stream.aclose()
            await link.ended.wait()
    assert smsc.links == []


@pytest.mark.parametrize(
    ("password", "refuse", "status"),
    [("wrong", 0, Status.ESME_RINVPASWD), ("pw", Status.ESME_RBINDFAIL, Status.ESME_RBINDFAIL)],
)
async def test_a_bind_may_be_refused(password: str, refuse: int, status: Status) -> None:
    with trio.fail_after(10):
        async with open_smsc("us", "pw", refuse=refuse) as smsc:
            peer = await gateway(smsc.port)
            await peer.send(bind(password))

            assert await peer.told() == ("bind_receiver_resp", status, 1)
            await peer.stream.aclose()
            await smsc.refused()
            assert smsc.seen[status.name] == 1


async def test_an_outbind_asks_for_a_bind() -> None:
    ours, theirs = memory_stream_pair()
    peer = Peer(theirs)
    link = invited(ours, outbind=Outbind("acme", "secret"), system_id="us", password="pw")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            async def back() -> None:
                assert await peer.told() == ("outbind", 0, 1)
                await peer.send(our_bind(ACCOUNT, Dial(password="pw"), "transceiver", 1))
                assert await peer.told() == ("bind_transceiver_resp", Status.ESME_ROK, 1)

            nursery.start_soon(back)
            async with link:
                nursery.cancel_scope.cancel()


async def test_an_outbind_that_nobody_follows_is_told_as_no_bind() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.aclose()
    link = invited(ours, outbind=Outbind("acme", "secret"), system_id="us", password="pw")
    with trio.fail_after(10), pytest.raises(BindRefused):
        async with link:
            pass
