import pytest
from smpplib import command

from smsc.wire.fields import CString, Integer, Listing, Octets
from smsc.wire.spec import (
    BODIES,
    COMMAND_NAMES,
    COMMANDS,
    FIELD_STATUS,
    RESPONSE_BIT,
    Body,
    CommandId,
    DeliverSm,
    SubmitSm,
    fields_of,
)

THEIRS = {
    "bind_receiver": command.BindReceiver,
    "bind_transmitter": command.BindTransmitter,
    "bind_transceiver": command.BindTransceiver,
    "submit_sm": command.SubmitSM,
    "deliver_sm": command.DeliverSM,
    "data_sm": command.DataSM,
    "alert_notification": command.AlertNotification,
    "query_sm_resp": command.QuerySMResp,
}
# Where the independent table departs from the specification: addresses of 65 octets in §4.7.1
# and §4.12.1.
DEPARTURES = {
    ("data_sm", "source_addr"),
    ("data_sm", "destination_addr"),
    ("alert_notification", "source_addr"),
    ("alert_notification", "esme_addr"),
}


def test_every_command_has_one_body() -> None:
    assert set(BODIES) == set(CommandId)
    assert len(COMMANDS) == len(BODIES)
    for body, command_id in COMMANDS.items():
        assert BODIES[command_id] is body


@pytest.mark.parametrize("command_id", CommandId)
def test_a_body_is_named_after_its_command(command_id: CommandId) -> None:
    words = "".join(word.capitalize() for word in command_id.name.split("_"))

    assert words == BODIES[command_id].__name__
    assert COMMAND_NAMES[command_id] == command_id.name


@pytest.mark.parametrize("body", BODIES.values())
def test_a_body_is_frozen_all_defaults_and_every_field_has_its_wire_form(body: type[Body]) -> None:
    fields = fields_of(body)

    assert body.__struct_fields__ == tuple(name for name, _ in fields)
    assert hash(body()) == hash(body())
    for name, kind in fields:
        value = getattr(body(), name)
        match kind:
            case Integer():
                assert type(value) is int
            case CString():
                assert value == ""
            case Octets():
                assert value == b""
            case Listing():
                assert value == ()


@pytest.mark.parametrize("name", THEIRS)
def test_bodies_agree_with_an_independent_table(name: str) -> None:
    params = THEIRS[name].params

    for field, kind in fields_of(BODIES[CommandId[name]]):
        theirs = params[field]
        if (name, field) in DEPARTURES:
            continue
        if isinstance(kind, Integer):
            assert theirs.size == kind.size, field
        elif isinstance(kind, CString | Octets):
            assert theirs.max == kind.limit, field


def test_submit_and_deliver_have_the_same_fields() -> None:
    assert fields_of(SubmitSm) == fields_of(DeliverSm)


def test_statuses_are_given_for_fields_that_exist() -> None:
    names = {name for body in BODIES.values() for name, _ in fields_of(body)}
    names |= {
        name
        for body in BODIES.values()
        for _, kind in fields_of(body)
        if isinstance(kind, Listing)
        for element in kind.elements
        for name in (kind.flag, *(name for name, _ in fields_of(element)))
    }

    assert set(FIELD_STATUS) <= names


def test_responses_have_the_response_bit() -> None:
    for command_id in CommandId:
        is_response = command_id.name.endswith("_resp") or command_id.name == "generic_nack"
        assert bool(command_id & RESPONSE_BIT) is is_response
