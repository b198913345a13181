import io
import json
import sys

import pytest

from bridge.cli.options import cell, show_list, show_table, when


def test_times_for_programs_and_people() -> None:
    assert when(1_763_719_200_123, as_json=True) == "2025-11-21T10:00:00.123Z"
    assert when(None, as_json=True) is None
    assert len(when(1_763_719_200_123, as_json=False) or "") == len("2025-11-21 10:00:00")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (True, "yes"), (2.50, "2.5"), ("a\x1b[31m\n", "a·[31m·"), ("😀", "😀"), (0, "0")],
)
def test_cells(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_list_as_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(({"id": n, "x": "ü"} for n in (1, 2)), ("id",), as_json=True, empty="none")
    said = capsys.readouterr()
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == [1, 2]
    assert said.err == ""


def test_an_empty_list_says_so_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    show_list([], ("id",), as_json=True, empty="Nothing yet.")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "Nothing yet.\n"


class Terminal(io.StringIO):
    """One that a person watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_too_narrow_gets_a_block_a_row_and_whole_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")  # 80 wide, no colours
    row = {
        "id": "msg_" + "0" * 26,
        "received_at": "2026-11-21 10:15:30",
        "carrier": "c" * 20,
        "text": "word " * 20,
    }
    show_table([row, row], tuple(row))
    lines = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert lines[0].split() == ["id", row["id"]]
    assert lines[1].split(None, 2) == ["received", "at", row["received_at"]]
    assert all(len(line) <= 80 for line in lines)
    assert [line for line in lines if row["id"] in line] == [lines[0]] * 2
    assert lines.count("") == 2


def test_only_the_last_column_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")  # 80 wide, no colours
    show_table([{"id": "msg_" + "0" * 26, "text": "word " * 20}], ("id", "text"))
    head, first, *more = screen.getvalue().splitlines()
    assert head.split() == ["id", "text"]
    assert first.startswith("msg_" + "0" * 26 + "  word")
    assert more
    assert all(line.startswith(" " * 30) for line in more)


def test_a_table_in_a_pipe_keeps_each_row_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    show_table([{"received_at": "x" * 1500, "text": "[red]y[/red]"}], ("received_at", "text"))
    head, row = pipe.getvalue().splitlines()
    assert head.split() == ["received", "at", "text"]
    assert row.split() == ["x" * 1500, "[red]y[/red]"]
