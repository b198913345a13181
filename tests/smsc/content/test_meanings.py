import pytest

from smsc.content import meanings


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("source_addr_ton", 5, "alphanumeric"),
        ("dest_addr_npi", 1, "ISDN (E.164)"),
        ("addr_ton", 99, "reserved"),
        ("esm_class", 0x00, "default mode, message"),
        ("esm_class", 0x04, "default mode, delivery receipt"),
        ("esm_class", 0x23, "store and forward mode, intermediate notification"),
        ("esm_class", 0xC0, "default mode, message, user data header, reply path"),
        ("esm_class", 0x0C, "default mode, reserved message type"),
        ("data_coding", 8, "UCS-2"),
        ("data_coding", 15, "reserved"),
        ("data_coding", 0x10, "gsm7, class 0: shown at once"),
        ("data_coding", 0xE8, "ucs2, voicemail waiting"),
        ("data_coding", 0xC1, "gsm7, no fax waiting, not to be kept"),
        ("data_coding", 0x51, "gsm7, class 1: phone, to be deleted once read"),
        ("data_coding", 0x20, "compressed"),
        ("data_coding", 0xF5, "octets, class 1: phone"),
        ("data_coding", 0x80, "reserved"),
        ("registered_delivery", 0x11, "receipt wanted, intermediate notification wanted"),
        ("interface_version", 0x34, "SMPP 3.4"),
        ("interface_version", 0, "SMPP 3.3 or before"),
        ("message_state", 2, "DELIVRD"),
        ("error_status_code", 0x58, "ESME_RTHROTTLED: throttled: over the message limit"),
        ("protocol_id", 3, ""),
        ("source_addr", "1", ""),
    ],
)
def test_fields(name: str, value: object, meaning: str) -> None:
    assert meanings.of_field(name, value) == meaning


def test_every_octet_has_a_coding_and_a_class_of_message() -> None:
    for value in range(256):
        assert meanings.of_field("data_coding", value)
        assert meanings.of_field("esm_class", value)
        assert meanings.of_field("registered_delivery", value)


@pytest.mark.parametrize(
    ("tag", "value", "meaning"),
    [
        (0x001E, b"7f\0", "'7f'"),
        (0x0427, b"\2", "2 (DELIVRD)"),
        (0x0204, b"\1\0", "256"),
        (0x0204, b"\1\0\0", ""),
        (0x0427, b"\xff" * 2_000, ""),
        (0x0423, b"\3\0\7", "GSM, code 7"),
        (0x0424, b"hi", ""),
        (0x0428, b"\0", "0 (idle)"),
        (0x0428, b"\x55", "85 (optimum load)"),
        (0x0428, b"\x65", "101"),
        (0x0601, b"\1\0\x11", "GSM, content 0x0011"),
        (0x0605, b"\x09\0\x0a", "every 10 minutes"),
        (0x0605, b"\0\0\0", "as often as possible"),
        (0x0605, b"\x77\0\1", ""),
        (0x0606, b"\0Mainz", "alias"),
        (0x0606, b"\7x", "reserved"),
        (0x0606, b"", ""),
        (0x0607, b"\0\0\1\x0d", "269 (ESME_RBCASTFAIL: broadcast_sm failed)"),
        (0x0608, b"\x64", "100 %"),
        (0x0608, b"\xff", "255 (not known)"),
        (0x0609, b"260701120000000+\0", "'260701120000000+'"),
        (0x060F, b"001122", "'001122'"),
        (0x0611, b"\2", "2 (ported)"),
        (0x1204, b"\1", "1 (until power down)"),
        (0x1204, b"\4\2\0\5", "4 (for the time given)"),
        (0x1403, b"hi", ""),
    ],
)
def test_parameters(tag: int, value: bytes, meaning: str) -> None:
    assert meanings.of_tlv(tag, value) == meaning


def test_flags() -> None:
    assert meanings.of_flag("oversize:password") == (
        "password is longer than the specification allows"
    )
    assert meanings.of_flag("bad-udh")
    assert meanings.of_status(0x10D) == "ESME_RBCASTFAIL: broadcast_sm failed"
    assert meanings.of_status(0x42E).startswith("not defined: the peer's own error")
    assert meanings.of_status(0x600) == "not defined: reserved"
    assert meanings.of_element(0x99) == "unknown element"
