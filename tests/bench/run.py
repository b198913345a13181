"""What the gateway does on this machine: answers and deliveries a second, latencies, CPU, memory.

    python -m tests.bench                  saturation, then 1,000 msg/s; medians of --runs
    python -m tests.bench --smoke          one tiny iteration of both, for the gate
    python -m tests.bench --memory 1000000 a million messages; is memory flat?
    python -m tests.bench --codec          what decoding and interpreting a message cost

The gateway runs as a user would run it (``smsbridge serve``, one process a role, SQLite synced
before every answer) between a load generator and a sink of this folder, all on this machine.
An *answer* is a deliver_sm_resp with ESME_ROK; a message is *delivered* when the sink has it;
latency runs from a message's last PDU to its webhook.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

if __name__ == "__main__":  # started by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

from tests.bench import codec
from tests.bench.gateway import PASSWORD, SECRET, SYSTEM_ID, Gateway, tree

HERE = Path(__file__).resolve().parent
Figures = dict[str, Any]


class Tool:
    """The load generator or the sink: lines of JSON out, one line or the end in."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / name), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "BENCH_WEBHOOK_SECRET": SECRET},
        )

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin
        return self.process.stdin

    def say(self, line: str) -> None:
        self.stdin.write(line.encode() + b"\n")
        self.stdin.flush()

    def hear(self, *events: str, until: Callable[[Figures], bool] = lambda _: True) -> Figures:
        """The next line with one of these events for which ``until`` holds."""
        assert self.process.stdout
        for line in self.process.stdout:
            figures: Figures = json.loads(line)
            if figures["event"] in events and until(figures):
                return figures
        raise SystemExit(f"{self.name} ended early")

    def finish(self) -> None:
        self.stdin.close()
        if self.process.wait(60):
            raise SystemExit(f"{self.name} failed")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def percentiles(values: list[float]) -> Figures:
    if not values:
        return {}
    values.sort()
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: values[int(share * (len(values) - 1))] * 1000 for name, share in at.items()}
    return {name: round(ms, 2) for name, ms in (*found.items(), ("max", values[-1] * 1000))}


def cpu_and_memory(processes: dict[str, psutil.Process]) -> dict[str, tuple[float, float]]:
    """role → CPU seconds so far, resident MiB."""
    found = {}
    for role, process in processes.items():
        with process.oneshot():
            times = process.cpu_times()
            found[role] = (times.user + times.system, process.memory_info().rss / 2**20)
    return found


def idle_or_whole(want: int, patience: float) -> Callable[[Figures], bool]:
    """True once everything came, or nothing new has for a while."""
    state = {"distinct": -1, "since": time.monotonic()}

    def done(figures: Figures) -> bool:
        now = time.monotonic()
        if figures["distinct"] != state["distinct"]:
            state.update(distinct=figures["distinct"], since=now)
        return figures["distinct"] >= want or now - state["since"] > patience

    return done


def run(
    options: argparse.Namespace,
    *,
    count: int,
    rate: float,
    watch: Callable[[dict[str, psutil.Process], Figures], None] | None = None,
) -> Figures:
    """One run with a gateway of its own."""
    with tempfile.TemporaryDirectory(prefix="smsbridge-bench-", dir=options.directory) as name:
        directory = Path(name)
        came_file, sent_file = directory / "came", directory / "sent"
        sink = Tool("sink.py", "--count", count, "--out", came_file)
        load: Tool | None = None
        gateway: Gateway | None = None
        try:
            port = sink.hear("listening")["port"]
            gateway = Gateway(directory, f"http://127.0.0.1:{port}/x")
            gateway.start()
            assert gateway.process
            processes = tree(gateway.process.pid)
            load = Tool(
                "carrier.py", "--port", gateway.smpp_port, "--system-id", SYSTEM_ID,
                "--password", PASSWORD, "--count", count, "--rate", rate, "--out", sent_file,
                "--links", options.links, "--window", options.window, "--mix", options.mix,
            )  # fmt: skip
            load.hear("bound")
            before = cpu_and_memory(processes)
            load.say("go")
            if watch:
                see, over = watch, idle_or_whole(count, options.patience)

                def watched(so_far: Figures) -> bool:
                    see(processes, so_far)
                    return over(so_far)

                sink.hear("so far", until=watched)
            done = load.hear("done")
            sink.hear("so far", until=idle_or_whole(count, options.patience))
            after = cpu_and_memory(processes)
            load.finish()
            sink.stdin.close()
            arrived = sink.hear("done")
            sink.finish()
        finally:
            for tool in (load, sink):
                if tool is not None:
                    tool.kill()
            if gateway is not None:
                gateway.stop()
        came, sent, waited = array("d"), array("d"), array("d")
        with came_file.open("rb") as file:
            came.fromfile(file, count)
        with sent_file.open("rb") as file:
            sent.fromfile(file, count)
            waited.fromfile(file, done["pdus"])
    delivered = [i for i in range(count) if came[i]]
    last = max((came[i] for i in delivered), default=0.0)
    cpu = {role: round((after[role][0] - before[role][0]) / count * 1e6, 1) for role in after}
    return {
        "messages": count,
        "pdus": done["pdus"],
        "answers": done["answered"],
        "refused": done["refused"],
        "answers_per_s": round(done["answered"] / done["seconds"]) if done["seconds"] else 0,
        "delivered": len(delivered),
        "delivered_per_s": round(len(delivered) / (last - done["began"])) if delivered else 0,
        "repeated": arrived["requests"] - arrived["distinct"] - arrived["unmarked"],
        "forged": arrived["forged"],
        "http_connections": arrived["connections"],
        "answer_ms": percentiles([w for w in waited if w]),
        "latency_ms": percentiles([came[i] - sent[i] for i in delivered]),
        "cpu_us_per_message": {**cpu, "total": round(sum(cpu.values()), 1)},
        "rss_mib": {role: round(rss, 1) for role, (_, rss) in after.items()},
    }


def median(runs: list[Figures]) -> Figures:
    """The median of every figure; of equal words the word."""
    found: Figures = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs if key in run]
        if isinstance(value, dict):
            found[key] = median(values)
        elif isinstance(value, (int, float)):
            found[key] = round(statistics.median(values), 2)
        else:
            found[key] = value
    return found


def show(title: str, figures: Figures, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"case": title, **figures}), flush=True)
        return
    print(f"\n{title}")
    width = max(22, *(len(key) + 2 for key in figures))
    for key, value in figures.items():
        if isinstance(value, dict):
            value = "  ".join(f"{name} {number:,}" for name, number in value.items()) or "-"
        elif not isinstance(value, str):
            value = f"{value:,}"
        print(f"  {key.replace('_', ' '):<{width}}{value}", flush=True)


def whole(figures: Figures) -> bool:
    """Whether nothing is missing, refused or forged."""
    return bool(
        figures["answers"] == figures["pdus"]
        and figures["delivered"] == figures["messages"]
        and not figures["forged"]
    )


def measure_memory(options: argparse.Namespace) -> bool:
    """Send many messages; compare what the first and the last tenth of them needed."""
    samples: list[tuple[int, dict[str, float]]] = []

    def watch(processes: dict[str, psutil.Process], figures: Figures) -> None:
        resident = {role: p.memory_info().rss / 2**20 for role, p in processes.items()}
        samples.append((figures["distinct"], resident))

    figures = run(options, count=options.memory, rate=options.memory_rate, watch=watch)
    flat: Figures = {}
    tenth = options.memory / 10
    for role in samples[0][1]:
        first = [rss[role] for came, rss in samples if 0 < came <= tenth]
        final = [rss[role] for came, rss in samples if came > options.memory - tenth]
        flat[role] = {
            "first": round(statistics.median(first), 1),
            "last": round(statistics.median(final), 1),
            "ratio": round(statistics.median(final) / statistics.median(first), 3),
        }
    for role, values in flat.items():
        figures[f"memory {role}"] = values
    ok = whole(figures) and all(values["ratio"] <= 1.1 for values in flat.values())
    figures["flat"] = str(ok).lower()
    show(f"memory over {options.memory:,} messages", figures, as_json=options.json)
    return ok


def measure_codec(options: argparse.Namespace) -> bool:
    """Show what a message costs before it is stored; is it within its budget?"""
    figures, over = codec.measure(smoke=options.smoke)
    show("CPU microseconds", figures, as_json=options.json)
    for words in over:
        print(f"over budget: {words}", file=sys.stderr)
    return not over


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--runs", type=int, default=5, help="runs a case; medians are shown")
    p.add_argument("--count", type=int, default=30_000, help="messages of a saturating run")
    p.add_argument("--rate", type=float, default=1_000, help="messages a second of the other one")
    p.add_argument("--seconds", type=float, default=10, help="how long that one takes")
    p.add_argument("--links", type=int, default=8)
    p.add_argument("--window", type=int, default=100, help="unanswered PDUs a link")
    p.add_argument("--mix", default="70,20,10", help="per cent of GSM-7, UCS-2, two parts")
    p.add_argument("--smoke", action="store_true", help="one tiny iteration; is everything there?")
    p.add_argument("--memory", type=int, metavar="N", help="send N messages; is memory flat?")
    p.add_argument("--codec", action="store_true", help="decode and interpret, with no gateway")
    p.add_argument("--memory-rate", type=float, default=0, help="messages a second of that; 0: all")
    p.add_argument("--patience", type=float, default=20, help="give up when nothing comes so long")
    p.add_argument("--directory", help="where the store is (default: the temporary directory)")
    p.add_argument("--json", action="store_true", help="a line of JSON a case")
    options = p.parse_args()
    if options.codec:
        sys.exit(0 if measure_codec(options) else 1)
    if options.memory:
        sys.exit(0 if measure_memory(options) else 1)
    if options.smoke:
        options.runs, options.count, options.rate, options.seconds = 1, 1_000, 200, 1
        if not measure_codec(options):
            sys.exit(1)
    cases = {
        "saturation": {"count": options.count, "rate": 0},
        f"{options.rate:,.0f} msg/s": {
            "count": int(options.rate * options.seconds),
            "rate": options.rate,
        },
    }
    results: dict[str, list[Figures]] = {title: [] for title in cases}
    for _ in range(options.runs):
        for title, case in cases.items():
            results[title].append(run(options, **case))
    for title, runs in results.items():
        show(title, median(runs), as_json=options.json)
    ok = all(whole(figures) for runs in results.values() for figures in runs)
    if not ok:
        print("\nSomething is missing, refused or forged: see the figures.", file=sys.stderr)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
