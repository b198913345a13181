"""Every alphabet, from what a sender writes to the text of the joined message.

What is written here is generated: every character an alphabet has, cut at every octet, in any
order, with repeats.
"""

import random
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from msgspec.structs import replace

from smsc.config import Account
from smsc.content.assembly import complete, join, set_key
from smsc.content.interpret import interpret
from smsc.message import Address, Concat, Fragment, Message, Origin, Part
from smsc.simulator.segments import Concatenation, Encoding, segments
from smsc.text import charset, gsm0338, national
from smsc.text.variants import VARIANTS
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import CommandId, DeliverSm

CODECS: dict[str, str] = {
    "ascii": "ascii",
    "big5": "cp950",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "gb18030": "gb18030",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-2": "iso8859-2",
    "iso-8859-5": "iso8859-5",
    "iso-8859-6": "iso8859-6",
    "iso-8859-7": "iso8859-7",
    "iso-8859-8": "iso8859-8",
    "iso-8859-9": "iso8859-9",
    "iso-8859-15": "iso8859-15",
    "koi8-r": "koi8-r",
    "latin1": "latin-1",
    "shift_jis": "cp932",
    "ucs2": "utf-16-be",
    "ucs2-le": "utf-16-le",
    "utf-8": "utf-8",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
}
"""Charset → the library's codec, by which a sender of it would write."""

MARKS = "\ufeff\ufffe"
"""At the beginning they say in which order octets come, and are no text."""

LANGUAGES = sorted({0, *national.LANGUAGES})


def test_no_charset_is_forgotten() -> None:
    assert {*CODECS, *VARIANTS, "gsm7", charset.BINARY} == charset.CHARSETS


@cache
def characters(name: str) -> str:
    """Every character of the Basic Multilingual Plane the charset has, and some beyond it."""
    codec = CODECS[name]
    found = []
    for code in (*range(1, 0xD800), *range(0xE000, 0x10000), *range(0x1F600, 0x1F650)):
        character = chr(code)
        try:
            # A few are written as the octets of another one that looks alike; and controls that
            # shift between tables are no text.
            back = character.encode(codec).decode(codec)
        except UnicodeError:
            continue
        if back == character and character not in MARKS:
            found.append(character)
    return "".join(found)


def spread(text: str, count: int) -> str:
    """So many characters from all over a text."""
    step = max(1, len(text) // count)
    return text[::step][:count]


@pytest.mark.parametrize("name", CODECS)
def test_every_character_comes_back(name: str) -> None:
    text = characters(name)
    for at in range(0, len(text), 64):
        some = text[at : at + 64]
        assert charset.decode(name, some.encode(CODECS[name])) == (some, ())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_cell_of_a_carriers_own_charset_comes_back(name: str) -> None:
    variant = VARIANTS[name]
    for octet, character in enumerate(variant.reading):
        if character not in "\x1b\0\ufffd":
            assert charset.decode(name, bytes((octet,))) == (character, ())


def fragments(parts: list[Part]) -> list[Fragment]:
    return [
        Fragment(
            Origin("acme-1", "acme", "lnk_1", seq, seq, b""),
            Address("+447700900123", "e164"),
            Address("+447860000001", "e164"),
            Concat("udh", 16, 0, len(parts), seq),
            part,
        )
        for seq, part in enumerate(parts, 1)
    ]


def joined(parts: list[Part], dice: random.Random) -> tuple[str, tuple[str, ...]]:
    """Text and flags of parts that came shuffled, and one of them twice."""
    arrived = fragments(parts)
    arrived.append(dice.choice(arrived))
    dice.shuffle(arrived)
    content = join(arrived).content
    return content.text, content.flags


def cuts(octets: bytes) -> Iterator[list[bytes]]:
    """Yield the octets cut in two at every place, and into as many parts as there can be."""
    for at in range(1, len(octets)):
        yield [octets[:at], octets[at:]]
    size = -(-len(octets) // 255)
    yield [octets[at : at + size] for at in range(0, len(octets), size)]


@pytest.mark.parametrize("name", CODECS)
def test_r12_wherever_a_text_is_cut_it_joins(name: str) -> None:
    dice = random.Random(name)
    text = spread(characters(name), 120)
    for parts in cuts(text.encode(CODECS[name])):
        assert joined([Part(part, name, 0) for part in parts], dice) == (text, ())


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("name", ["ucs2", "ucs2-le"])
def test_r12_a_text_with_a_mark_joins(name: str, mark: str) -> None:
    dice = random.Random(name)
    # In these, octets that look like a mark stand where two characters meet.
    text = "a\u30fe\uff01\u31ff\ufe32😀\u3001"
    for order in ("utf-16-be", "utf-16-le"):
        if not mark and order != CODECS[name]:
            continue
        for parts in cuts((mark + text).encode(order)):
            assert joined([Part(part, name, 0) for part in parts], dice) == (text, ())


def alphabet(locking: int, single: int) -> str:
    """Every character of two tables, without those that are no text of their own."""
    table = gsm0338.LOCKING.get(locking, gsm0338.DEFAULT)
    return "".join(
        character
        for character in (*table, *gsm0338.SINGLE[single].values())
        if character not in "\x1b\ufffd"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_r13_r14_wherever_septets_are_cut_they_join(language: int) -> None:
    dice = random.Random(language)
    for locking, single in {(language, language), (language, 0), (0, language)}:
        text = alphabet(locking, single)
        septets = gsm0338.encode(text, locking, single)
        assert septets is not None
        for parts in cuts(septets):
            cut = [Part(part, "gsm7", 0, b"", locking, single) for part in parts]
            assert joined(cut, dice) == (text, ())


@pytest.mark.parametrize("language", LANGUAGES)
def test_r10_r13_wherever_packed_septets_are_cut_they_join(language: int) -> None:
    dice = random.Random(language)
    # Where one of these fills a segment's last octet, it can't be told from padding.
    text = "".join(
        character for character in alphabet(language, language) if character not in "@\r"
    )
    septets = gsm0338.encode(text, language, language)
    assert septets is not None
    septets = septets.replace(b"\0", b"").replace(b"\r", b"")
    text = gsm0338.decode(septets, language, language)[0]
    for cut in cuts(septets):
        headers = [bytes(dice.randrange(20)) for _ in cut]
        parts = [
            Part(pack(part, len(header)), "gsm7", 0, header, language, language, packed=True)
            for part, header in zip(cut, headers, strict=True)
        ]
        assert joined(parts, dice) == (text, ())


def pack(septets: bytes, header: int) -> bytes:
    """Write bits one after the other, and a carriage return where seven are left over."""
    fill = -8 * header % 7
    padding = b"\r" if (fill + 7 * len(septets)) % 8 == 1 else b""
    bits = "0" * fill + "".join(f"{septet:07b}"[::-1] for septet in septets + padding)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_wherever_a_carriers_own_charset_is_cut_it_joins(name: str) -> None:
    dice = random.Random(name)
    variant = VARIANTS[name]
    octets = bytes(range(1, 256)) + b"\x1be\x1b("
    text, flags = charset.decode(name, octets)
    assert len(text) > len(variant.reading) // 2
    for parts in cuts(octets):
        assert joined([Part(part, name, 0) for part in parts], dice) == (text, flags)


# -- from PDUs ----------------------------------------------------------------------------------

TEXTS: dict[Encoding, str] = {
    "gsm7": "Grüße {aus} [Österreich]: 5 € @ 10% ~ Ωmega|\\^ ",
    "ucs2": "Hi 😀 Привет 日本語 שלום ",
    "ucs2-le": "Hi 😀 Привет 日本語 שלום ",
    "latin1": "Curaçao, façade: café à gogo ",
    "ascii": "plain old text, nothing else ",
    "utf-8": "Ünïcödé 😀 日本語 ",
    "iso-8859-5": "Съешь ещё этих мягких булок ",
    "iso-8859-8": "דג סקרן שט בים מאוכזב ",
    "iso-8859-15": "Œuvre à 5 € ",
    "windows-1252": "“curly” – €5 ",
    "shift_jis": "いろはにほへと ﾁﾘﾇﾙｦ abc ",
    "iso-2022-jp": "いろはに abc ほへとﾁﾘﾇﾙ ",
    "euc-jp": "いろはにほへと abc ",
    "euc-kr": "키스의 고유조건은 abc ",
}


def arrive(
    parts: list[bytes], esm_class: list[int], coding: int, account: Account
) -> list[Message | Fragment]:
    arrived: list[Message | Fragment] = []
    for place, (octets, bits) in enumerate(zip(parts, esm_class, strict=True), 1):
        body = DeliverSm(short_message=octets, esm_class=bits, data_coding=coding)
        frame = encode(Pdu(CommandId.deliver_sm, 0, place, body))
        pdu = decode(frame)
        assert isinstance(pdu, Pdu)
        arrival = interpret(pdu, frame, account, link="lnk_1", place=place, received_at=place)
        assert isinstance(arrival, Message | Fragment)
        arrived.append(arrival)
    return arrived


def received(
    text: str,
    encoding: Encoding,
    account: Account,
    dice: random.Random,
    *,
    concatenation: Concatenation = "udh8",
    split_anywhere: bool = False,
    locking: int = 0,
    single: int = 0,
    packed: bool = False,
) -> str:
    """What becomes of a text that a carrier sends, shuffled and with a repeat."""
    sent = segments(
        text,
        encoding=encoding,
        concatenation=concatenation,
        reference=dice.randrange(0x10000),
        split_anywhere=split_anywhere,
        locking=locking,
        single=single,
        packed=packed,
    )
    sent.append(dice.choice(sent))
    dice.shuffle(sent)
    octets = [segment.octets for segment in sent]
    arrived = arrive(octets, [segment.esm_class for segment in sent], sent[0].data_coding, account)
    if isinstance(arrived[0], Message):
        return arrived[0].content.text
    parts = [arrival for arrival in arrived if isinstance(arrival, Fragment)]
    assert len({set_key(part) for part in parts}) == 1
    assert complete((part.concat.seq for part in parts), parts[0].concat.total)
    content = join(parts).content
    assert content.flags == ()
    return content.text


@pytest.mark.parametrize("split_anywhere", [False, True])
@pytest.mark.parametrize("concatenation", ["udh8", "udh16"])
@pytest.mark.parametrize("encoding", TEXTS)
def test_r08_r12_r15_sent_texts_arrive(
    encoding: Encoding, concatenation: Concatenation, *, split_anywhere: bool
) -> None:
    coding = segments("", encoding=encoding)[0].data_coding
    account = Account(name="acme", system_id="acme", charsets={coding: encoding})
    dice = random.Random(encoding)
    for times in range(1, 14):
        text = TEXTS[encoding] * times
        assert text == received(
            text,
            encoding,
            account,
            dice,
            concatenation=concatenation,
            split_anywhere=split_anywhere,
        )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_r10_r13_national_texts_arrive(language: int, *, packed: bool) -> None:
    account = Account(name="acme", system_id="acme", packed=packed)
    dice = random.Random(language)
    for locking, single in {(language, language), (language, 0), (0, language)}:
        whole = alphabet(locking, single).replace("\r", "") * 2
        for begin, end in pairwise((0, 30, 90, len(whole))):
            # The last septet of a packed text must not look like padding.
            text = whole[begin:end] + " "
            assert text == received(
                text, "gsm7", account, dice, locking=locking, single=single, packed=packed
            )


def test_r13_tables_hold_for_a_segment() -> None:
    first, second = fragments(
        [Part(b"a\x04", "gsm7", 0, b"", 1, 1), Part(b"\x04\x1be", "gsm7", 0, b"", 0, 3)]
    )

    assert join([first, second]).content.text == "a€è€"
    assert join([first, replace(second, part=replace(second.part, single=0))]).content.flags == ()
