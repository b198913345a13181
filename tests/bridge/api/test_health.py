import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from bridge.api import health


class Served:
    def __init__(self) -> None:
        self.reason = ""
        self.url = ""


async def page() -> bytes:
    await trio.lowlevel.checkpoint()
    return b"smsbridge_links 3\n"


@pytest.fixture
async def served(nursery: trio.Nursery) -> AsyncIterator[Served]:
    given = Served()
    bound = health.listen("127.0.0.1", 0)
    given.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    app = health.Health({"store": lambda: given.reason, "live": lambda: ""}, page)
    await nursery.start(health.serve, app, bound)
    yield given
    nursery.cancel_scope.cancel()


async def get(served: Served, path: str, method: str = "GET") -> httpx.Response:
    with trio.fail_after(10):
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.request(method, served.url + path)


async def test_alive_as_long_as_the_loop_turns(served: Served) -> None:
    served.reason = "away"
    response = await get(served, "/livez")
    assert (response.status_code, response.text) == (200, "alive\n")


async def test_ready_when_nothing_is_missing(served: Served) -> None:
    response = await get(served, "/readyz")
    assert response.status_code == 200
    assert json.loads(response.text) == {"ready": True, "missing": {}}


async def test_not_ready_says_what_is_missing(served: Served) -> None:
    served.reason = "no commit for 7 s"
    response = await get(served, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "missing": {"store": "no commit for 7 s"}}
    assert response.headers["cache-control"] == "no-store"


async def test_metrics_are_prometheus_text(served: Served) -> None:
    response = await get(served, "/metrics")
    assert response.text == "smsbridge_links 3\n"
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_head_has_no_body(served: Served) -> None:
    response = await get(served, "/livez", "HEAD")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/livez", "POST", 405)])
async def test_all_else_is_refused(served: Served, path: str, method: str, status: int) -> None:
    assert (await get(served, path, method)).status_code == status


def test_a_taken_port_is_known_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        health.listen("127.0.0.1", taken.getsockname()[1])
