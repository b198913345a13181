import base64
import io
import sys

import pytest

from bridge import cli, passwords


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_hash_of_a_password_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, "secret-1\n")
    assert cli.run(["keys", "hash-password"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("$argon2id$")
    assert said.err == ""
    assert passwords.verify(said.out.strip(), "secret-1")


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("\n", "empty"), ("pä\n", "ASCII"), ("x" * 65, "64")]
)
def test_a_password_that_can_not_be_one(
    text: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, text)
    assert cli.run(["keys", "hash-password"]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_a_long_password_is_remarked_upon(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, "a-long-password")
    assert cli.run(["keys", "hash-password"]) == 0
    said = capsys.readouterr()
    assert "8 characters" in said.err
    assert "a-long" not in said.err + said.out


def test_a_password_is_never_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["keys", "hash-password", "secret-1"]) == 2
    assert "Usage" in capsys.readouterr().err


def test_an_endpoint_secret_is_new_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["keys", "endpoint-secret"]) == 0
    assert cli.run(["keys", "endpoint-secret"]) == 0
    one, two = capsys.readouterr().out.split()
    assert one != two
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32
