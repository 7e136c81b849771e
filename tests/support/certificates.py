"""Certificates for servers of tests: one that is right, and every kind that must be refused."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import trustme


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, as files in PEM; a database server copies them to where it may read."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The certificates, and the authority that made all but one of them."""

    authority: Path
    """What a client trusts, in PEM."""
    good: Certificate
    """For 127.0.0.1 and localhost."""
    wrong_host: Certificate
    """For another host."""
    expired: Certificate
    """It was good once."""
    untrusted: Certificate
    """For the right host, by an authority that nobody knows."""

    @classmethod
    def generate(cls, folder: Path) -> Self:
        """Make them all, as files in that folder."""
        ca, untrusted_ca = trustme.CA(), trustme.CA(organization_name="Strangers")
        path = folder / "authority.pem"
        ca.cert_pem.write_to_path(path)
        hosts = ("127.0.0.1", "localhost")
        expiry = datetime(2001, 1, 1, tzinfo=UTC)
        return cls(
            authority=path,
            good=_write_certificate(folder / "good", ca.issue_cert(*hosts)),
            wrong_host=_write_certificate(folder / "elsewhere", ca.issue_cert("elsewhere.example")),
            expired=_write_certificate(folder / "expired", ca.issue_cert(*hosts, not_after=expiry)),
            untrusted=_write_certificate(folder / "stranger", untrusted_ca.issue_cert(*hosts)),
        )


def _write_certificate(path: Path, leaf: trustme.LeafCert) -> Certificate:
    certificate = Certificate(path.with_suffix(".pem"), path.with_suffix(".key"))
    for block in leaf.cert_chain_pems:
        block.write_to_path(certificate.chain, append=True)
    leaf.private_key_pem.write_to_path(certificate.key)
    return certificate
