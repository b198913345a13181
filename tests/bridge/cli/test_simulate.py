import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli.simulate import PASSWORD_VARIABLE, simulate
from tests.fix_tls import Certificates

HEADER = struct.Struct(">IIII")
BIND_TRANSCEIVER, DELIVER_SM, UNBIND = 0x09, 0x05, 0x06


class Server:
    """The least SMPP server there is: answers every request with the status it was given."""

    def __init__(
        self,
        bind: int = 0,
        messages: int = 0,
        silent: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.bind, self.messages, self.silent = bind, messages, silent
        self.binds: list[bytes] = []
        self.taken: list[bytes] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            if self.tls is not None:
                try:
                    peer = self.tls.wrap_socket(peer, server_side=True)
                except OSError:
                    continue
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            while head := stream.read(16):
                length, command, _, sequence = HEADER.unpack(head)
                body = stream.read(length - 16)
                status = 0
                if command == BIND_TRANSCEIVER:
                    self.binds.append(body)
                    status = self.bind
                elif command != UNBIND:
                    self.taken.append(body)
                    status = self.messages
                    if self.silent:
                        continue
                peer.sendall(HEADER.pack(17, command | 0x80000000, status, sequence) + b"\0")


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server(**options)
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)  # close alone would leave accept waiting
        server.listener.close()


def run(server: Server, *words: str, env: dict[str, str] | None = None) -> Result:
    environment = {PASSWORD_VARIABLE: "secret-1"} if env is None else env
    arguments = ["carrier", f"127.0.0.1:{server.port}", "--system-id", "sim", *words]
    return CliRunner().invoke(simulate, arguments, env=environment, standalone_mode=False)


def failure(result: Result) -> str:
    assert result.exception is not None
    return getattr(result.exception, "message", repr(result.exception))


def test_all_answered_rok_is_success_and_told_in_numbers() -> None:
    with serving() as server:
        result = run(server, "--count", "25", "--links", "3", "--text", "number {n}", "--json")

    summary = json.loads(result.output)
    assert result.return_value == 0
    assert summary["requests"] == summary["answered"] == 25
    assert summary["statuses"] == {"ESME_ROK": 25}
    assert summary["unanswered"] == 0
    assert summary["latencyMs"]["p50"] <= summary["latencyMs"]["max"]
    assert len(server.binds) == 3
    sent = sorted(int(re.search(rb"number (\d+)", body)[1]) for body in server.taken)  # type: ignore[index]  # each holds one
    assert sent == list(range(1, 26))


def test_people_read_statuses_and_latencies() -> None:
    with serving() as server:
        result = run(server, "--count", "3")

    assert "3  ESME_ROK" in result.output
    assert "p50" in result.output


def test_any_other_answer_is_failure() -> None:
    with serving(messages=0x58) as server:
        result = run(server, "--count", "2", "--json")

    assert result.return_value == 1
    assert json.loads(result.output)["statuses"] == {"ESME_RTHROTTLED": 2}


def test_no_answer_is_failure_within_the_bound() -> None:
    with serving(silent=True) as server:
        result = run(server, "--count", "2", "--timeout", "0.2", "--json")

    assert result.return_value == 1
    assert json.loads(result.output)["unanswered"] == 2


def test_a_refused_bind_is_told_by_its_status() -> None:
    with serving(bind=0x0E) as server:
        result = run(server)

    assert "ESME_RINVPASWD" in failure(result)


def test_nobody_listening_is_told() -> None:
    with serving() as server:
        pass
    result = run(server)

    assert str(server.port) in failure(result)
    assert "Connection refused" in failure(result)


@pytest.mark.parametrize("concatenation", ["udh8", "udh16", "sar", "payload"])
def test_long_texts_go_out_in_segments(concatenation: str) -> None:
    with serving() as server:
        result = run(
            server, "--text", "x" * 400, "--concat", concatenation, "--shuffle", "--json"
        )  # fmt: skip

    expected = 1 if concatenation == "payload" else 3
    assert result.return_value == 0
    assert json.loads(result.output)["requests"] == expected
    assert len(server.taken) == expected


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--text", "ı", "--locking", "turkish"), b"\0\x40\0\0\0\0\0\0\0\0\5\3\x25\1\1\7"),
        (("--text", "ş", "--single", "turkish"), b"\0\6\3\x24\1\1\x1bs"),
        (("--text", "hello", "--packed"), b"\0\0\0\0\0\x05\xe8\x32\x9b\xfd\x06"),
        (("--text", "é", "--encoding", "latin1", "--data-coding", "0"), b"\0\0\0\1\xe9"),
        (("--text", "id:1 stat:DELIVRD", "--receipt"), b"\0\4\0\0"),
    ],
)
def test_what_real_carriers_do_can_be_asked_for(words: tuple[str, ...], sent: bytes) -> None:
    with serving() as server:
        result = run(server, *words)

    (body,) = server.taken
    assert result.return_value == 0
    assert sent in body


def test_it_speaks_tls_and_shows_its_certificate(
    certificates: Certificates, tmp_path: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.load_cert_chain(f"{certificates.server}.pem", f"{certificates.server}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    own = tmp_path / "own.pem"
    own.write_bytes(
        Path(f"{certificates.client}.pem").read_bytes()
        + Path(f"{certificates.client}.key").read_bytes()
    )
    trusting = ("--tls", "--tls-ca", certificates.ca)
    with serving(tls=context) as server:
        shown = run(server, *trusting, "--tls-certificate", str(own))
        hidden = run(server, *trusting)
        untrusting = run(server, "--tls", "--tls-certificate", str(own))

    assert shown.return_value == 0
    assert "no answer to the bind" in failure(hidden)
    assert "its certificate is not accepted" in failure(untrusting)


def test_texts_come_from_a_file_a_line_each(tmp_path: Path) -> None:
    file = tmp_path / "texts"
    file.write_text("one\n\ntwo\n", encoding="utf-8")
    with serving() as server:
        result = run(server, "--file", str(file), "--count", "4", "--rate", "1000", "--json")

    assert result.return_value == 0
    assert sum(b"one" in body for body in server.taken) == 2
    assert sum(b"two" in body for body in server.taken) == 2


def test_the_password_comes_from_a_file_or_the_environment_only(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of-file\n", encoding="utf-8")
    with serving() as server:
        run(server, "--password-file", str(file))
        run(server, "--password-env", "OTHER", env={"OTHER": "of-env"})
        nowhere = run(server, env={PASSWORD_VARIABLE: None})  # type: ignore[dict-item]  # unset

    assert b"\0of-file\0" in server.binds[0]
    assert b"\0of-env\0" in server.binds[1]
    assert "no password" in failure(nowhere)
    assert "--password " not in CliRunner().invoke(simulate, ["carrier", "--help"]).output


@pytest.mark.parametrize(
    "words",
    [
        ("--text", "\N{GRINNING FACE}", "--encoding", "gsm7"),
        ("--text", "é", "--encoding", "ascii"),
        ("--text", "x" * 70_000, "--concat", "payload"),
        ("--password-file", "/nonexistent"),
        ("--file", "/dev/null"),
        ("--tls-ca", "ca.pem"),
        ("--packed", "--encoding", "ucs2"),
    ],
)
def test_what_cant_be_sent_is_wrong_usage(words: tuple[str, ...]) -> None:
    with serving() as server:
        result = run(server, *words)

    assert getattr(result.exception, "exit_code", None) == 2
    assert server.binds == []


@pytest.mark.parametrize("target", ["nonsense", "127.0.0.1:99999", "127.0.0.1:x"])
def test_a_target_is_host_and_port(target: str) -> None:
    result = CliRunner().invoke(
        simulate, ["carrier", target, "--system-id", "x"], standalone_mode=False
    )

    assert "HOST:PORT" in failure(result)


def test_the_bar_shows_how_far_it_is() -> None:
    with serving() as server:
        result = run(server, "--count", "3", "--progress")

    assert "3/3" in result.output
