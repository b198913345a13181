"""What is known of a link, and told."""

import structlog
from msgspec.structs import replace

from smsc.config import Account, Dial, Listener
from smsc.inbox import BindRequest, BindVerdict
from smsc.link.facts import (
    Facts,
    log_end,
    log_framing_lost,
    log_refused_bind,
    log_refused_by_peer,
)
from smsc.link.session import Session
from smsc.status import LinkStatus

ACME = Account(name="acme", system_id="acme", carrier="example", dial=Dial())


class Clock:
    now = 1_000

    def __call__(self) -> int:
        return self.now


def known(clock: Clock) -> Facts:
    return Facts("lnk_1", "192.0.2.1:40000", "192.0.2.9:2775", "TLSv1.3", clock)


def status() -> LinkStatus:
    return known(Clock()).status(Session(Listener(), 0.0))


def test_a_link_that_is_new_has_an_address_and_no_more() -> None:
    clock = Clock()
    facts = known(clock)
    clock.now = 1_500

    found = facts.status(Session(Listener(), 0.0))

    assert (found.link, found.peer, found.tls) == ("lnk_1", "192.0.2.1:40000", "TLSv1.3")
    assert (found.opened_at, found.alive_at, found.at) == (1_000, 1_000, 1_500)
    assert (found.account, found.carrier, found.state, found.bound_at) == ("", "", "open", None)


def test_a_link_that_is_to_be_somebodys_is_shown_as_theirs() -> None:
    found = known(Clock()).status(Session(Listener(), 0.0, dialled=True), ACME, recording=True)

    assert (found.account, found.carrier, found.direction) == ("acme", "example", "dialled")
    assert found.recording


def test_the_reason_is_shown_at_the_end_only() -> None:
    session = Session(Listener(), 0.0, dialled=True)
    session.bind(ACME, "receiver", 0.0)
    facts = known(Clock())
    assert facts.status(session).reason == ""

    session.stop("write-timeout")

    assert facts.status(session).reason == "write-timeout"


def test_the_end_is_one_event_and_that_of_a_health_check_no_news() -> None:
    session = Session(Listener(), 0.0)
    session.stop("closed-by-peer")
    clock = Clock()
    facts = known(clock)
    clock.now = 3_500
    with structlog.testing.capture_logs() as events:
        log_end(facts.status(session), session)
        facts.octets_in = 16
        log_end(facts.status(session), session)

    quiet, event = events
    assert (quiet["log_level"], event["log_level"]) == ("debug", "info")
    assert (event["event"], event["reason"]) == ("session.closed", "closed-by-peer")
    assert (event["seconds"], event["bound"], event["octets_in"]) == (2.5, False, 16)


def test_refusals_are_told_without_passwords() -> None:
    request = BindRequest(
        link="lnk_1", peer="192.0.2.1:1", kind="receiver", system_id="acme", password="hidden"
    )
    with structlog.testing.capture_logs() as events:
        log_refused_bind(request, BindVerdict(refusal="wrong-password", detail="it is not"))
        log_refused_by_peer(status(), "ESME_RINVPASWD")

    assert [event["event"] for event in events] == ["bind.refused", "bind.refused_by_peer"]
    assert [event["refusal"] for event in events] == ["wrong-password", "ESME_RINVPASWD"]
    assert "hidden" not in str(events)


def test_what_a_stranger_speaks_is_guessed() -> None:
    prefix = b"GET / HTTP/1.1\r\n"
    with structlog.testing.capture_logs() as events:
        log_framing_lost(status(), "too long", prefix)
        log_framing_lost(replace(status(), account="acme"), "too long", prefix)

    assert [event["looks_like"] for event in events] == ["HTTP", ""]
    assert events[0]["prefix"] == prefix.hex()
