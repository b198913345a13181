"""``smsbridge serve``: the gateway, as one process a role under a supervisor, or as one process.

The supervisor owns what must happen once: it applies the configuration file to the store, at
start and on SIGHUP, probes the listeners' ports, and buries children that died. Children get the
local half of the configuration from it and never read the file. With ``--role`` there is only one
process, which does all this itself.
"""

import faulthandler
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import msgspec
import structlog
import trio
from structlog.typing import FilteringBoundLogger

import smsc
from bridge import app, supervise, telemetry
from bridge.carriers import check_files
from bridge.cli.options import config_option, load_config, require_config
from bridge.config import Config, LiveFile
from bridge.doorbell import LIVE, Doorbell, directory_for
from bridge.errors import ConfigError, StoreError
from bridge.live import apply_file
from bridge.process import Role, explained
from bridge.supervise import Charge, Seat, Supervisor

GRACE = 1.0
"""Seconds a child has beyond the bound it keeps itself to, before it is killed."""

_log: FilteringBoundLogger = structlog.get_logger()


class Errand(msgspec.Struct, frozen=True):
    """What the supervisor tells a child. Goes through a socket pair, never through arguments."""

    role: Role
    number: int
    process: str
    config: Config


class ManagedFile:
    """The configuration file as this node applies it: once at start, again on SIGHUP."""

    def __init__(self, running: Config, load: Callable[[], tuple[Config, LiveFile]]) -> None:
        self._running = running
        self._load = load

    def apply(self, live: LiveFile) -> None:
        """Make the store's live half what the file declares. Raises StoreError."""
        path = self._running.store.path
        store = app.open_store(path)
        try:
            applied = apply_file(store, live, app.clock())
        finally:
            store.close()
        bell = Doorbell(directory_for(Path(path)), "", hears=())
        bell.ring(LIVE)
        bell.close()
        _log.info(
            "config.applied",
            revision=applied.revision,
            added=applied.added,
            changed=applied.changed,
            removed=applied.removed,
        )

    def reload(self) -> None:
        """Read the file again: apply what is live, name what needs a restart; never raises.

        A file with an error changes nothing; each of them is logged.
        """
        try:
            config, live = self._load()
            self.apply(live)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            _log.error("config.invalid", config=error.source, problems=problems)
        except StoreError as error:
            _log.error("config.not_applied", error=str(error))
        except Exception:  # noqa: BLE001  # what runs is not ended by a file it was shown
            _log.exception("config.not_applied")
        else:
            if restart := differences(self._running, config):
                _log.warning("config.needs_restart", options=restart)


def differences(running: msgspec.Struct, wanted: msgspec.Struct, path: str = "") -> list[str]:
    """Return the paths of the options in which two local halves differ."""
    found: list[str] = []
    for field in running.__struct_fields__:
        ours, theirs = getattr(running, field), getattr(wanted, field)
        if ours == theirs:
            continue
        if isinstance(ours, msgspec.Struct):
            found += differences(ours, theirs, f"{path}{field}.")
        else:
            found.append(f"{path}{field}")
    return found


@click.command()
@config_option
@click.option(
    "--role", type=click.Choice(["carrier", "delivery", "api", "all"]),
    help="Run one process with this role alone. Default: a supervisor and a process each.",
)  # fmt: skip
@click.option("--child", type=int, hidden=True, help="The socket of the supervisor.")
def serve(*, config: str | None, role: Role | None, child: int | None) -> int:
    """Run the gateway until SIGTERM or SIGINT; SIGHUP applies a changed configuration.

    Exit status 0 if it ended in good order, 1 if something was cut short or could not begin, 2
    for a wrong configuration.
    """
    # Should native code crash a process, its last words are where every thread stood.
    faulthandler.enable()
    if child is not None:
        return _be_child(child)
    path = require_config(config)
    load = partial(load_config, path)
    local, live = load()
    check_files(local, str(path))
    # Until somebody hears it, in children as well (they inherit this): the file was just read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _set_up_logging(local, role or "supervisor")
    _log.info(
        "gateway.starting",
        version=smsc.__version__,
        config=str(path),
        store=str(Path(local.store.path).resolve()),
        carriers=[f"{each.host}:{each.port}" for each in local.listeners],
        api=f"{local.api.host}:{local.api.port}",
    )
    file = ManagedFile(local, load)
    if role is None:
        return _be_supervisor(local, file, lambda: file.apply(live))
    file.apply(live)
    in_order = trio.run(
        partial(
            app.run_role, role, local,
            process_id=app.new_ids().new("prc"), on_hangup=file.reload,
        )
    )  # fmt: skip
    return 0 if in_order else 1


def _set_up_logging(config: Config, role: str) -> None:
    telemetry.set_up_logging(
        form=config.logging.format,
        level=config.logging.level,
        unmask=config.logging.unmask,
        role=role,
    )


def _be_child(fd: int) -> int:
    try:
        parent, data = supervise.receive_charge(fd)
    except (EOFError, OSError):
        return 1
    errand = msgspec.json.decode(data, type=Errand)
    _set_up_logging(errand.config, errand.role)
    supervise.follow_parent(parent, errand.config.shutdown_timeout)
    in_order = trio.run(
        partial(
            app.run_role, errand.role, errand.config,
            process_id=errand.process, number=errand.number,
            on_ready=partial(supervise.say_ready, parent),
        )
    )  # fmt: skip
    return 0 if in_order else 1


def _be_supervisor(local: Config, file: ManagedFile, apply: Callable[[], None]) -> int:
    for listener in local.listeners:
        with explained(listener.host, listener.port):
            supervise.probe_port(listener.host, listener.port)
    apply()
    seats = [
        *(Seat("carrier", number) for number in range(local.carrier.processes)),
        *(Seat("delivery", number) for number in range(local.delivery.processes)),
        Seat("api"),
    ]
    supervisor = Supervisor(
        seats,
        partial(_charge, local),
        new_id=partial(app.new_ids().new, "prc"),
        buried=partial(bury, local.store.path),
        rng=random.Random(),  # noqa: S311  # spreads restarts, hides nothing
        bound=local.shutdown_timeout + GRACE,
    )
    return trio.run(_supervise, supervisor, file)


def _charge(local: Config, seat: Seat, process_id: str) -> Charge:
    errand = {
        "role": seat.role, "number": seat.number, "process": process_id, "config": local,
    }  # fmt: skip
    # Children import what we did: the working directory only if we have it from `python -m`.
    safe = () if str(Path.cwd()) in sys.path else ("-P",)
    # The role is there for people who read the process list; what counts is the errand.
    command = (
        sys.executable, *safe, "-m", "bridge.cli", "serve", "--role", seat.role, "--child", "{fd}",
    )  # fmt: skip
    return Charge(command, msgspec.json.encode(errand))


async def _supervise(supervisor: Supervisor, file: ManagedFile) -> int:
    async with trio.open_nursery() as signals:
        await signals.start(_pass_signals, supervisor, file)
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            if not supervisor.status:
                _log.info("gateway.ready")
        signals.cancel_scope.cancel()
    _log.info("gateway.ended", status=supervisor.status)
    return supervisor.status


async def _pass_signals(
    supervisor: Supervisor, file: ManagedFile, *, task_status: trio.TaskStatus[None]
) -> None:
    ending = False
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP:
                await trio.to_thread.run_sync(file.reload)
                supervisor.pass_on(number)
                continue
            _log.info("gateway.ending", signal=signal.Signals(number).name)
            # Somebody who asks twice at the keyboard doesn't want to wait.
            supervisor.stop(at_once=ending and number == signal.SIGINT)
            ending = True


def bury(path: str, process_id: str) -> None:
    """Tell the store of a process that died: its last arrivals are doubtful, its lanes free.

    Raises StoreError.
    """
    store = app.open_store(path)
    try:
        doubtful = store.doubt_process(process_id, app.clock())
    finally:
        store.close()
    _log.info("process.buried", process=process_id, doubtful=doubtful)
