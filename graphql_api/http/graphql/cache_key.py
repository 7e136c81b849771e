"""Cache key: the parts of a request that its response depends on, besides the data."""

import hashlib
from typing import NamedTuple


class CacheKey(NamedTuple):
    """A request, as far as its response depends on it."""

    method: str
    text: bytes
    """The query string of a GET, the body of a POST."""
    media_type: str
    encoding: str

    def compute_etag(self, data_fingerprint: bytes) -> str:
        """Return the ETag of the response over the data with this fingerprint.

        It needs no response, is the same on every replica, and differs for any other response.
        """
        variant = f"{self.method}\n{self.media_type}\n{self.encoding}".encode()
        digest = hashlib.blake2b(b"\n".join((data_fingerprint, variant, self.text)), digest_size=16)
        return f'"{digest.hexdigest()}"'
