import pytest

from smsc.config import Account, Dial, host_and_port


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("smsc.example.com", "smsc.example.com", 2775),
        ("smsc.example.com:1", "smsc.example.com", 1),
        ("smsc.example.com.:1", "smsc.example.com.", 1),
        ("192.0.2.1:65535", "192.0.2.1", 65_535),
        ("[2001:db8::1]", "2001:db8::1", 2775),
        ("[2001:db8::1]:2776", "2001:db8::1", 2776),
    ],
)
def test_hosts_come_with_a_port_or_without(host: str, name: str, port: int) -> None:
    assert host_and_port(host) == (name, port)


@pytest.mark.parametrize(
    "host",
    [
        "", ":", ":2775", "a:", "a:0", "a:65536", "a:-1", "a:x", "a:²", "a b", "smpp://a", "u@a",
        "2001:db8::1", "[2001:db8::1", "[2001:db8::1]x", "[]", "[]:1", "[2001:db8::1]:",
        "a..b", ".a", "a..", ".", "x" * 64,
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        host_and_port(host)


def test_no_repr_shows_a_password() -> None:
    dial = Dial(hosts=("smsc.example.com",), password="hunter2")
    account = Account(name="acme", system_id="acme", password_hash="$argon2id$x", dial=dial)

    assert "smsc.example.com" in repr(dial)
    assert "hunter2" not in repr(dial)
    assert "argon2id" not in repr(account)
