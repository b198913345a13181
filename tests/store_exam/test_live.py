"""The live half of the configuration: revisions made from differences."""

import msgspec

from bridge.model import Endpoint, Live, Number, Route, Tenant
from bridge.store.contract import Applied, LiveObject, Store
from smsc.config import Account
from tests.fix_store import START, Engine, all_due, key, message

ACCOUNT = Account(name="one", system_id="carrier-one", charsets={0: "latin1"})
NUMBER = Number(number="+4477*", routes=("r",))
ROUTE = Route(name="r", endpoints=("a",), routing_tag="tag")
ENDPOINT = Endpoint(name="a", url="https://a.example/hook", secrets=("whsec_c2VjcmV0",))
TENANT = Tenant(name="default")


def declared(*things: Account | Number | Route | Endpoint | Tenant) -> list[LiveObject]:
    """Make live objects."""
    found = []
    for thing in things:
        name = thing.number if isinstance(thing, Number) else thing.name
        kind = type(thing).__name__.lower()
        found.append(LiveObject(kind, name, msgspec.json.encode(thing)))  # type: ignore[arg-type]  # the classes are named like the kinds
    return found


ALL = declared(ACCOUNT, NUMBER, ROUTE, ENDPOINT, TENANT)


def test_a_new_store_has_an_empty_revision(store: Store) -> None:
    assert store.live() == Live(revision=0)
    assert store.live(0) is None


def test_what_is_applied_is_read_back(engine: Engine) -> None:
    store = engine.open()

    applied = store.apply("file", ALL, START)

    assert applied == Applied(
        1, added=("account one", "number +4477*", "route r", "endpoint a", "tenant default")
    )
    expected = Live(
        revision=1,
        accounts=(ACCOUNT,),
        numbers=(NUMBER,),
        routes=(ROUTE,),
        endpoints=(ENDPOINT,),
        tenants=(TENANT,),
    )
    assert store.live() == expected
    assert store.live(1) is None
    assert engine.open().live(0) == expected


def test_the_same_again_is_no_revision(store: Store) -> None:
    store.apply("file", ALL, START)

    assert store.apply("file", ALL[::-1], START) == Applied(1)
    assert store.live(1) is None


def test_a_difference_is_named_by_what_it_does(store: Store) -> None:
    store.apply("file", ALL, START)
    changed = msgspec.structs.replace(ROUTE, routing_tag=None)

    applied = store.apply(
        "file", declared(ACCOUNT, NUMBER, changed, ENDPOINT, Tenant(name="t")), START
    )

    assert applied == Applied(
        2, added=("tenant t",), changed=("route r",), removed=("tenant default",)
    )
    live = store.live(1)
    assert live is not None
    assert (live.routes, live.tenants) == ((changed,), (Tenant(name="t"),))


def test_sources_leave_each_others_objects_alone(store: Store) -> None:
    store.apply("file", declared(ACCOUNT, TENANT), START)
    store.apply("api", declared(Tenant(name="t")), START)

    assert store.apply("api", [], START) == Applied(3, removed=("tenant t",))

    live = store.live()
    assert live is not None
    assert (live.accounts, live.tenants) == ((ACCOUNT,), (TENANT,))


def test_an_object_declared_elsewhere_changes_hands(store: Store) -> None:
    store.apply("api", declared(TENANT), START)

    assert store.apply("file", declared(TENANT), START).changed == ("tenant default",)

    assert store.apply("api", [], START) == Applied(2)


def test_deliveries_of_an_endpoint_that_goes_become_dead_letters(store: Store) -> None:
    store.apply("file", ALL, START)
    store.record([message("1", key(1), "a", "b")])

    store.apply("file", declared(ACCOUNT), START + 3)

    assert all_due(store, "a") == []
    assert len(all_due(store, "b")) == 1
    (letter,) = store.dead_letters()
    assert (letter.endpoint, letter.died_at) == ("a", START + 3)
    assert letter.reason
