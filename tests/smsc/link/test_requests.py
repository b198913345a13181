import pytest

from smsc.link.requests import Requests
from smsc.wire.spec import CommandId

ENQUIRE, UNBIND, BIND = CommandId.enquire_link, CommandId.unbind, CommandId.bind_transceiver
NACK = CommandId.generic_nack


def test_numbers_count_from_one_and_begin_anew() -> None:
    requests = Requests()
    assert [requests.number(ENQUIRE), requests.number(ENQUIRE)] == [1, 2]

    requests._latest = 0x7FFFFFFF

    assert requests.number(UNBIND) == 3  # 1 and 2 are in flight
    assert len(requests) == 3


def test_r06_an_answer_matches_by_its_number_and_once() -> None:
    requests = Requests()
    number = requests.number(ENQUIRE)

    assert requests.match(CommandId.enquire_link_resp, number + 1) is None
    assert requests.match(CommandId.unbind_resp, number) is None
    assert requests.match(CommandId.enquire_link_resp, number) == ENQUIRE
    assert requests.match(CommandId.enquire_link_resp, number) is None


def test_r05_a_nack_answers_anything_by_its_number() -> None:
    requests = Requests()
    requests.number(ENQUIRE)
    number = requests.number(UNBIND)

    assert requests.match(NACK, 0) is None
    assert requests.match(NACK, number) == UNBIND


@pytest.mark.parametrize("number", [0, 77, 0xFFFFFFFF])
def test_r05_a_nack_without_a_number_answers_an_open_bind(number: int) -> None:
    requests = Requests()
    requests.number(BIND)

    assert requests.match(NACK, number) == BIND
    assert requests.match(NACK, number) is None


def test_what_is_forgotten_matches_nothing() -> None:
    requests = Requests()
    first, second = requests.number(ENQUIRE), requests.number(UNBIND)
    requests.forget(first)
    requests.forget(first)
    assert requests.match(CommandId.enquire_link_resp, first) is None

    requests.clear()

    assert requests.match(CommandId.unbind_resp, second) is None
