"""The load: a carrier that pushes deliver_sm over several links as fast as their windows let, or
at a given rate.

A process of its own, with sockets and epoll alone, so that it costs the gateway beside it as
little as can be. It shares no code with the gateway. Every message carries its number as
``#=00000123=`` at the beginning of its text; times are CLOCK_MONOTONIC, which all processes of
a machine share.

Protocol with whoever started it: prints ``{"event": "bound"}``, waits for a line on stdin, sends
everything, prints ``{"event": "done", …}``, keeps the links open until stdin closes, and leaves
in ``--out`` two arrays of doubles: when each message's last PDU was sent, and how long each PDU
waited for its answer (0: none).
"""

import argparse
import json
import select
import socket
import struct
import sys
import time
from array import array
from collections import Counter

HEADER = struct.Struct(">IIII")
DELIVER_SM, DELIVER_SM_RESP = 0x00000005, 0x80000005
ENQUIRE_LINK, UNBIND, BIND_TRANSCEIVER = 0x15, 0x06, 0x09
RESPONSE = 0x80000000

SOURCES = 10_000
GSM7 = b"#=%08d= Your table is booked for 8 this evening; price 3\x1be50, caf\x05 included. Thanks!"
UCS2 = "#=%08d= Ваш стол заказан 🍽 до встречи!"
PART = b"#=%08d= " + b"the quick brown fox jumps over the lazy dog, again and again. " * 2
REST = b"and this is where it ends."


def deliver_sm(
    sequence: int, message: int, destination: bytes, esm_class: int, coding: int, octets: bytes
) -> bytes:
    body = b"\0\x01\x014477%08d\0\x01\x01%b\0%c\0\0\0\0\0\0%c\0%c%b" % (
        message % SOURCES,
        destination,
        esm_class,
        coding,
        len(octets),
        octets,
    )
    return HEADER.pack(16 + len(body), DELIVER_SM, 0, sequence) + body


class Plan:
    """Which PDUs there are, made when they are wanted."""

    def __init__(self, count: int, mix: tuple[int, int, int], destination: bytes) -> None:
        self.count = count
        self.next_message = 0
        self.sequence = 0
        self.mix = mix
        self.destination = destination
        self.owner = array("l", [0])
        """sequence number → message"""

    def take(self) -> list[bytes]:
        """The PDUs of the next message: one, or two parts."""
        i, to = self.next_message, self.destination
        self.next_message += 1
        share = i * 37 % 100  # every hundred messages hold the whole mix
        if share < self.mix[0]:
            return [self.pdu(i, to, 0, 0, GSM7 % i)]
        if share < self.mix[0] + self.mix[1]:
            return [self.pdu(i, to, 0, 8, (UCS2 % i).encode("utf-16-be"))]
        udh = b"\x06\x08\x04" + (i & 0xFFFF).to_bytes(2, "big") + b"\x02"
        return [
            self.pdu(i, to, 0x40, 0, udh + b"\x01" + PART % i),
            self.pdu(i, to, 0x40, 0, udh + b"\x02" + REST),
        ]

    def pdu(self, i: int, to: bytes, esm_class: int, coding: int, octets: bytes) -> bytes:
        self.sequence += 1
        self.owner.append(i)
        return deliver_sm(self.sequence, i, to, esm_class, coding, octets)


class Link:
    def __init__(self, port: int, system_id: str, password: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.out = 0
        body = system_id.encode() + b"\0" + password.encode() + b"\0\0\x34\0\0\0"
        self.socket.sendall(HEADER.pack(16 + len(body), BIND_TRANSCEIVER, 0, 1) + body)
        while len(self.buffer) < 16 or len(self.buffer) < HEADER.unpack_from(self.buffer)[0]:
            data = self.socket.recv(4096)
            if not data:
                raise SystemExit("the gateway closed the link before the bind was answered")
            self.buffer += data
        status = HEADER.unpack_from(self.buffer)[2]
        if status:
            raise SystemExit(f"bind refused with status {status:#x}")
        self.buffer = b""


class Load:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.window: int = arguments.window
        self.rate = arguments.rate
        self.stall = arguments.stall
        self.plan = Plan(arguments.count, arguments.mix, arguments.destination.encode())
        self.links = [
            Link(arguments.port, arguments.system_id, arguments.password)
            for _ in range(arguments.links)
        ]
        self.sent = array("d", bytes(8 * arguments.count))
        """message → when its last PDU was sent"""
        self.waited = array("d", [0.0])
        """sequence number → when it was sent, then how long its answer took"""
        self.answered = 0
        self.refused: Counter[int] = Counter()
        self.poll = select.epoll()
        self.by_fd = {}
        for link in self.links:
            self.poll.register(link.socket, select.EPOLLIN)
            self.by_fd[link.socket.fileno()] = link

    def run(self) -> tuple[float, float]:
        """Send everything; the times of the first PDU and of the last answer."""
        plan, began = self.plan, time.monotonic()
        last = began
        if not self.rate:
            for link in self.links:
                self.fill(link, plan.count, began)
        turn = 0
        while self.answered + sum(self.refused.values()) < plan.sequence or (
            plan.next_message < plan.count
        ):
            now = time.monotonic()
            if self.rate:
                due = min(plan.count, int((now - began) * self.rate) + 1)
                while plan.next_message < due:
                    link = self.links[turn % len(self.links)]
                    turn += 1
                    if self.room(link):
                        self.fill(link, 1, now)
                    elif not any(map(self.room, self.links)):
                        break
            for fd, _ in self.poll.poll(0.001 if self.rate else 0.5):
                if self.read(self.by_fd[fd]):
                    last = time.monotonic()
            if time.monotonic() - last > self.stall:
                break
        return began, last

    def room(self, link: Link) -> bool:
        """Whether a message of two parts fits."""
        return link.out < self.window - 1

    def fill(self, link: Link, most: int, now: float) -> None:
        """Send messages while the window has room; a message's parts stay on one link."""
        plan, chunks = self.plan, []
        while most and plan.next_message < plan.count and self.room(link):
            i = plan.next_message
            pdus = plan.take()
            self.sent[i] = now
            self.waited.extend([now] * len(pdus))
            link.out += len(pdus)
            chunks += pdus
            most -= 1
        if chunks:
            link.socket.sendall(b"".join(chunks))

    def read(self, link: Link) -> bool:
        data = link.socket.recv(1 << 18)
        if not data:
            raise SystemExit("the gateway closed a link")
        now = time.monotonic()
        buffer = link.buffer + data if link.buffer else data
        position, size = 0, len(buffer)
        waited, answers = self.waited, 0
        while size - position >= 16:
            length, command, status, sequence = HEADER.unpack_from(buffer, position)
            if size - position < length:
                break
            position += length
            if command == DELIVER_SM_RESP:
                answers += 1
                if status:
                    self.refused[status] += 1
                    waited[sequence] = 0.0
                else:
                    waited[sequence] = now - waited[sequence]
                    self.answered += 1
            elif command == ENQUIRE_LINK:
                link.socket.sendall(HEADER.pack(16, ENQUIRE_LINK | RESPONSE, 0, sequence))
            elif command == UNBIND:
                raise SystemExit("the gateway unbound")
        link.buffer = buffer[position:]
        link.out -= answers
        if answers and not self.rate:
            self.fill(link, self.plan.count, now)
        return answers > 0

    def hold(self) -> None:
        """Keep the links alive until stdin closes."""
        self.poll.register(0, select.EPOLLIN)
        self.rate = self.rate or 1
        while True:
            for fd, _ in self.poll.poll():
                if fd == 0:
                    return
                self.read(self.by_fd[fd])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--system-id", default="load")
    p.add_argument("--password", default="secret")
    p.add_argument("--destination", default="447700900999")
    p.add_argument("--count", type=int, default=30_000, help="messages")
    p.add_argument(
        "--rate", type=float, default=0, help="messages a second; 0: all the window lets"
    )
    p.add_argument("--links", type=int, default=4)
    p.add_argument("--window", type=int, default=50)
    p.add_argument("--mix", type=lambda t: tuple(map(int, t.split(","))), default=(70, 20, 10))
    p.add_argument(
        "--stall", type=float, default=20, help="give up after so long without an answer"
    )
    p.add_argument("--out", required=True)
    arguments = p.parse_args()
    load = Load(arguments)
    print(json.dumps({"event": "bound"}), flush=True)
    sys.stdin.readline()
    began, last = load.run()
    print(
        json.dumps(
            {
                "event": "done",
                "messages": load.plan.next_message,
                "pdus": load.plan.sequence,
                "answered": load.answered,
                "refused": {f"{status:#x}": n for status, n in load.refused.items()},
                "began": began,
                "seconds": last - began,
            }
        ),
        flush=True,
    )
    load.hold()
    with open(arguments.out, "wb") as out:
        waited = load.waited[1:]
        for index in range(len(waited)):
            if waited[index] > began - 1:  # still a time: never answered
                waited[index] = 0.0
        load.sent.tofile(out)
        waited.tofile(out)


if __name__ == "__main__":
    main()
