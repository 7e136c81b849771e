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
    elsewhere: Certificate
    """For another host."""
    expired: Certificate
    """It was good once."""
    stranger: Certificate
    """For the right host, by an authority that nobody knows."""

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make them all, as files in that folder."""
        authority, stranger = trustme.CA(), trustme.CA(organization_name="Strangers")
        path = folder / "authority.pem"
        authority.cert_pem.write_to_path(path)
        here = ("127.0.0.1", "localhost")
        past = datetime(2001, 1, 1, tzinfo=UTC)
        return cls(
            authority=path,
            good=_write(folder / "good", authority.issue_cert(*here)),
            elsewhere=_write(folder / "elsewhere", authority.issue_cert("elsewhere.example")),
            expired=_write(folder / "expired", authority.issue_cert(*here, not_after=past)),
            stranger=_write(folder / "stranger", stranger.issue_cert(*here)),
        )


def _write(path: Path, made: trustme.LeafCert) -> Certificate:
    certificate = Certificate(path.with_suffix(".pem"), path.with_suffix(".key"))
    for block in made.cert_chain_pems:
        block.write_to_path(certificate.chain, append=True)
    made.private_key_pem.write_to_path(certificate.key)
    return certificate
