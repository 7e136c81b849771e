"""Flags: SVG files of the npm package flag-icons, installed with the playground.

Windows has no emoji of flags, and pages load no file of another server.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from graphql_api.http.site.playground import BUNDLE_FOLDER
from graphql_api.http.site.static_files import Asset

FLAG_FOLDER = BUNDLE_FOLDER / "flags"
"""Folder of the files, in a container as in `.venv`."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that are installed. Pages show an emoji in place of one that is not."""

    by_code: Mapping[str, Asset] = field(default_factory=dict)
    """By alpha-2 code."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Find the flags in `folder`, named by code.

        Their URLs share a digest, that of all: 250 different ones would be a fifth of a compressed page.
        """
        files = sorted(folder.glob("[a-z][a-z].svg"))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
        return cls({file.stem.upper(): Asset(f"flags/{file.name}", file, digest) for file in files})

    def get_url(self, code: str) -> str:
        """Return the URL of a flag, relative to the site; empty if it is not installed."""
        asset = self.by_code.get(code)
        return asset.url if asset else ""
