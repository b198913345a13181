"""Carriers whose SMSC the gateway dials, and carriers that dial it to be bound back to."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio

from bridge.customer import Customer, open_customer
from smsc.simulator.carrier import BindRefused, message
from smsc.simulator.segments import segments
from smsc.simulator.smsc import SmscLink, invited, open_smsc
from smsc.wire.spec import BindReceiver, BindTransceiver, Outbind, Status
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, SECRET, endpoint, free_port, open_gateway, routed
from tests.fix_tls import Certificates

BOUND = 60


def account(*hosts: str, password: str = "pw", more: str = "", dial: str = "") -> str:
    """An account that dials these hosts, with further options."""
    named = ", ".join(f'"{host}"' for host in hosts)
    return f"""
[[accounts]]
name = "one"
system_id = "carrier-one"
carrier = "one"
default_country = "GB"
{more}
[accounts.dial]
hosts = [{named}]
system_id = "us"
password = "{password}"
shortest_pause = 0.05
longest_pause = 0.2
{dial}
"""


def to_customer(customer: Customer) -> str:
    return routed(NUMBER, "customer") + endpoint("customer", customer.url)


async def deliver(link: SmscLink, customer: Customer, text: str) -> None:
    """Deliver a text and see it come to the customer."""
    frame = message(segments(text)[0], source=f"+{SENDER}", destination=NUMBER)
    (answer,) = await link.deliver([frame])
    assert answer.ok
    await customer.until(lambda: text in [event.data["content"] for event in customer.verified])
    (event,) = [each for each in customer.verified if each.data["content"] == text]
    assert event.data["fromNumber"] == f"+{SENDER}"


async def test_a_dialled_smsc_delivers_through_every_kind_of_end(tmp_path: Path) -> None:
    dead = free_port()
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            port = free_port()
            live = account(f"127.0.0.1:{dead}", f"127.0.0.1:{port}") + to_customer(customer)
            async with open_gateway(tmp_path, live) as gateway:
                async with open_smsc("us", "pw", port=port) as smsc:
                    link = await smsc.link()  # the first host is dead: it is the second's
                    assert isinstance(link.bound_as, BindTransceiver)
                    await deliver(link, customer, "first")
                    rows: list[dict[str, Any]] = []
                    while not (rows and rows[0]["pdus"]):  # a second behind
                        rows = await gateway.listed("links")
                    (shown,) = rows
                    assert shown["state"] == "bound"
                    assert shown["account"] == "one"
                    assert shown["peer"] == f"127.0.0.1:{port}"

                    await link.unbind()
                    await deliver(await smsc.link(), customer, "after its unbind")

                await gateway.until(lambda: gateway.log().count("Connection refused") >= 2)
                async with open_smsc("us", "pw", port=port) as smsc:
                    link = await smsc.link()
                    await deliver(link, customer, "after its death")

                    assert await gateway.stop() == 0, gateway.log()
                    assert link.statistics.requests["unbind"] == 1
                    assert link.ended.is_set()


async def test_changes_are_followed_and_only_what_changed_is_dialled_anew(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_smsc("us", "pw") as one,
            open_smsc("us", "new") as two,
            open_gateway(tmp_path, to_customer(customer)) as gateway,
        ):
            both = to_customer(customer)
            gateway.configure(account(f"127.0.0.1:{one.port}") + both)
            gateway.reload()
            first = await one.link()
            await deliver(first, customer, "dialled when the configuration said so")

            gateway.configure(
                account(f"127.0.0.1:{one.port}", dial='links = 2\nbinds = ["receiver"]') + both
            )
            gateway.reload()
            await first.ended.wait()
            await one.link(2)
            assert {type(link.bound_as) for link in one.links} == {BindReceiver}
            assert first.statistics.requests["unbind"] == 1

            gateway.configure(account(f"127.0.0.1:{two.port}") + both)
            gateway.reload()
            await two.refused()  # still with the old password
            gateway.configure(account(f"127.0.0.1:{two.port}", password="new") + both)
            gateway.reload()
            second = await two.link()
            await deliver(second, customer, "with the new password")
            assert one.links == []
            assert "ESME_RINVPASWD" in gateway.log()
            assert '"new"' not in gateway.log()

            gateway.configure(both)
            gateway.reload()
            await second.ended.wait()
            assert second.statistics.requests["unbind"] == 1


async def test_an_outbind_is_bound_back_to(tmp_path: Path) -> None:
    more = 'password = "secret"\noutbind = true'
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            live = account(more=more) + to_customer(customer)
            async with open_gateway(tmp_path, live) as gateway:
                stream = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
                asked = Outbind("carrier-one", "secret")
                async with invited(stream, outbind=asked, system_id="us", password="pw") as link:
                    await deliver(link, customer, "bound back")
                    assert isinstance(link.bound_as, BindTransceiver)

                stream = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
                asked = Outbind("carrier-one", "wrong")
                stranger = invited(stream, outbind=asked, system_id="us", password="pw")
                with pytest.raises(BindRefused, match="no answer"):
                    async with stranger:
                        pass
                assert stranger.bound_as is None


async def test_an_smsc_over_tls_is_dialled(tmp_path: Path, certificates: Certificates) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(f"{certificates.server}.pem", f"{certificates.server}.key")
    trusting = f'tls = true\ntls_ca = "{certificates.ca}"'
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer, open_smsc("us", "pw", tls=server) as smsc:
            live = account(f"localhost:{smsc.port}", dial="tls = true") + to_customer(customer)
            async with open_gateway(tmp_path, live) as gateway:
                await gateway.until(lambda: "its certificate is not accepted" in gateway.log())
                assert smsc.links == []

                gateway.configure(
                    account(f"localhost:{smsc.port}", dial=trusting) + to_customer(customer)
                )
                gateway.reload()
                await deliver(await smsc.link(), customer, "through TLS")
                assert await gateway.stop() == 0, gateway.log()


async def test_a_refused_bind_is_told_in_words(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_smsc("us", "pw", refuse=Status.ESME_RBINDFAIL) as smsc,
            open_gateway(tmp_path, account(f"127.0.0.1:{smsc.port}")) as gateway,
        ):
            await smsc.refused(3)
            await gateway.until(lambda: "ESME_RBINDFAIL (bind failed)" in gateway.log())
            assert await gateway.stop() == 0, gateway.log()
