"""Logs and metrics: how they are set up, and what must not be in them.

Logs are structlog events, one a unit of work, to standard error: JSON lines, or coloured columns
where a person reads along. What comes through the standard library's logging (Hypercorn) takes
the same way. Numbers are masked unless ``logging.unmask`` says otherwise; texts and secrets
are left out always.

Metrics live in one registry a process. :meth:`Metrics.figures` flattens it for the store, and
:func:`add_up` makes one page again of the figures of many processes.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, BinaryIO, Literal

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

import smsc
from smsc.message import VerdictKind

LogFormat = Literal["auto", "json", "console"]

TEXT_FIELDS = frozenset({"text", "content", "body", "short_message", "payload", "raw", "octets"})
"""Log fields that hold what somebody wrote."""
NUMBER_FIELDS = frozenset({"source", "destination", "number", "sender", "recipient"})
"""Log fields that hold an address."""
SECRET_FIELDS = frozenset({"password", "secret", "secrets", "token", "authorization"})
"""Log fields that are never shown, whatever the settings."""

_NUMBER = re.compile(r"\+\d{6,15}")


def mask_number(number: str) -> str:
    """Return a number with its middle left out: ``+4477…123``. Short ones show less."""
    size = len(number)
    head, tail = min(5, size * 2 // 5), min(3, size // 4)
    return f"{number[:head]}…{number[size - tail :]}"


def mask_text(text: str) -> str:
    """Return how much text there is, and nothing of what it says."""
    return f"[{len(text)} character{'' if len(text) == 1 else 's'}]"


def mask_in_prose(prose: str) -> str:
    """Return a sentence with every E.164 number in it masked."""
    return _NUMBER.sub(lambda found: mask_number(found[0]), prose) if "+" in prose else prose


def _masking(*, numbers: bool) -> structlog.typing.Processor:
    """Return the step that leaves secrets and texts out, and masks ``numbers`` too."""

    def mask(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        for field, value in event.items():
            if field in SECRET_FIELDS:
                event[field] = "[secret]"
            elif field in TEXT_FIELDS:
                event[field] = mask_text(value) if isinstance(value, str) else "[masked]"
            elif not numbers:
                continue
            elif isinstance(value, str):
                masked = field in NUMBER_FIELDS
                event[field] = mask_number(value) if masked else mask_in_prose(value)
            elif isinstance(value, list | tuple):
                event[field] = [mask_in_prose(v) if isinstance(v, str) else v for v in value]
        return event

    return mask


class _Sink:
    """Standard error, one write a line. A reader that went away must not stop a gateway."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write_line(self, line: str | bytes) -> None:
        data = line if isinstance(line, bytes) else line.encode("utf-8", "backslashreplace")
        try:
            self._stream.write(data + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass

    msg = debug = info = warning = error = critical = exception = fatal = log = write_line


class _ToSink(logging.Handler):
    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write_line(self.format(record))
        except Exception:  # noqa: BLE001  # logging's own rule: a bad record stops nobody
            self.handleError(record)


def set_up_logging(
    *,
    form: LogFormat = "auto",
    level: str = "info",
    unmask: bool = False,
    stream: BinaryIO | None = None,
    **bound: str,
) -> None:
    """Send all logs to ``stream`` (standard error by default), with ``bound`` in each event.

    ``unmask`` shows numbers in full; ``auto`` is ``console`` where the stream is a terminal.
    Called once a process, before any logger is used.
    """
    stream = stream or sys.stderr.buffer
    threshold = logging.getLevelNamesMapping()[level.upper()]
    console = form == "console" or (form == "auto" and stream.isatty())
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if console else "iso", utc=not console),
        structlog.processors.format_exc_info,
        _masking(numbers=not unmask),
    ]
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24)
        if console
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    sink = _Sink(stream)
    structlog.configure(
        processors=[*steps, last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_names: sink,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)
    handler = _ToSink(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=steps,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Others' chatter is for debugging; what they warn of is for everybody.
    root.setLevel(min(threshold, logging.DEBUG) if level == "debug" else logging.WARNING)


_FIRST = ("timestamp", "level", "event")


def _json(event: Mapping[str, Any], **_options: object) -> str:
    # People read these too: what happened comes first, the rest as it was given.
    ordered = {**{name: event[name] for name in _FIRST if name in event}, **event}
    return msgspec.json.encode(ordered, enc_hook=repr).decode()


_LATENCIES = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600,
)  # fmt: skip
_WORK = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds")
"""What is added up of the figures every process has."""


class Metrics:
    """Every metric of the gateway, in a registry of its own.

    All processes declare all of them, so that any process can describe the figures of any
    other; those a role has no use for stay at zero.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotation
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge(
            "smsbridge_build_info", "Always 1; the version is a label.", ["version"],
            registry=registry,
        ).labels(smsc.__version__).set(1)  # fmt: skip
        arrivals = Counter(
            "smsbridge_arrivals", "Arrivals by what the carrier was told.", ["verdict"],
            registry=registry,
        )  # fmt: skip
        self.arrivals = {kind: arrivals.labels(kind.value) for kind in VerdictKind}
        self.commit_seconds = Histogram(
            "smsbridge_commit_seconds", "Time a batch of arrivals took to become durable.",
            registry=registry, buckets=_LATENCIES[:14],
        )  # fmt: skip
        self.intake_queue = Gauge(
            "smsbridge_intake_queue", "Arrivals waiting to become durable.", registry=registry
        )
        self.links = Gauge(
            "smsbridge_links", "Links that are bound, by account.", ["account"], registry=registry
        )
        self.connections = Gauge(
            "smsbridge_connections", "Carriers' connections, bound or not.", registry=registry
        )
        self.attempts = Counter(
            "smsbridge_attempts", "Requests to endpoints, by what they led to.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.attempt_seconds = Histogram(
            "smsbridge_attempt_seconds", "Time a whole attempt took.", registry=registry,
            buckets=_LATENCIES[1:15],
        )  # fmt: skip
        self.delivered_seconds = Histogram(
            "smsbridge_delivered_seconds", "From the carrier's PDU to the endpoint's 2xx.",
            registry=registry, buckets=_LATENCIES[1:],
        )  # fmt: skip
        self.backlog = Gauge(
            "smsbridge_backlog", "Deliveries waiting, by endpoint.", ["endpoint"],
            registry=registry,
        )  # fmt: skip
        self.lane_age = Gauge(
            "smsbridge_lane_age_seconds", "How long the oldest due delivery waits, by lane.",
            ["lane"], registry=registry,
        )  # fmt: skip
        self.lanes = Gauge(
            "smsbridge_lanes", "What the delivery processes have in hand.",
            ["what"], registry=registry,
        )  # fmt: skip
        self.ready = Gauge(
            "smsbridge_ready", "1 while a process is ready for traffic.", registry=registry
        )
        self.store_errors = Counter(
            "smsbridge_store_errors", "Store calls that failed, by error.", ["error"],
            registry=registry,
        )  # fmt: skip
        self.stored = Gauge(
            "smsbridge_stored", "What the store holds, by kind.", ["kind"], registry=registry
        )
        self.processes = Gauge(
            "smsbridge_processes", "Live processes, by role.", ["role"], registry=registry
        )

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def figures(self) -> dict[str, float]:
        """Return what can be added up over processes: sample, as the page writes it → value."""
        return {
            _key(sample.name, sample.labels): sample.value
            for family in self.registry.collect()
            if family.name not in _NOT_ADDED
            for sample in family.samples
            if sample.name.startswith("smsbridge_") or sample.name in _WORK
        }


_NOT_ADDED = (
    "smsbridge_build_info", "smsbridge_stored", "smsbridge_backlog", "smsbridge_processes",
    "smsbridge_lane_age_seconds",
)  # fmt: skip
"""What is true of the whole store, or of each process alike: adding it up would multiply it."""


def _key(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    inner = ",".join(
        '{}="{}"'.format(
            label, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        )
        for label, value in labels.items()
    )
    return f"{name}{{{inner}}}"


def add_up(own: Metrics, others: Iterable[Mapping[str, float]]) -> bytes:
    """Return one page of the sums of many processes' figures.

    ``own`` describes them, and gives what is true of the store as a whole (backlog and the
    like) from its own gauges; figures it has no description of, from another version, are left
    out.
    """
    sums: dict[str, float] = {}
    for figures in others:
        for key, value in figures.items():
            sums[key] = sums.get(key, 0.0) + value
    by_sample: dict[str, list[str]] = {}
    for key, value in sums.items():
        by_sample.setdefault(key.partition("{")[0], []).append(f"{key} {value!r}")
    lines: list[str] = []
    for family in own.registry.collect():
        if family.name in _NOT_ADDED:
            rows = [f"{_key(s.name, s.labels)} {s.value!r}" for s in family.samples]
        else:
            rows = [row for name in _samples(family.name) for row in by_sample.get(name, ())]
        if rows:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            lines += [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"]
            lines += rows
    return ("\n".join(lines) + "\n").encode()


def _samples(family: str) -> Sequence[str]:
    return (family, f"{family}_total", f"{family}_bucket", f"{family}_count", f"{family}_sum")
