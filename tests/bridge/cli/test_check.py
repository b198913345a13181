import json
import re
import tomllib
from pathlib import Path

import pytest

from bridge import cli
from tests.fix_tls import Certificates

GOOD = """
[carrier]
processes = 2
[delivery]
allow_http = true
allow_networks = ["127.0.0.1/32"]
[[accounts]]
name = "one"
system_id = "carrier-one"
password = "secret-1"
[[accounts]]
name = "two"
system_id = "carrier-two"
password = "secret-2"
enabled = false
[[numbers]]
number = "+447700900999"
routes = ["all"]
[[numbers]]
number = "12345"
[[routes]]
name = "all"
endpoints = ["customer"]
routing_tag = "billing"
[[routes]]
name = "idle"
endpoints = ["customer"]
[[endpoints]]
name = "customer"
url = "http://127.0.0.1:9000/sms"
secrets = ["whsec_c3Rvcmllcy1zdG9yaWVzLXN0b3JpZXMtc3Rvcmllcw=="]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "smsbridge.toml"
    made.write_text(GOOD)
    return made


def test_r25_files_of_tls_are_read_as_a_start_would(
    file: Path, capsys: pytest.CaptureFixture[str], certificates: Certificates
) -> None:
    options = certificates.options(mutual=True)
    file.write_text(
        GOOD
        + f"""
[[listeners]]
port = 3550
[listeners.tls]
certificate = "{options.certificate}"
key = "{options.key}"
client_ca = "{options.client_ca}"
"""
    )
    assert cli.run(["check", "--config", str(file)]) == 0
    assert "0.0.0.0:3550 (TLS, with client certificates)" in capsys.readouterr().out

    file.write_text(file.read_text().replace(options.key, "/gone.key"))
    assert cli.run(["check", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}:\n  listeners[0].tls.key: can't read /gone.key: No such file" in said


def test_no_token_in_a_url_is_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD.replace("9000/sms", "9000/sms?key=hunter22"))
    for words in ([], ["--json"]):
        assert cli.run(["check", "--config", str(file), *words]) == 0
        said = capsys.readouterr().out
        assert "http://127.0.0.1:9000/sms?…" in said
        assert "hunter22" not in said


def test_what_it_would_do(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--config", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"{file} is fine." in said
    assert "carriers    0.0.0.0:2775, shared by 2 processes" in said
    assert "one  binds as carrier-one, carrier one\n" in said
    assert "(disabled)" in said
    assert (
        "  +447700900999\n    all  (tag billing)\n      customer  http://127.0.0.1:9000/sms" in said
    )
    assert "12345  no route: unrouted" in said
    assert "used by no number: route idle" in said


def test_the_plan_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--config", str(file), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["listeners"] == ["0.0.0.0:2775"]
    assert plan["numbers"][0]["routes"][0]["endpoints"] == ["customer"]


def test_no_secret_is_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--json"]):
        cli.run(["check", "--config", str(file), *words])
        said = capsys.readouterr().out
        assert "whsec_" not in said
        assert "secret-" not in said


def test_every_error_with_its_path(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = GOOD.replace('endpoints = ["customer"]', 'endpoints = ["nobody"]')
    file.write_text(bad.replace("processes = 2", "proceses = 2"))
    assert cli.run(["check", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert "carrier.proceses" in said
    assert "routes[0].endpoints" in said
    assert "Traceback" not in said


def test_malformed_toml(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("[store\npath =")
    assert cli.run(["check", "--config", str(file)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_not_text(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"\xff\xfe")
    assert cli.run(["check", "--config", str(file)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_the_file_by_variable_and_by_place(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMSBRIDGE_CONFIG", raising=False)
    monkeypatch.chdir(file.parent)
    assert cli.run(["check"]) == 0
    assert "smsbridge.toml is fine" in capsys.readouterr().out
    monkeypatch.setenv("SMSBRIDGE_CONFIG", str(file.parent / "other.toml"))
    assert cli.run(["check"]) == 2
    assert "no such file (named by $SMSBRIDGE_CONFIG)" in capsys.readouterr().err


def test_no_file_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMSBRIDGE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["check"]) == 2
    said = capsys.readouterr().err
    assert "looked for --config, $SMSBRIDGE_CONFIG, smsbridge.toml" in said


def test_every_option_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--full"]) == 0
    said = capsys.readouterr().out
    assert "shutdown_timeout = 30" in said
    tomllib.loads(said)


EXAMPLES = sorted((Path(__file__).parents[3] / "conf" / "accounts").glob("*.toml"))


@pytest.fixture
def example(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
) -> Path:
    """One of the carriers we ship, with the secrets and files it speaks of."""
    text = request.param.read_text(encoding="utf-8")
    for variable in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(variable, "s3cret-s3cret")
    (tmp_path / "password").write_text("s3cret-s3cret\n")
    for name, path in (
        ("national.password", str(tmp_path / "password")),
        ("carriers.pem", certificates.ca),
    ):
        text = text.replace(f"/etc/smsbridge/{name}", path)
    ours = f'certificate = "{certificates.server}.pem"\nkey = "{certificates.server}.key"'
    text = text.replace('certificate = "/etc/smsbridge/tls.pem"', ours)
    made: Path = tmp_path / request.param.name
    made.write_text(text)
    return made


@pytest.mark.parametrize("example", EXAMPLES, indirect=True, ids=lambda path: path.stem)
def test_the_carriers_we_ship_are_fine(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--config", str(example)]) == 0

    said = capsys.readouterr().out
    assert f"{example} is fine." in said
    assert "s3cret" not in said


@pytest.mark.parametrize("example", EXAMPLES, indirect=True, ids=lambda path: path.stem)
def test_how_their_links_come_about_is_said(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["check", "--config", str(example)])

    expected = {
        "latin1": "    we dial smpp-a.example.com:2775, then smpp-b.example.com:2775 as latin1:"
        " 2 links as transceiver",
        "national": "  national  binds as national, carrier national",
        "two-sites": "    only from 192.0.2.0/25, 2001:db8:1::/48, with its certificate",
    }
    assert expected[example.stem] in capsys.readouterr().out.splitlines()


def test_they_show_what_sets_carriers_apart() -> None:
    shown = {
        option
        for path in EXAMPLES
        for account in tomllib.loads(path.read_text(encoding="utf-8"))["accounts"]
        for option in account
    }

    assert shown >= {
        "allow_from", "certificates", "require_tls", "dial", "charsets", "packed",
        "default_country", "strip_trailing_nul", "time_zone", "sent_at_tlv", "message_id_tlv",
        "repeats_by_id", "receipt_by_text", "receipt_ids", "unreadable", "rate", "burst",
        "max_links", "window", "carrier", "binds",
    }  # fmt: skip


def test_r25_files_of_carriers_we_dial_are_read_as_a_connection_would(
    file: Path, capsys: pytest.CaptureFixture[str], certificates: Certificates
) -> None:
    file.write_text(
        GOOD + '[[accounts]]\nname = "north"\nsystem_id = "north"\n[accounts.dial]\n'
        f'hosts = ["smpp.example.com"]\npassword = "x"\ntls = true\ntls_ca = "{certificates.ca}"\n'
    )
    assert cli.run(["check", "--config", str(file)]) == 0
    capsys.readouterr()

    file.write_text(file.read_text().replace(certificates.ca, "/gone.pem"))
    assert cli.run(["check", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert "accounts[2].dial: can't use tls_ca /gone.pem: No such file or directory" in said


def test_who_may_bind_as_what_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        GOOD + '[[accounts]]\nname = "both"\nsystem_id = "both"\npassword = "x"\n'
        'binds = ["receiver", "transceiver"]\nallow_from = ["192.0.2.1/32"]\n'
    )
    assert cli.run(["check", "--config", str(file)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "    only as receiver or transceiver, from 192.0.2.1/32" in lines


def test_what_we_bind_back_is_said(
    file: Path, capsys: pytest.CaptureFixture[str], certificates: Certificates
) -> None:
    file.write_text(
        GOOD + f'[[listeners]]\n[listeners.tls]\ncertificate = "{certificates.server}.pem"\n'
        f'key = "{certificates.server}.key"\n'
        '[[accounts]]\nname = "back"\nsystem_id = "back"\npassword = "x"\noutbind = true\n'
        'require_tls = true\n[accounts.dial]\npassword = "y"\nbinds = ["receiver"]\n'
    )
    assert cli.run(["check", "--config", str(file)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "  back  binds as back, carrier back" in lines
    assert "    only over TLS" in lines
    assert "    we bind back as receiver where it sends an outbind" in lines
