"""A carrier's address → E.164 where that is sure (SMPP 3.4 §5.2.5 and §5.2.6).

An address that says it is international, by its type of number or by a leading ``+`` or
``00``, needs no more than a table of calling codes: that is most traffic, and it takes less
than a microsecond. National ones are read by ``phonenumbers``, which is slow to import and slow
to run: it is imported at the first one, and a bounded cache stands before it.
"""

from functools import lru_cache
from typing import Final

from smsc.message import Address

TON_INTERNATIONAL: Final = 1
TON_NATIONAL: Final = 2
TON_NETWORK: Final = 3
TON_SUBSCRIBER: Final = 4
TON_ALPHANUMERIC: Final = 5
TON_ABBREVIATED: Final = 6

_ASSIGNED = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 "
    "63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 "
    "227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 "
    "250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 "
    "299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 379 380 381 "
    "382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 "
    "594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 "
    "689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 960 961 962 963 "
    "964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998"
)
CALLING_CODES: Final = frozenset(_ASSIGNED.split())
"""ITU-T E.164 country codes and global services; none is the beginning of another."""

_PREFIXES = frozenset(
    prefix
    for prefix in (f"{number:03}" for number in range(1000))
    if prefix in CALLING_CODES or prefix[:2] in CALLING_CODES or prefix[0] in CALLING_CODES
)
_TELEPHONE_PLANS = frozenset({0, 1, 8})  # unknown, E.164, national (§5.2.6)
_OTHER_PLANS = frozenset({3, 4, 6, 14, 18})  # X.121, telex, E.212, internet, WAP client
_SEPARATORS = str.maketrans("", "", " -.()/\t")

NATIONAL_CACHE: Final = 65_536
"""National addresses remembered with what they were read as; the oldest unused one goes."""


def normalise(value: str, ton: int, npi: int, default_country: str) -> Address:
    """Return an address as far as it can be read; never raises.

    ``e164`` is certain: 7 to 15 digits behind a known calling code, from an address that says it
    is international, or from a national one that ``default_country`` (ISO 3166 alpha-2, ``""``
    for none) completes. A number that begins with 0 is national, whatever its type says: no
    calling code does. Addresses of plans that don't number telephones (an IMSI, an IP address)
    are unknown. Everything else keeps its value as the carrier sent it.
    """
    if ton == TON_INTERNATIONAL and npi < 2 and value.isdecimal():
        if 7 <= len(value) <= 15 and value[:3] in _PREFIXES:
            return Address("+" + value, "e164")
    elif ton == TON_ALPHANUMERIC:
        return Address(value, "alphanumeric")
    return _slowly(value, ton, npi, default_country)


def _slowly(value: str, ton: int, npi: int, default_country: str) -> Address:
    digits, international = _digits(value, ton)
    if not digits.isdecimal():
        lettered = not international and any(character.isalpha() for character in value)
        return Address(value, "alphanumeric" if lettered else "unknown")
    if npi in _OTHER_PLANS and not value.startswith("+"):
        return Address(value, "unknown")
    if international and 7 <= len(digits) <= 15 and digits[:3] in _PREFIXES:
        return Address("+" + digits, "e164")
    if digits == value and (len(digits) <= 6 or ton == TON_ABBREVIATED):
        return Address(value, "shortcode")
    if international and digits == value and value.startswith("0"):
        ton = TON_NATIONAL
    elif international:
        return Address(value, "unknown")
    if (
        default_country
        and len(digits) <= 15
        and ton in (0, TON_NATIONAL, TON_SUBSCRIBER)
        and npi in _TELEPHONE_PLANS
    ):
        number = _national(digits, default_country.upper(), certain=ton == TON_NATIONAL)
        if number:
            return Address(number, "e164")
    return Address(value, "national" if ton in (TON_NATIONAL, TON_SUBSCRIBER) else "unknown")


def _digits(value: str, ton: int) -> tuple[str, bool]:
    """Return what is dialled, without what only separates or introduces it, and whether the
    address says that it is international."""
    digits = value.translate(_SEPARATORS)
    if digits.startswith("+"):
        return digits[1:], True
    if digits.startswith("00"):
        return digits[2:], True
    return digits, ton == TON_INTERNATIONAL


@lru_cache(maxsize=NATIONAL_CACHE)
def _national(digits: str, country: str, *, certain: bool) -> str | None:
    """Return a national number of ``country`` in E.164, or None where it can be none.

    Where the address does not say that it is national (``certain``), the digits may as well be an
    international number without its ``+``. They are taken for one if such a number exists and is
    the likelier sender of a message: a mobile one goes before any other, one that exists before
    one that is merely long enough, and one of ``country`` itself before a namesake within it.
    """
    import phonenumbers  # slow to import, and many set-ups never need it

    mobile = (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )

    def reading(value: str, region: str | None) -> tuple[int, phonenumbers.PhoneNumber | None]:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            return 0, None
        kind = phonenumbers.number_type(number)
        if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # there is no such number
            return int(phonenumbers.is_possible_number(number)), number
        return 2 + (kind in mobile), number

    likely, number = reading(digits, country)
    if not certain and likely <= 2:
        likelier, other = reading("+" + digits, None)
        own = number and other and number.country_code == other.country_code
        if likelier >= 2 and (likelier > likely or (likelier == likely and own)):
            likely, number = likelier, other
    if not likely or number is None:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
