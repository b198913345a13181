"""Certificates for tests, as files: an authority, a server of its, clients of its and of nobody's.

Made once a run: a key costs some ten milliseconds.
"""

import hashlib
import ssl
from pathlib import Path

import pytest
import trustme

from smsc.config import ListenerTls


class Certificates:
    """Files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._authority = trustme.CA()
        self._stranger = trustme.CA()
        self.server = self._write("server", self._authority.issue_cert("localhost", "127.0.0.1"))
        self.renewed = self._write("renewed", self._authority.issue_cert("localhost", "127.0.0.1"))
        self.client = self._write("client", self._authority.issue_cert("carrier.example.com"))
        self.other = self._write("other", self._authority.issue_cert("other.example.com"))
        self.stranger = self._write("stranger", self._stranger.issue_cert("carrier.example.com"))
        self.ca = str(directory / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca)

    def options(self, *, mutual: bool = False) -> ListenerTls:
        """A listener's."""
        return ListenerTls(
            certificate=f"{self.server}.pem",
            key=f"{self.server}.key",
            client_ca=self.ca if mutual else "",
        )

    def trusting(self, certificate: str = "") -> ssl.SSLContext:
        """A client's, that trusts the authority and may show a certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        if certificate:
            context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
        return context

    def fingerprint(self, certificate: str) -> str:
        """SHA-256 of a certificate, in hexadecimal."""
        pem = Path(f"{certificate}.pem").read_text(encoding="ascii")
        first = pem[: pem.index("-----END") + len("-----END CERTIFICATE-----")]
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()

    def _write(self, name: str, made: trustme.LeafCert) -> str:
        base = str(self.directory / name)
        made.private_key_pem.write_to_path(f"{base}.key")
        for index, blob in enumerate(made.cert_chain_pems):
            blob.write_to_path(f"{base}.pem", append=index > 0)
        return base


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The files."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
