"""The contract's table of responses, walked."""

from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.classify import LIKELY_PERMANENT, classify, parse_retry_after
from bridge.delivery.exchange import Facts
from bridge.model import Outcome

NOW = 1_795_256_130_000


def facts(status: int | None, **more: str | None) -> Facts:
    return Facts(1.0, status, more.pop("error", None), **more)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    judgement = classify(facts(status), now=NOW)

    assert judgement.outcome is Outcome.DELIVERED
    assert judgement.healthy is True
    assert not judgement.disable


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_every_redirect_is_a_failure_that_says_so(status: int) -> None:
    judgement = classify(facts(status), now=NOW)

    assert judgement.outcome is Outcome.RETRY
    assert "redirect" in judgement.reason


@pytest.mark.parametrize(
    "status", [*sorted(LIKELY_PERMANENT), 402, 406, 408, 409, 418, 425, 429, 451, 500, 502, 503,
               504, 507, 599, 600, 999],
)  # fmt: skip
def test_every_other_status_is_retried(status: int) -> None:
    judgement = classify(facts(status), now=NOW)

    assert judgement.outcome is Outcome.RETRY
    assert judgement.healthy is False
    assert judgement.likely_permanent == (status in {400, 401, 403, 404, 405, 413, 415, 422})
    assert str(status) in judgement.reason


@pytest.mark.parametrize(
    "error", ["dns", "egress", "connect", "tls", "timeout", "protocol", "reset", "internal"]
)
def test_every_error_is_retried(error: str) -> None:
    judgement = classify(facts(None, error=error, detail="in words"), now=NOW)

    assert judgement.outcome is Outcome.RETRY
    assert judgement.reason == f"{error}: in words"
    assert judgement.healthy is False


def test_410_is_gone() -> None:
    judgement = classify(facts(410), now=NOW)

    assert judgement.outcome is Outcome.GONE
    assert judgement.disable
    assert judgement.reason == "gone"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_postpones_and_counts_against_nobody(status: int) -> None:
    judgement = classify(facts(status, retry_after="120"), now=NOW)

    assert judgement.outcome is Outcome.POSTPONE
    assert judgement.delay == 120
    assert judgement.healthy is None


@pytest.mark.parametrize("status", [400, 408, 500, 502, 504, 301])
def test_elsewhere_retry_after_means_nothing(status: int) -> None:
    assert classify(facts(status, retry_after="120"), now=NOW).outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("value", "delay"), [("0", 1), ("999999", 3_600), ("9" * 400, 3_600), ("1", 1), ("59", 59)]
)
def test_retry_after_is_at_least_a_second_and_capped(value: str, delay: float) -> None:
    assert classify(facts(503, retry_after=value), now=NOW).delay == delay


def test_an_endpoint_may_raise_the_cap() -> None:
    judgement = classify(facts(503, retry_after="86400"), now=NOW, max_retry_after=90_000)

    assert judgement.delay == 86_400


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "1.5", "٣", "1e3", "Mon, 99 Foo 2026 0:0:0 GMT"]
)
def test_a_malformed_retry_after_is_none_at_all(value: str) -> None:
    assert parse_retry_after(value, NOW) is None
    assert classify(facts(503, retry_after=value), now=NOW).outcome is Outcome.RETRY


@pytest.mark.parametrize(
    "value",
    [
        "Sat, 21 Nov 2026 10:16:30 GMT",
        "Saturday, 21-Nov-26 10:16:30 GMT",
        "Sat Nov 21 10:16:30 2026",
    ],
)
def test_all_three_forms_of_an_http_date_are_read(value: str) -> None:
    at = 1_795_256_130_000  # 10:15:30

    assert parse_retry_after(value, at) == 60
    assert parse_retry_after(value, at + 120_000) == 0


@settings(deadline=None)  # a busy machine is not a bug
@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000_000))
def test_dates_are_never_in_the_past(date: int, now: int) -> None:
    delay = parse_retry_after(formatdate(date, usegmt=True), now)

    assert delay == max(0, date - now / 1000)


@settings(deadline=None)  # a busy machine is not a bug
@given(st.text())
def test_any_retry_after_is_a_delay_or_nothing(value: str) -> None:
    delay = parse_retry_after(value, NOW)

    assert delay is None or delay >= 0


def test_the_header_names_what_is_to_be_done() -> None:
    abort = classify(facts(400, directive=" Abort-Message"), now=NOW)
    disable = classify(facts(500, directive="disable"), now=NOW)
    both = classify(facts(200, directive="disable"), now=NOW)
    ignored = classify(facts(200, directive="abort-message"), now=NOW)
    unknown = classify(facts(500, directive="dance"), now=NOW)

    assert abort.outcome is Outcome.DEAD
    assert (disable.outcome, disable.disable) == (Outcome.GONE, True)
    assert (both.outcome, both.disable) == (Outcome.DELIVERED, True)
    assert (ignored.outcome, ignored.disable) == (Outcome.DELIVERED, False)
    assert unknown.outcome is Outcome.RETRY


def test_an_endpoints_permanent_statuses_make_dead_letters() -> None:
    judgement = classify(facts(422), now=NOW, permanent_status_codes=(422,))

    assert judgement.outcome is Outcome.DEAD
    assert judgement.likely_permanent
    assert judgement.healthy is False
