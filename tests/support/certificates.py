"""Certificates for servers of tests: a good one, and one of every kind that clients must reject."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import trustme


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a server's certificate chain and key, in PEM. A database server copies both."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The certificates, all but one issued by `authority`."""

    authority: Path
    """The certificate that clients trust, in PEM."""
    good: Certificate
    """For 127.0.0.1 and localhost."""
    wrong_host: Certificate
    """For another host name."""
    expired: Certificate
    """Valid until 2001."""
    untrusted: Certificate
    """For the right host, issued by an authority that no client trusts."""

    @classmethod
    def generate(cls, folder: Path) -> Self:
        """Generate all of them as files in a folder."""
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
