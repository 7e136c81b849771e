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

from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.static_files import Asset
from graphql_api.http.site.templates import render_template

logger = logging.getLogger(__name__)

INSTALL_FOLDER = Path(sys.prefix) / "share" / "graphql-api" / "playground" / "node_modules"
"""Where the files are, in a container as in `.venv`."""
OWN_ASSETS = (
    Asset.from_package("playground.css"),
    Asset.from_package("playground.js"),
    Asset.from_package("icon.svg"),
)

_DIALOG_STYLE_HASH = "'sha256-Y/huXlwoYkVyQlxwSVcCi1RCDGDCSVBzDt0hYP9qlTc='"
"""The one style that GraphiQL writes into the page: below a dialog nothing scrolls."""
_ASSET_TAG = re.compile(
    r'<(?:script|link)\s+crossorigin\s+(?:rel="stylesheet"\s+)?(?:src|href)='
    r'"(?P<origin>https://[^/"]+)/(?P<path>[^"]+)"\s+integrity="(?P<integrity>sha384-[^"]+)"'
)
_PACKAGE_VERSION = re.compile(r"(?<=[^/])@[^/]+")
"""What follows a package's name in the path of one of its files."""


class GraphiQLAsset(NamedTuple):
    """A file that GraphiQL consists of."""

    origin: str
    """Where Strawberry's page loads it from."""
    path: str
    """Package, version, and path in the package: `react@18.2.0/umd/react.production.min.js`."""
    integrity: str
    """Its hash, as browsers check it."""

    def load(self, folder: Path) -> Asset | None:
        """Return the installed file; None if it is missing or another one."""
        try:
            body = (folder / _PACKAGE_VERSION.sub("", self.path, count=1)).read_bytes()
        except OSError:
            return None
        digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
        return Asset(self.path, body) if f"sha384-{digest}" == self.integrity else None


def list_graphiql_assets() -> tuple[GraphiQLAsset, ...]:
    """Return the files, in the order in which they are loaded."""
    return tuple(
        GraphiQLAsset(*groups) for groups in _ASSET_TAG.findall(get_graphql_ide_html("graphiql"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """The page, and the files it loads from this server."""

    template_context: Mapping[str, object]
    """What its template is told."""
    csp: str
    """Its Content-Security-Policy."""
    assets: tuple[Asset, ...]

    @classmethod
    def load(cls, folder: Path, *, is_token_required: bool) -> Self:
        """Read the installed files; without all of them the page loads them from elsewhere."""
        local_files = {remote: remote.load(folder) for remote in list_graphiql_assets()}
        installed = {remote: asset for remote, asset in local_files.items() if asset is not None}
        cdn_origin = ""
        if len(installed) < len(local_files):
            cdn_origin, installed = next(iter(local_files)).origin, {}
            logger.warning(
                "The playground's files are not in %s; its page loads them from %s. "
                "`make run` installs them where npm is.",
                folder,
                cdn_origin,
            )
        links = [
            (
                installed[remote].url if installed else f"{remote.origin}/{remote.path}",
                remote.integrity,
            )
            for remote in local_files
        ]
        context = {
            "styles": [link for link in links if link[0].endswith(".css")],
            "scripts": [link for link in links if link[0].endswith(".js")],
            "ours": {asset.name: asset.url for asset in OWN_ASSETS},
            "elsewhere": cdn_origin,
            "token_needed": is_token_required,
        }
        csp = build_csp(
            script_sources=f"'self' {cdn_origin}".rstrip(),
            style_hashes=_DIALOG_STYLE_HASH,
            allow_data_urls=True,
        )
        return cls(template_context=context, csp=csp, assets=(*OWN_ASSETS, *installed.values()))

    @property
    def html(self) -> str:
        """Return its HTML."""
        return render_template("playground.html", **self.template_context)

    def build_response(self) -> Response:
        """Return the page."""
        headers = {
            "Vary": "Accept",
            "Cache-Control": "no-cache",
            "Content-Security-Policy": self.csp,
        }
        return HTMLResponse(self.html, headers=headers)
