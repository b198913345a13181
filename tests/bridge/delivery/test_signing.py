"""Signatures that the public library verifies, and headers nobody can smuggle anything into."""

import base64
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.delivery.signing import (
    Letterhead,
    Signer,
    header_problem,
    make_secret,
    parse_secret,
)
from bridge.model import Endpoint

NEW = make_secret(bytes(range(32)))
OLD = make_secret(b"o" * 24)
BODY = '{"content":"grüße €"}'.encode()


def endpoint(**changes: object) -> Endpoint:
    options: dict[str, object] = {
        "name": "crm",
        "url": "https://receiver.example/hook",
        "secrets": (NEW, OLD),
        **changes,
    }
    return Endpoint(**options)  # type: ignore[arg-type]  # options by name


def written(letterhead: Letterhead, body: bytes = BODY, attempt: int = 1) -> dict[str, str]:
    lines = letterhead.write(
        "evt_01J8", body, timestamp=int(time.time()), attempt=attempt, span=0xABC
    ).decode("ascii")
    assert lines.endswith("\r\n")
    pairs = [line.split(": ", 1) for line in lines[:-2].split("\r\n")]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_the_public_library_verifies_with_either_live_secret(secret: str) -> None:
    headers = written(Letterhead(endpoint(), "1.2.3"))

    Webhook(secret).verify(BODY, headers)


def test_it_refuses_another_body_or_secret() -> None:
    headers = written(Letterhead(endpoint(), "1.2.3"))

    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret(b"x" * 32)).verify(BODY, headers)


def test_every_live_secret_signs_newest_first() -> None:
    both = Signer((NEW, OLD)).sign(b"evt_1", b"17", BODY)

    assert both == b" ".join(Signer((secret,)).sign(b"evt_1", b"17", BODY) for secret in (NEW, OLD))
    assert both.startswith(b"v1,")


@settings(deadline=None)  # a busy machine is not a bug
@given(st.binary(max_size=300), st.binary(min_size=24, max_size=64))
def test_any_body_verifies_under_any_secret(body: bytes, entropy: bytes) -> None:
    secret = make_secret(entropy)
    letterhead = Letterhead(endpoint(secrets=(secret,)), "1")
    now = int(time.time())
    lines = letterhead.write("evt_1", body, timestamp=now, attempt=1, span=1)
    signature = re.search(rb"webhook-signature: (.*)\r\n", lines)
    assert signature

    signed = b"evt_1.%d." % now + body
    expected = Signer((secret,)).sign(b"evt_1", b"%d" % now, body)
    assert signature[1] == expected
    if body.isascii():  # the library's own signing takes text
        from datetime import UTC, datetime

        theirs = Webhook(secret).sign("evt_1", datetime.fromtimestamp(now, UTC), body.decode())
        assert theirs.encode() == expected
    assert signed


def test_headers_are_those_of_the_contract() -> None:
    headers = written(Letterhead(endpoint(headers={"X-Team": "billing"}), "1.2.3"), attempt=3)

    assert headers["webhook-id"] == "evt_01J8"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["webhook-attempt"] == "3"
    assert headers["webhook-endpoint-id"] == "crm"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "smsbridge/1.2.3"
    assert headers["x-team"] == "billing"
    assert re.fullmatch(r"00-[0-9a-f]{32}-0000000000000abd-01", headers["traceparent"])


def test_attempts_of_one_event_share_a_trace() -> None:
    letterhead = Letterhead(endpoint(), "1")
    first, second = (written(letterhead, attempt=attempt) for attempt in (1, 2))

    assert first["traceparent"].split("-")[1] == second["traceparent"].split("-")[1]


def test_own_agent_and_trace_replace_ours() -> None:
    own = {"User-Agent": "acme/1", "Traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}
    headers = written(Letterhead(endpoint(headers=own), "1"))

    assert headers["user-agent"] == "acme/1"
    assert headers["traceparent"] == own["Traceparent"]


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-type", "Content-Length", "Connection", "Transfer-Encoding", "TE",
        "upgrade", "Trailer", "Expect", "proxy-authorization", "Webhook-Id", "webhook-anything",
        "", "a b", "a:b", "a\r\nb", "é", "a\0",
    ],
)  # fmt: skip
def test_headers_of_the_gateways_own_and_malformed_names_are_refused(name: str) -> None:
    assert header_problem(name, "value")
    with pytest.raises(ValueError) as caught:
        Letterhead(endpoint(headers={name: "v4lue"}), "1")
    assert "v4lue" not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\0b", "é", " a", "a ", "a" * 5_000, "\t"])
def test_values_that_could_end_a_line_are_refused(value: str) -> None:
    assert header_problem("x-name", value)


def test_ordinary_headers_are_fine() -> None:
    assert header_problem("Authorization", "Bearer abc.def~+/=") is None
    assert header_problem("x-empty", "") is None


def test_at_most_twenty_headers_and_each_once() -> None:
    Letterhead(endpoint(headers={f"x-{n}": "1" for n in range(20)}), "1")
    with pytest.raises(ValueError, match="at most 20"):
        Letterhead(endpoint(headers={f"x-{n}": "1" for n in range(21)}), "1")
    with pytest.raises(ValueError, match="twice"):
        Letterhead(endpoint(headers={"X-A": "1", "x-a": "2"}), "1")


@settings(deadline=None)  # a busy machine is not a bug
@given(st.text())
def test_nothing_in_an_id_or_name_ends_a_line(text: str) -> None:
    letterhead = Letterhead(endpoint(name=text), "1")
    lines = letterhead.write("evt_1", b"", timestamp=1, attempt=1, span=1)
    names = [line.split(b":")[0] for line in lines.split(b"\r\n")[:-1]]
    assert len(names) == len(set(names)) == 8
    assert b"\n" not in lines.replace(b"\r\n", b"")
    try:
        lines = letterhead.write(text, b"", timestamp=1, attempt=1, span=1)
    except ValueError:
        return
    assert lines.count(b"\n") == 8


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_can_be_made_and_read_back(size: int) -> None:
    secret = make_secret(b"s" * size)

    assert secret.startswith("whsec_")
    assert parse_secret(secret) == b"s" * size


@pytest.mark.parametrize(
    "secret",
    [
        "", "whsec_", "s3cret", "whsec_not base64!", "whsk_" + base64.b64encode(b"s" * 32).decode(),
        "whsec_" + base64.b64encode(b"s" * 23).decode(),
        "whsec_" + base64.b64encode(b"s" * 65).decode(),
    ],
)  # fmt: skip
def test_malformed_secrets_are_refused_and_never_repeated(secret: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_secret(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(
        caught.value
    )


def test_nothing_shows_a_secret() -> None:
    assert NEW not in repr(Signer((NEW,)))
    assert NEW[6:] not in repr(Letterhead(endpoint(), "1"))
