"""``/livez``, ``/readyz`` and ``/metrics`` of one process: a plain ASGI application.

``/livez`` answers as long as the event loop turns: a loop that doesn't can't answer. ``/readyz``
is for whoever sends traffic here: it says no while something this process needs is missing, and
from the moment it drains. Nothing here asks the store: a probe must cost nothing and must not
wait for what it probes.
"""

import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

Check = Callable[[], str]
"""What is missing, in words; empty where nothing is."""

_PLAIN = b"text/plain; charset=utf-8"
_JSON = b"application/json"
_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The application. ``checks`` are asked in order, by the name they are shown under."""

    def __init__(self, checks: Mapping[str, Check], page: Callable[[], Awaitable[bytes]]) -> None:
        self._checks = checks
        self._page = page

    def missing(self) -> dict[str, str]:
        """Return what is missing by check; empty where the process is ready."""
        return {name: reason for name, check in self._checks.items() if (reason := check())}

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request; never reads its body."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            status, kind, body = await self._answer(scope["method"], scope["path"])
            head = scope["method"] == "HEAD"
            await send({
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", kind),
                    (b"content-length", b"%d" % len(body)),
                    (b"cache-control", b"no-store"),
                ],
                "trailers": False,
            })  # fmt: skip
            await send({
                "type": "http.response.body", "body": b"" if head else body, "more_body": False,
            })  # fmt: skip

    async def _answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if path not in {"/livez", "/readyz", "/metrics"}:
            return 404, _PLAIN, b"nothing here; try /livez, /readyz or /metrics\n"
        if method not in {"GET", "HEAD"}:
            return 405, _PLAIN, b"GET only\n"
        if path == "/livez":
            return 200, _PLAIN, b"alive\n"
        if path == "/metrics":
            return 200, _PROMETHEUS, await self._page()
        missing = self.missing()
        body = {"ready": not missing, "missing": missing}
        return 503 if missing else 200, _JSON, msgspec.json.encode(body) + b"\n"


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


def listen(host: str, port: int) -> socket.socket:
    """Bind the application's port and listen, so that a taken one is known before anything runs.

    Port 0 takes a free one. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=128)
    bound.setblocking(False)
    return bound


async def serve(
    app: Any,
    bound: socket.socket,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI application on a listening socket, which it takes over, until cancelled."""
    config = HypercornConfig()
    config.bind = [f"fd://{bound.detach()}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 1
    config.include_server_header = False
    # Cancelled, it stops at once: a probe or a page of metrics is nothing to finish.
    async with trio.open_nursery() as nursery:
        await nursery.start(
            functools.partial(hypercorn_serve, app, config, shutdown_trigger=trio.sleep_forever)
        )
        task_status.started()
