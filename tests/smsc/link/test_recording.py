"""Recordings of a link: what the files hold, what they never hold, and every bound."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from smsc.capture.dialogues import Cut, Dialogues
from smsc.config import Account
from smsc.link import recording as module
from smsc.link.recording import Recording, place
from smsc.status import LinkStatus
from smsc.wire.pdu import encode
from smsc.wire.spec import CommandId
from tests.fix_peer import bind, deliver

LINK = LinkStatus(
    link="lnk_1", account="acme", peer="192.0.2.1:40000", local="192.0.2.2:2775", state="bound",
    kind="transceiver", version=0x34, opened_at=1_760_000_000_000, alive_at=0,
)  # fmt: skip
SENDER, TEXT, PASSWORD = "447700900123", "see you at nine", "s3cret"
MESSAGE = encode(deliver(2, TEXT.encode()))
ANSWER = bytes.fromhex("0000001180000005000000000000000200")

Maker = Callable[..., Recording]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    moments = iter(range(1_760_000_000_000_000, 1_760_000_001_000_000))

    def make(*, link: LinkStatus = LINK, capture: bool = True, **options: Any) -> Recording:
        given = {"unmask": False, "most": 0, **options}
        return Recording(
            link, Account(name="acme", system_id="acme"), view=tmp_path / "one.txt",
            capture=tmp_path / "one.pcap" if capture else None, head=["head"],
            clock=lambda: next(moments), **given,
        )  # fmt: skip

    return make


def view(recording: Recording) -> str:
    return recording.view.read_text(encoding="utf-8")


def cuts(recording: Recording) -> list[Cut]:
    assert recording.capture is not None
    dialogues = Dialogues([2_775])
    found = [*dialogues.feed(recording.capture.read_bytes()), *dialogues.end()]
    assert not dialogues.fault
    return found


def write_all(recording: Recording) -> None:
    for _ in range(100):
        recording.write()
        if recording.done:
            return


def test_both_ways_are_in_both_files(make: Maker) -> None:
    recording = make()
    recording.heard(LINK, [MESSAGE, MESSAGE])
    recording.said(LINK, ANSWER + ANSWER)
    recording.ended(replace(LINK, state="closed", reason="unbound-by-peer"))
    write_all(recording)

    lines = view(recording).splitlines()
    assert lines[:4] == [
        "# head",
        "# link lnk_1 of account acme, accepted, peer 192.0.2.1:40000",
        "# transceiver, SMPP 3.4, connected since 2025-10-09 08:53:20Z",
        "# in the capture the octets are real, and the packets made up around them",
    ]
    assert [line.split(",")[0] for line in lines if line.startswith("deliver_sm")] == [
        "deliver_sm", "deliver_sm", "deliver_sm_resp", "deliver_sm_resp",
    ]  # fmt: skip
    assert lines[-1] == "# ended: the link ended: unbound-by-peer; 4 PDUs"
    assert [(cut.source[1], cut.octets) for cut in cuts(recording)] == [
        (40_000, MESSAGE), (40_000, MESSAGE), (2_775, ANSWER), (2_775, ANSWER),
    ]  # fmt: skip
    assert recording.pdus == 4


def test_the_view_is_masked_unless_asked(make: Maker) -> None:
    recording = make(capture=False)
    recording.heard(LINK, [MESSAGE])
    recording.stop("enough")
    write_all(recording)

    assert SENDER not in view(recording)
    assert TEXT not in view(recording)
    assert "[15 characters]" in view(recording)


def test_the_view_in_full_when_asked(make: Maker) -> None:
    recording = make(unmask=True)
    recording.heard(LINK, [MESSAGE])
    recording.stop("enough")
    write_all(recording)

    assert SENDER in view(recording)
    assert TEXT in view(recording)


@pytest.mark.parametrize("command", [CommandId.bind_transceiver, CommandId.bind_receiver])
def test_passwords_are_in_neither(make: Maker, command: CommandId) -> None:
    recording = make(unmask=True)
    octets = encode(bind(password=PASSWORD, command=command))
    recording.heard(LINK, [octets])
    recording.said(LINK, octets)
    recording.stop("enough")
    write_all(recording)

    assert PASSWORD not in view(recording)
    assert recording.capture is not None
    assert PASSWORD.encode() not in recording.capture.read_bytes()
    assert [len(cut.octets) for cut in cuts(recording)] == [len(octets)] * 2


def test_files_are_their_owners_alone(make: Maker) -> None:
    recording = make()
    recording.write()

    for path in (recording.view, recording.capture):
        assert path is not None
        assert path.stat().st_mode & 0o777 == 0o600
    recording.close()


def test_it_is_over_after_so_many_pdus(make: Maker) -> None:
    recording = make(most=3)
    recording.heard(LINK, [MESSAGE, MESSAGE])
    recording.said(LINK, ANSWER + ANSWER)
    recording.heard(LINK, [MESSAGE])
    recording.write()

    assert recording.done
    assert len(cuts(recording)) == 3
    assert view(recording).endswith("# ended: so many PDUs were asked for; 3 PDUs\n")
    recording.heard(LINK, [MESSAGE])
    recording.write()
    assert recording.pdus == 3


def test_a_full_file_ends_it(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE", 5_000)
    recording = make()
    recording.heard(LINK, [MESSAGE] * 100)
    recording.heard(LINK, [MESSAGE] * 100)
    recording.write()

    assert recording.done
    assert "a file has its" in recording.over
    assert recording.pdus == 100


def test_what_there_is_no_room_for_is_left_out_and_said(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 2 * len(MESSAGE))
    recording = make()
    for _ in range(4):
        recording.heard(LINK, [MESSAGE])
    recording.said(LINK, ANSWER)
    recording.write()
    recording.heard(LINK, [MESSAGE])
    recording.stop("enough")
    write_all(recording)

    lost = 2 * len(MESSAGE)
    assert f"# {lost} octets heard are left out: too much at once" in view(recording)
    assert f"{lost + len(ANSWER)} octets left out" in view(recording).splitlines()[-1]
    assert [cut.lost for cut in cuts(recording)] == [0, 0, lost]


def test_what_waits_for_a_writer_that_is_stuck_does_not_grow(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 2 * len(MESSAGE))
    recording = make()
    waiting = []
    for _ in range(100):
        recording.heard(LINK, [MESSAGE])
        recording.said(LINK, ANSWER)
        waiting.append(len(recording._queue))
    kept = sum(len(frame) for entry in recording._queue for frame in entry.frames)

    assert waiting[50] == waiting[99]
    assert kept <= module.WAITING
    assert recording.left_out == 100 * len(MESSAGE + ANSWER) - kept


def test_a_call_writes_only_so_much(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 5)
    recording = make()
    for _ in range(12):
        recording.heard(LINK, [MESSAGE])
    recording.stop("enough")

    recording.write()
    assert recording.pdus == 5
    recording.write()
    recording.write()

    assert recording.pdus == 12
    assert recording.done


def test_of_very_many_at_once_some_have_only_a_line(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXPLAINED", 2)
    recording = make()
    recording.heard(LINK, [MESSAGE] * 3)
    recording.said(LINK, ANSWER)
    recording.stop("enough")
    recording.write()

    text = view(recording)
    assert text.count("[15 characters]") == 2
    assert f"\ndeliver_sm, {len(MESSAGE)} octets, sequence_number 2\n" in text
    assert "\ndeliver_sm_resp, 17 octets, sequence_number 2 ESME_ROK\n" in text
    assert SENDER not in text
    assert len(cuts(recording)) == 4


def test_nothing_more_is_taken_once_it_is_over(make: Maker) -> None:
    recording = make()
    recording.heard(LINK, [MESSAGE])
    recording.stop("enough")
    recording.heard(LINK, [MESSAGE])
    recording.stop("too late")
    recording.write()

    assert recording.pdus == 1
    assert "# ended: enough; 1 PDUs" in view(recording)


def test_a_disk_that_fails_ends_it_without_an_error(make: Maker) -> None:
    recording = make()
    recording.view.mkdir()

    recording.heard(LINK, [MESSAGE])
    recording.write()

    assert recording.done
    assert recording.over.startswith("it can't be written: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110  # as short as can be
def test_a_full_disk_ends_it_without_an_error(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_make", lambda _: open("/dev/full", "wb"))  # noqa: PTH123, SIM115  # the recording closes it
    recording = make()

    recording.heard(LINK, [MESSAGE])
    recording.write()
    recording.close()

    assert recording.done
    assert "No space left" in recording.over


def test_a_file_that_is_there_is_not_written_over(make: Maker) -> None:
    recording = make()
    recording.view.write_text("mine")
    recording.write()

    assert recording.done
    assert view(recording) == "mine"


def test_closed_before_its_end_it_says_so(make: Maker) -> None:
    recording = make()
    recording.heard(LINK, [MESSAGE])
    recording.write()
    recording.close()
    recording.close()

    assert view(recording).endswith("# ended: the gateway ended; 1 PDUs\n")


@pytest.mark.parametrize("direction", ["accepted", "outbind", "dialled"])
def test_who_dialled_begins_the_connection(make: Maker, direction: Any) -> None:
    recording = make(link=replace(LINK, direction=direction))
    recording.heard(replace(LINK, direction=direction), [MESSAGE])
    recording.stop("enough")
    write_all(recording)

    assert [cut.source for cut in cuts(recording)] == [("192.0.2.1", 40_000)]
    assert recording.capture is not None
    first = recording.capture.read_bytes()[24 + 16 :]
    dialler = int.from_bytes(first[14 + 20 : 14 + 22], "big")
    assert dialler == (2_775 if direction == "dialled" else 40_000)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("192.0.2.1:5", ("192.0.2.1", 5)),
        ("[2001:db8::1]:5", ("2001:db8::1", 5)),
        ("[fe80::1%eth0]:5", ("fe80::1", 5)),
        ("memory:1", ("0.0.0.0", 2_775)),
        ("unknown", ("0.0.0.0", 2_775)),
        ("", ("0.0.0.0", 2_775)),
    ],
)
def test_addresses(written: str, found: Sequence[object]) -> None:
    assert place(written) == found


def test_a_peer_nobody_knows_is_recorded_all_the_same(make: Maker) -> None:
    link = replace(LINK, peer="memory:1", local="")
    recording = make(link=link)
    recording.heard(link, [MESSAGE])
    recording.stop("enough")
    write_all(recording)

    assert recording.over == "enough"
    assert recording.pdus == 1
