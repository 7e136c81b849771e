"""GraphiQL at /graphql: its files from this server if they are installed, else from elsewhere.

Which files, and their hashes, is what Strawberry's page says. They are installed from npm, outside
the package: see `playground/` in the project.
"""

import base64
import hashlib
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html

from graphql_api.http.assets import Asset
from graphql_api.http.security import policy_of
from graphql_api.http.templating import fill

logger = logging.getLogger(__name__)

INSTALLED = Path(sys.prefix) / "share" / "graphql-api" / "playground" / "node_modules"
"""Where the files are, in a container as in `.venv`."""
OURS = (Asset.ours("playground.css"), Asset.ours("playground.js"), Asset.ours("icon.svg"))

_DIALOG = "'sha256-Y/huXlwoYkVyQlxwSVcCi1RCDGDCSVBzDt0hYP9qlTc='"
"""The one style that GraphiQL writes into the page: below a dialog nothing scrolls."""
_TAG = re.compile(
    r'<(?:script|link)\s+crossorigin\s+(?:rel="stylesheet"\s+)?(?:src|href)='
    r'"(?P<origin>https://[^/"]+)/(?P<path>[^"]+)"\s+integrity="(?P<integrity>sha384-[^"]+)"'
)
_VERSION = re.compile(r"(?<=[^/])@[^/]+")
"""What follows a package's name in the path of one of its files."""


class Part(NamedTuple):
    """A file that GraphiQL consists of."""

    origin: str
    """Where Strawberry's page loads it from."""
    path: str
    """Package, version, and path in the package: `react@18.2.0/umd/react.production.min.js`."""
    integrity: str
    """Its hash, as browsers check it."""

    def find(self, folder: Path) -> Asset | None:
        """Return the installed file; None if it is missing or another one."""
        try:
            body = (folder / _VERSION.sub("", self.path, count=1)).read_bytes()
        except OSError:
            return None
        digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
        return Asset(self.path, body) if f"sha384-{digest}" == self.integrity else None


def parts() -> tuple[Part, ...]:
    """Return the files, in the order in which they are loaded."""
    return tuple(Part(*found) for found in _TAG.findall(get_graphql_ide_html("graphiql")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """The page, and the files it loads from this server."""

    shown: Mapping[str, object]
    """What its template is told."""
    policy: str
    """Its Content-Security-Policy."""
    assets: tuple[Asset, ...]

    @classmethod
    def load(cls, folder: Path, *, token_needed: bool) -> Self:
        """Read the installed files; without all of them the page loads them from elsewhere."""
        found = {part: part.find(folder) for part in parts()}
        installed = {part: asset for part, asset in found.items() if asset is not None}
        elsewhere = ""
        if len(installed) < len(found):
            elsewhere, installed = next(iter(found)).origin, {}
            logger.warning(
                "The playground's files are not in %s; its page loads them from %s. "
                "`make run` installs them where npm is.",
                folder,
                elsewhere,
            )
        addresses = [
            (
                installed[part].address if installed else f"{part.origin}/{part.path}",
                part.integrity,
            )
            for part in found
        ]
        shown = {
            "styles": [one for one in addresses if one[0].endswith(".css")],
            "scripts": [one for one in addresses if one[0].endswith(".js")],
            "ours": {asset.name: asset.address for asset in OURS},
            "elsewhere": elsewhere,
            "token_needed": token_needed,
        }
        policy = policy_of(sources=f"'self' {elsewhere}".rstrip(), styles=_DIALOG, data=True)
        return cls(shown=shown, policy=policy, assets=(*OURS, *installed.values()))

    @property
    def page(self) -> str:
        """Return its HTML."""
        return fill("playground.html", **self.shown)

    def respond(self) -> Response:
        """Return the page."""
        headers = {
            "Vary": "Accept",
            "Cache-Control": "no-cache",
            "Content-Security-Policy": self.policy,
        }
        return HTMLResponse(self.page, headers=headers)
