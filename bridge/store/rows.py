"""The one place where people's numbers and texts turn into columns, and back.

Addresses, texts, bodies and raw arrivals are written and read through :class:`Rows` only, so that
sealing them can be put here without touching a query. Nothing sorts, filters or indexes them:
look-ups go through hashes keyed with a secret of the store, so that its indexes alone tell
nothing about who wrote to whom.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

import msgspec

from bridge.model import Attempt
from smsc.message import Fragment

KEY_SIZE = 32
"""Octets of a store's hash key."""

FINGERPRINT_SIZE = 16
"""Octets kept of a fingerprint or digest: 2^64 arrivals may pass before two are confused."""

HASHES_KEPT = 4_096
"""Hashes of destinations remembered: they are few, and come again."""


class Rows:
    """Codec between values and columns of one store."""

    def __init__(self, key: bytes) -> None:
        """``key``: the store's secret of :data:`KEY_SIZE` octets."""
        self._key = key
        self._encode = msgspec.json.Encoder().encode
        self._addresses = msgspec.json.Decoder(tuple[str, str])
        self._fragment = msgspec.json.Decoder(Fragment)
        self._attempt = msgspec.json.Decoder(Attempt)
        self.destination_hash: Callable[[str], int] = lru_cache(HASHES_KEPT)(self.address_hash)
        """:meth:`address_hash`, remembered."""

    def address_hash(self, address: str) -> int:
        """Hash an address to a signed integer of 64 bits."""
        octets = hashlib.blake2b(address.encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(octets, "big", signed=True)

    def set_hash(self, key: str) -> bytes:
        """Hash the key of a set, which holds addresses, to 16 octets."""
        return hashlib.blake2b(key.encode(), digest_size=16, key=self._key).digest()

    def seal(self, octets: bytes) -> bytes:
        """Turn a raw arrival or a body into what its column holds."""
        return octets

    def unseal(self, column: bytes) -> bytes:
        """Do the reverse of :meth:`seal`."""
        return column

    def seal_addresses(self, source: str, destination: str) -> bytes:
        """Turn both addresses into what one column holds."""
        return self.seal(self._encode((source, destination)))

    def unseal_addresses(self, column: bytes) -> tuple[str, str]:
        """Return source and destination."""
        return self._addresses.decode(self.unseal(column))

    def seal_fragment(self, fragment: Fragment) -> bytes:
        """Turn a fragment into what its column holds."""
        return self.seal(self._encode(fragment))

    def unseal_fragment(self, column: bytes) -> Fragment:
        """Return a fragment as it was stored."""
        return self._fragment.decode(self.unseal(column))

    def seal_attempt(self, attempt: Attempt) -> bytes:
        """Turn an attempt's facts, which may quote a response, into what their column holds."""
        return self.seal(self._encode(attempt))

    def unseal_attempt(self, column: bytes) -> Attempt:
        """Return an attempt as it was stored."""
        return self._attempt.decode(self.unseal(column))
