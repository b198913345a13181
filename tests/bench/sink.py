"""The sink: an HTTP receiver that notes when each message came, and answers 200 at once.

A process of its own, with sockets and epoll alone. Every 1,000th signature is checked, so that
a fast run is also a true one. Prints ``{"event": "listening", "port": …}``, then every quarter
of a second what came so far, until stdin closes; leaves in ``--out`` an array of doubles:
message → when it first came (0: never).
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import select
import socket
import time
from array import array

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
MARK = b"#="


class Sink:
    def __init__(self, count: int, secret: str) -> None:
        self.came = array("d", bytes(8 * count))
        self.requests = self.distinct = self.unmarked = self.forged = self.connections = 0
        self.key = base64.b64decode(secret.removeprefix("whsec_")) if secret else b""

    def take(self, head: bytes, body: bytes, now: float) -> None:
        self.requests += 1
        at = body.find(MARK)
        try:
            message = int(body[at + 2 : at + 10]) if at >= 0 else -1
            before = self.came[message] if message >= 0 else 0.0
        except (ValueError, IndexError):
            message = -1
        if message < 0:
            self.unmarked += 1
        elif not before:
            self.came[message] = now
            self.distinct += 1
        if self.key and self.requests % 1000 == 1:
            self.check(head, body)

    def check(self, head: bytes, body: bytes) -> None:
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        given = fields.get(b"webhook-signature", b"").split(b" ")
        about = (fields.get(name, b"") for name in (b"webhook-id", b"webhook-timestamp"))
        signed = b".".join((*about, body))
        right = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256))
        if b"v1," + right not in given:
            self.forged += 1

    def figures(self, event: str) -> str:
        return json.dumps(
            {
                "event": event,
                "requests": self.requests,
                "distinct": self.distinct,
                "unmarked": self.unmarked,
                "forged": self.forged,
                "connections": self.connections,
            }
        )


def length_of(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end >= 0 else None])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--count", type=int, required=True)
    p.add_argument("--out", required=True)
    arguments = p.parse_args()
    sink = Sink(arguments.count, os.environ.get("BENCH_WEBHOOK_SECRET", ""))
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=1024)
    listener.setblocking(False)
    print(json.dumps({"event": "listening", "port": listener.getsockname()[1]}), flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    peers: dict[int, socket.socket] = {}
    buffers: dict[int, bytes] = {}
    told = 0.0
    while True:
        for fd, _ in poll.poll(0.25):
            if fd == 0:
                print(sink.figures("done"), flush=True)
                with open(arguments.out, "wb") as out:
                    sink.came.tofile(out)
                return
            if fd == listener.fileno():
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()], buffers[peer.fileno()] = peer, b""
                poll.register(peer, select.EPOLLIN)
                sink.connections += 1
                continue
            try:
                data = peers[fd].recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                poll.unregister(fd)
                peers.pop(fd).close()
                del buffers[fd]
                continue
            now = time.monotonic()
            buffer, answers = buffers[fd] + data, 0
            while (end := buffer.find(b"\r\n\r\n")) >= 0:
                head = buffer[:end]
                size = end + 4 + length_of(head)
                if len(buffer) < size:
                    break
                sink.take(head, buffer[end + 4 : size], now)
                buffer = buffer[size:]
                answers += 1
            buffers[fd] = buffer
            if answers:
                peers[fd].sendall(OK * answers)
        now = time.monotonic()
        if now - told > 0.25:
            told = now
            print(sink.figures("so far"), flush=True)


if __name__ == "__main__":
    main()
