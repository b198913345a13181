import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from bridge.telemetry import Metrics, add_up, mask_in_prose, mask_number, set_up_logging
from smsc.message import VerdictKind


@pytest.fixture
def logs() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield io.BytesIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = kept


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("number", "masked"),
    [("+447700900123", "+4477…123"), ("12345", "12…5"), ("7", "…"), ("", "…"), ("ACME", "A…E")],
)
def test_masking_a_number(number: str, masked: str) -> None:
    assert mask_number(number) == masked


@given(st.text(max_size=20))
def test_masking_always_hides_a_third(number: str) -> None:
    shown = len(mask_number(number)) - 1
    assert shown <= len(number) * 2 / 3


def test_numbers_in_sentences_are_masked() -> None:
    assert mask_in_prose("no route for +447700900123.") == "no route for +4477…123."
    assert mask_in_prose("at 10:00+01:00") == "at 10:00+01:00"


def test_an_event_is_one_json_line_with_what_is_bound(logs: io.BytesIO) -> None:
    set_up_logging(form="json", stream=logs, process="prc_1", role="carrier")
    structlog.get_logger().info("link.bound", account="one", places=(1, 2), at=object)
    (event,) = lines(logs)
    assert event["event"] == "link.bound"
    assert event["level"] == "info"
    assert event["role"] == "carrier"
    assert event["process"] == "prc_1"
    assert event["timestamp"].endswith("Z")
    assert list(event)[:3] == ["timestamp", "level", "event"]


def test_numbers_texts_and_secrets_are_masked(logs: io.BytesIO) -> None:
    set_up_logging(form="json", stream=logs)
    structlog.get_logger().info(
        "x", source="+447700900123", content="I love you", secret="s", raw=b"I love you",
        detail="sent to +447700900999", added=("number +447700900999", 1),
    )  # fmt: skip
    (event,) = lines(logs)
    assert event["source"] == "+4477…123"
    assert event["content"] == "[10 characters]"
    assert event["secret"] == "[secret]"
    assert event["raw"] == "[masked]"
    assert event["detail"] == "sent to +4477…999"
    assert event["added"] == ["number +4477…999", 1]


def test_unmasked_shows_numbers_and_nothing_else(logs: io.BytesIO) -> None:
    set_up_logging(form="json", stream=logs, unmask=True)
    structlog.get_logger().info("x", source="+447700900123", content="hi", password="p")
    (event,) = lines(logs)
    assert event["source"] == "+447700900123"
    assert event["content"] == "[2 characters]"
    assert event["password"] == "[secret]"


def test_tracebacks_are_masked_too(logs: io.BytesIO) -> None:
    set_up_logging(form="json", stream=logs)
    try:
        raise ValueError("+447700900123")
    except ValueError:
        structlog.get_logger().exception("x")
    (event,) = lines(logs)
    assert "+4477…123" in event["exception"]
    assert "900123" not in logs.getvalue().decode()


def test_the_standard_library_takes_the_same_way(logs: io.BytesIO) -> None:
    set_up_logging(form="json", stream=logs)
    logging.getLogger("hypercorn.error").warning("for %s", "+447700900123")
    logging.getLogger("hypercorn.error").info("chatter")
    (event,) = lines(logs)
    assert event["event"] == "for +4477…123"
    assert event["level"] == "warning"


def test_the_level_is_kept(logs: io.BytesIO) -> None:
    set_up_logging(form="json", level="warning", stream=logs)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [event["event"] for event in lines(logs)] == ["loud"]


def test_a_console_gets_columns(logs: io.BytesIO) -> None:
    set_up_logging(form="console", stream=logs)
    structlog.get_logger().info("link.bound", account="one")
    assert "link.bound" in logs.getvalue().decode()
    assert "account=one" in logs.getvalue().decode()


def test_a_reader_that_went_away_stops_nobody() -> None:
    stream = io.BytesIO()
    set_up_logging(form="json", stream=stream)
    stream.close()
    structlog.get_logger().info("x")
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def test_figures_of_processes_add_up() -> None:
    one, two, api = Metrics(), Metrics(), Metrics()
    one.arrivals[VerdictKind.STORED].inc(3)
    two.arrivals[VerdictKind.STORED].inc(4)
    one.commit_seconds.observe(0.0015)
    two.commit_seconds.observe(10)
    two.links.labels('a"b\\c').set(2)
    api.stored.labels("messages").set(9)
    page = add_up(api, [one.figures(), two.figures(), {"from_another_version": 1.0}]).decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["smsbridge_arrivals_total", "stored"] == 7
    assert samples["smsbridge_commit_seconds_bucket", "0.002"] == 1
    assert samples["smsbridge_commit_seconds_bucket", "+Inf"] == 2
    assert samples["smsbridge_commit_seconds_count",] == 2
    assert samples["smsbridge_links", 'a"b\\c'] == 2
    assert samples["smsbridge_stored", "messages"] == 9
    assert samples["process_cpu_seconds_total",] > 0
    assert not any(key[0].startswith("from_another") for key in samples)
    assert sum(key[0] == "smsbridge_build_info" for key in samples) == 1


def test_a_page_of_one_process_is_prometheus_text() -> None:
    metrics = Metrics()
    names = {f.name for f in text_string_to_metric_families(metrics.page().decode())}
    assert {"smsbridge_arrivals", "smsbridge_delivered_seconds", "process_cpu_seconds"} <= names
