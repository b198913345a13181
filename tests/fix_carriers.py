"""Carriers that tests play: smpplib, which knows nothing of our codec, and one that never gives
up, as real ones don't."""

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import trio
from smpplib.client import Client
from smpplib.smpp import make_pdu

from smsc.simulator.carrier import Answer, BindRefused, Carrier
from tests.fix_gateway import NUMBER, PASSWORD, SYSTEM_ID

SENDER = "447700900123"

TEMPORARY = {0x14, 0x58, 0x64, 0x65}
"""Statuses after which a carrier sends again: queue full, throttled, RX_T_APPN, RX_P_APPN."""

International = {"source_addr_ton": 1, "source_addr_npi": 1, "dest_addr_ton": 1, "dest_addr_npi": 1}


async def smpplib_delivers(
    port: int,
    messages: Sequence[dict[str, Any]],
    *,
    system_id: str = SYSTEM_ID,
    password: str = PASSWORD,
    bind: str = "bind_transceiver",
) -> list[int]:
    """Bind with unmodified smpplib, send each message as a deliver_sm, unbind; the statuses.

    Messages are keyword arguments of smpplib's PDU; sender and recipient are added.
    """

    def converse() -> list[int]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            client = Client("127.0.0.1", port, timeout=15, allow_unknown_opt_params=True)
        client.connect()
        try:
            getattr(client, bind)(system_id=system_id, password=password)
            sent = []
            for message in messages:
                fields = {
                    **International,
                    "source_addr": SENDER,
                    "destination_addr": NUMBER.lstrip("+"),
                    **message,
                }
                pdu = make_pdu("deliver_sm", client=client, **fields)
                client.send_pdu(pdu)
                sent.append(pdu.sequence)
            answers: dict[int, int] = {}
            while len(answers) < len(sent):
                pdu = client.read_pdu()
                assert pdu.command in ("deliver_sm_resp", "enquire_link"), pdu.command
                if pdu.command == "deliver_sm_resp":
                    assert pdu.sequence in sent
                    assert pdu.sequence not in answers
                    answers[pdu.sequence] = int(pdu.status)
            client.unbind()
            return [answers[sequence] for sequence in sent]
        finally:
            client.disconnect()

    return await trio.to_thread.run_sync(converse)


class StubbornCarrier:
    """Sends requests until each was answered ROK: binds again when a link is gone, and sends
    again, octet for octet, what was never answered or answered with a temporary error."""

    def __init__(
        self, port: int, frames: Sequence[bytes], *, links: int = 2, window: int = 20
    ) -> None:
        self.port = port
        self.todo = deque(enumerate(frames))
        self.answers: dict[int, Answer] = {}
        """Index of the frame → the ROK it got."""
        self.total = len(frames)
        self.links = links
        self.window = window
        self.resent = 0
        """How often something was sent again."""
        self.permanent: list[Answer] = []
        """Answers after which a carrier gives up: there must be none."""
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def done(self) -> bool:
        return len(self.answers) == self.total

    async def run(self) -> None:
        """Return when everything was answered ROK, or something for good otherwise."""
        async with trio.open_nursery() as nursery:
            for _ in range(self.links):
                nursery.start_soon(self._link)
            await self.until(lambda: self.done or self.permanent)
            nursery.cancel_scope.cancel()

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait for something about :attr:`answers`."""
        while not reached():
            await self._changed.park()

    async def _link(self) -> None:
        while True:
            try:
                async with (
                    Carrier(
                        port=self.port, system_id=SYSTEM_ID, password=PASSWORD, window=self.window
                    ) as carrier,
                    trio.open_nursery() as nursery,
                ):
                    for _ in range(self.window):
                        nursery.start_soon(self._send, carrier)
                    await carrier.ended.wait()
                    nursery.cancel_scope.cancel()
            except (OSError, BindRefused):
                pass
            await trio.sleep(0.05)  # as long as the gateway is away

    async def _send(self, carrier: Carrier) -> None:
        while not carrier.ended.is_set():
            if not self.todo:
                await self._changed.park()
                continue
            index, frame = self.todo.popleft()
            answer = Answer(None, "", 0.0)
            try:
                (answer,) = await carrier.deliver([frame])
            finally:
                if answer.ok:
                    self.answers[index] = answer
                elif answer.status is None or answer.status in TEMPORARY:
                    self.todo.append((index, frame))
                    self.resent += 1
                else:
                    self.permanent.append(answer)
                self._changed.unpark_all()
            if answer.status in TEMPORARY:
                await trio.sleep(0.05)
