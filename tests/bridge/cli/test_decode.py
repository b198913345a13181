import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge import cli
from bridge.store.contract import LiveObject
from bridge.store.sqlite.engine import SqliteStore
from smsc.capture import files, packets
from smsc.config import Account
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import BindTransceiver, CommandId, DeliverSm

ENQUIRE = "00000010000000150000000000000001"
NACK = "00000010800000000000000300000002"
SHORT = "0000000f0000001500000000000001"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def decode(*words: str) -> tuple[int, list[Any]]:
        status = cli.run(["decode", *words])
        out = capsys.readouterr().out
        if "--json" in words:
            return status, [json.loads(line) for line in out.splitlines()]
        return status, out.splitlines()

    return decode


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def test_hex_as_argument(run: Any) -> None:
    status, lines = run(ENQUIRE)
    assert status == 0
    assert lines[0] == "enquire_link, 16 octets (line 1)"


def test_texts_are_read_as_an_account_has_them(run: Any, tmp_path: Path) -> None:
    packed = DeliverSm(short_message=bytes.fromhex("e8329bfd06"))
    pdu = encode(Pdu(CommandId.deliver_sm, 0, 1, packed)).hex()
    store = SqliteStore(tmp_path / "sms.db", clock=lambda: 1)
    account = Account(name="one", system_id="one", packed=True)
    store.apply("test", [LiveObject("account", "one", msgspec.json.encode(account))], 1)
    store.close()
    where = ("--store", str(tmp_path / "sms.db"))

    assert "  text      'hello'" in run(pdu, "--account", "one", *where)[1]
    assert "  text      'hello'" not in run(pdu)[1]
    assert run(pdu, "--account", "two", *where) == (2, [])


def test_several_arguments_are_several_lines(run: Any) -> None:
    status, pdus = run("--json", ENQUIRE, NACK)
    assert status == 0
    assert [(pdu["input"], pdu["command"]) for pdu in pdus] == [
        (1, "enquire_link"),
        (2, "generic_nack"),
    ]


def test_an_unquoted_dump_is_one_pdu(run: Any) -> None:
    status, pdus = run("--json", "00000010", "00000015", "00000000", "00000001")
    assert status == 0
    assert [pdu["sequence_number"] for pdu in pdus] == [1]


def test_a_file_with_comments(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "pdus.txt"
    file.write_text(f"# two\n{ENQUIRE}\n\n{NACK}\n")
    status, pdus = run("--json", str(file))
    assert status == 0
    assert [pdu["input"] for pdu in pdus] == [2, 4]


def test_a_file_of_raw_octets(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "pdus.bin"
    file.write_bytes(bytes.fromhex(ENQUIRE + NACK))
    status, pdus = run("--json", str(file))
    assert status == 0
    assert [pdu["command"] for pdu in pdus] == ["enquire_link", "generic_nack"]


@pytest.mark.parametrize("words", [(), ("-",)])
def test_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    give(monkeypatch, f"{ENQUIRE}\n{ENQUIRE}\n".encode())
    status, pdus = run("--json", *words)
    assert status == 0
    assert len(pdus) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_text_that_begins_with_a_byte_order_mark(
    run: Any, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    give(monkeypatch, f"{mark}{ENQUIRE}\r\n{NACK}\r\n".encode(encoding))
    status, pdus = run("--json")
    assert status == 0
    assert [(pdu["input"], pdu["command"]) for pdu in pdus] == [
        (1, "enquire_link"),
        (2, "generic_nack"),
    ]


def test_a_dump_as_one_argument_is_no_file_name(run: Any) -> None:
    status, pdus = run(
        "--json", "00000000: 0000 0010 0000 0015 0000 0000 0000 0001  ......./........\n"
    )
    assert status == 0
    assert [pdu["command"] for pdu in pdus] == ["enquire_link"]


@pytest.mark.parametrize("words", [("--json",), ()])
def test_a_terminal_that_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    text = "hi \U0001f600"
    body = bytes(14) + bytes([8, 0, 2 * (len(text) + 1)]) + text.encode("utf-16-be")
    pdu = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("000000050000000000000001") + body
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1"))

    assert cli.run(["decode", *words, pdu.hex()]) == 0
    shown = out.getvalue().decode()
    assert (json.loads(shown)["text"] == text) if words else (r"hi \U0001f600" in shown)


def test_any_error_is_1_and_the_rest_is_still_explained(run: Any) -> None:
    status, pdus = run("--json", "zz" * 16, SHORT + "00", ENQUIRE)
    assert status == 1
    assert [pdu["error"] and pdu["error"]["consequence"] for pdu in pdus] == [
        "incomplete",
        "close",
        None,
    ]


def test_what_is_no_hex_is_said_with_its_line(run: Any) -> None:
    status, lines = run("zz" * 16)
    assert status == 1
    assert lines == ["line 1: 'z' is no hex digit"]


def test_control_characters_of_a_pdu_stay_off_the_terminal(run: Any) -> None:
    # alert: ESC in the source address
    body = "00" + "0000" + "1b5b313b00" + "0000" + "3100" + "00" * 3 + "00" * 2 + "00" * 5
    octets = bytes.fromhex("0000000000000005" + "00000000" + "00000001" + body)
    pdu = len(octets).to_bytes(4, "big") + octets[4:]
    _, lines = run(pdu.hex())
    assert not any("\x1b" in line for line in lines)


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", "pdus/one.txt"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_directory_is_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["decode", str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err


def test_nothing_at_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"")
    assert cli.run(["decode"]) == 2
    assert "nothing to decode" in capsys.readouterr().err


SENDER, TEXT, PASSWORD = "447700900123", b"see you at nine", "s3cret"


@pytest.fixture
def capture() -> bytes:
    """A carrier that binds and delivers, and one that asks for a page."""
    bind = BindTransceiver(system_id="acme", password=PASSWORD, interface_version=0x34)
    message = DeliverSm(source_addr=SENDER, destination_addr="42", short_message=TEXT)
    said = (
        (50_000, encode(Pdu(CommandId.bind_transceiver, 0, 1, bind))),
        (50_000, encode(Pdu(CommandId.deliver_sm, 0, 2, message))),
        (50_001, b"GET / HTTP/1.1\r\n\r\n"),
    )
    data = files.file_header()
    sequences = {50_000: 1, 50_001: 1}
    for port in sequences:
        begin = packets.frame(("192.0.2.1", port), ("192.0.2.2", 2_775), 0, 0, packets.SYN)
        data += files.packet(1_760_000_000_000_000, begin)
    for port, octets in said:
        segment = packets.frame(
            ("192.0.2.1", port), ("192.0.2.2", 2_775), sequences[port], 1, packets.ACK, octets
        )
        sequences[port] += len(octets)
        data += files.packet(1_760_000_000_000_001, segment)
    return data


@pytest.fixture(params=["file", "standard input"])
def give_capture(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    def given(data: bytes) -> str:
        if request.param == "file":
            (tmp_path / "some.pcap").write_bytes(data)
            return str(tmp_path / "some.pcap")
        give(monkeypatch, data)
        return "-"

    return given


def test_a_capture_is_explained_masked(run: Any, give_capture: Any, capture: bytes) -> None:
    status, lines = run(give_capture(capture))

    text = "\n".join(lines)
    assert status == 0
    assert lines[0] == "bind_transceiver, 33 octets (connection 1)"
    assert lines[1] == "  2025-10-09 08:53:20.000001Z  192.0.2.1:50000 → 192.0.2.2:2775"
    assert "deliver_sm" in text
    assert "  text      [15 characters]" in lines
    for secret in (SENDER, TEXT.decode(), TEXT.hex(" "), PASSWORD, "GET /"):
        assert secret not in text


def test_a_capture_in_full_but_for_passwords(run: Any, give_capture: Any, capture: bytes) -> None:
    status, lines = run("--unmask", give_capture(capture))

    text = "\n".join(lines)
    assert status == 0
    assert TEXT.decode() in text
    assert SENDER in text
    assert PASSWORD not in text


def test_a_capture_for_programs(run: Any, give_capture: Any, capture: bytes) -> None:
    _, pdus = run("--json", give_capture(capture))

    assert [pdu["command"] for pdu in pdus] == ["bind_transceiver", "deliver_sm"]
    assert (
        pdus[1]
        | {
            "time": "2025-10-09T08:53:20.000001Z",
            "source": "192.0.2.1:50000",
            "target": "192.0.2.2:2775",
            "stream": 1,
            "octets_missing_before": 0,
            "text": "[15 characters]",
        }
        == pdus[1]
    )
    assert SENDER not in json.dumps(pdus)


def test_a_port_is_shown_whatever_it_speaks(run: Any, give_capture: Any, capture: bytes) -> None:
    status, pdus = run("--json", "--port", "50001", give_capture(capture))

    assert status == 1
    assert [pdu["error"]["consequence"] for pdu in pdus] == ["close"]


def test_what_a_capture_held_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, capture: bytes
) -> None:
    file = tmp_path / "some.pcap"
    file.write_bytes(capture)
    cli.run(["decode", str(file)])
    assert capsys.readouterr().err == "5 packets, 2 TCP streams, 1 with SMPP.\n"

    file.write_bytes(capture[:-1])
    assert cli.run(["decode", str(file)]) == 1
    assert "not read to its end: it ends within a packet" in capsys.readouterr().err

    file.write_bytes(capture[:24])
    assert cli.run(["decode", str(file)]) == 1
    assert capsys.readouterr().err == "0 packets, 0 TCP streams, 0 with SMPP.\n"
