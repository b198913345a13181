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


def test_a_table_in_a_pipe_keeps_each_row_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    show_table([{"received_at": "x" * 150, "text": "[red]y[/red]"}], ("received_at", "text"))
    head, row = pipe.getvalue().splitlines()
    assert head.split() == ["received", "at", "text"]
    assert row.split() == ["x" * 150, "[red]y[/red]"]
