"""The playground: GraphiQL at /graphql.

Strawberry's own page names GraphiQL's files and their hashes. They are installed from npm by
`playground/package.json`; without them the page loads the same files from a CDN.
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
from graphql_api.http.site.static_files import Asset, relative_root
from graphql_api.http.site.templates import render_template

logger = logging.getLogger(__name__)

INSTALL_FOLDER = Path(sys.prefix) / "share" / "graphql-api" / "playground" / "node_modules"
"""Folder of the npm packages, in a container as in `.venv`."""
PACKAGE_ASSETS = tuple(map(Asset.from_package, ("playground.css", "playground.js", "icon.svg")))

_DIALOG_STYLE_HASH = "'sha256-Y/huXlwoYkVyQlxwSVcCi1RCDGDCSVBzDt0hYP9qlTc='"
"""Hash of the one inline style of GraphiQL, which stops scrolling behind an open dialog."""
_ASSET_TAG = re.compile(
    r'<(?:script|link)\s+crossorigin\s+(?:rel="stylesheet"\s+)?(?:src|href)='
    r'"(?P<origin>https://[^/"]+)/(?P<path>[^"]+)"\s+integrity="(?P<integrity>sha384-[^"]+)"'
)
_PACKAGE_VERSION = re.compile(r"(?<=[^/])@[^/]+")
"""The version after a package's name in a path."""


class GraphiQLAsset(NamedTuple):
    """A file of GraphiQL."""

    origin: str
    """Origin of the CDN in Strawberry's page."""
    path: str
    """Package, version and path in the package: `react@18.2.0/umd/react.production.min.js`."""
    integrity: str
    """Value of the `integrity` attribute: `sha384-` and the hash in base64."""

    def find(self, folder: Path) -> Asset | None:
        """Return the installed file; None if it is missing or its hash differs."""
        file = folder / _PACKAGE_VERSION.sub("", self.path, count=1)
        try:
            digest = hashlib.sha384(file.read_bytes()).digest()
        except OSError:
            return None
        is_intact = f"sha384-{base64.b64encode(digest).decode()}" == self.integrity
        return Asset(self.path, file) if is_intact else None


def list_graphiql_assets() -> tuple[GraphiQLAsset, ...]:
    """Return the files of GraphiQL in the order in which a page loads them."""
    page = get_graphql_ide_html("graphiql")
    return tuple(GraphiQLAsset(*groups) for groups in _ASSET_TAG.findall(page))


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """The page, and the files it loads from this server."""

    template_context: Mapping[str, object]
    csp: str
    """Content-Security-Policy of the page."""
    assets: tuple[Asset, ...]

    @classmethod
    def load(cls, folder: Path, *, is_token_required: bool) -> Self:
        """Find the files in `folder`. Unless all are installed, the page loads all from the CDN.

        `is_token_required` puts an Authorization header into the tab of the mutation.
        """
        graphiql = list_graphiql_assets()
        installed = [asset for remote in graphiql if (asset := remote.find(folder)) is not None]
        urls = [asset.url for asset in installed]
        cdn_origin = ""
        if len(installed) < len(graphiql):
            cdn_origin, installed = graphiql[0].origin, []
            urls = [f"{remote.origin}/{remote.path}" for remote in graphiql]
            logger.warning(
                "The playground's files are not installed in %s; the page loads them from %s. "
                "`make run` installs them if npm is available.",
                folder,
                cdn_origin,
            )
        links = list(zip(urls, (remote.integrity for remote in graphiql), strict=True))
        context = {
            "styles": [link for link in links if link[0].endswith(".css")],
            "scripts": [link for link in links if link[0].endswith(".js")],
            "package_assets": {asset.name: asset.url for asset in PACKAGE_ASSETS},
            "cdn_origin": cdn_origin,
            "is_token_required": is_token_required,
        }
        csp = build_csp(
            script_sources=f"'self' {cdn_origin}".rstrip(), style_hashes=_DIALOG_STYLE_HASH, allow_data_urls=True
        )
        return cls(template_context=context, csp=csp, assets=(*PACKAGE_ASSETS, *installed))

    def render(self, path: str) -> str:
        """Return the page as HTML, with links that are relative to its `path`."""
        return render_template("playground.html", root=relative_root(path), **self.template_context)

    def build_response(self, path: str) -> Response:
        """Return a response with the page at `path`."""
        headers = {"Vary": "Accept", "Cache-Control": "no-cache", "Content-Security-Policy": self.csp}
        return HTMLResponse(self.render(path), headers=headers)
