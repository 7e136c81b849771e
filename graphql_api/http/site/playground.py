"""The playground: GraphiQL at /graphql.

`playground/build.mjs` bundles it from npm packages, and `make` and the builds of image and wheel run it. Without the
bundle the page says what to install.
"""

import hashlib
import logging
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.page import SITE_NAME, GetBaseURL, PageHead
from graphql_api.http.site.playground_link import build_curl_line
from graphql_api.http.site.static_files import Asset, relative_root
from graphql_api.http.site.templates import render_template

logger = logging.getLogger(__name__)

BUNDLE_FOLDER = Path(sys.prefix) / "share" / "graphql-api" / "playground" / "dist"
"""Folder of the bundle, in a container as in `.venv`."""
_TITLE = f"Playground: {SITE_NAME}"
_DESCRIPTION = "Write and run GraphQL queries on the world's countries, with documentation and examples."
PACKAGE_ASSETS = tuple(map(Asset.from_package, ("playground.css", "playground.js", "icon.svg")))
_ENTRIES = ("graphiql.css", "graphiql.js")
"""Files of the bundle that the page names. They load the others, from the same folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """The page, and the files it loads from this server."""

    bundle: Mapping[str, str]
    """URLs of the bundle's files by name, relative to the site; none unless all are installed."""
    assets: tuple[Asset, ...]

    is_token_required: bool
    get_base_url: GetBaseURL

    @classmethod
    def load(cls, folder: Path, *, is_token_required: bool, get_base_url: GetBaseURL) -> Self:
        """Find the bundle in `folder`. With `is_token_required` the page has a button for the token."""
        files = _list_bundle(folder)
        if not {file.name for file in files} >= set(_ENTRIES):
            files = []
            message = "The playground is not installed in %s. `make run` installs it if Node.js and npm are available."
            logger.warning(message, folder)
        return cls(
            bundle={file.name: file.url for file in files},
            assets=(*PACKAGE_ASSETS, *files),
            is_token_required=is_token_required,
            get_base_url=get_base_url,
        )

    def render(self, path: str, *, base_url: str, style_nonce: str) -> str:
        """Return the page as HTML, with links that are relative to its `path`."""
        head = PageHead(title=_TITLE, description=_DESCRIPTION, base_url=base_url, path="graphql")
        return render_template(
            "playground.html",
            root=relative_root(path),
            head=head,
            curl=build_curl_line(head.url),
            bundle=self.bundle,
            is_installed=bool(self.bundle),
            is_token_required=self.is_token_required,
            style_nonce=style_nonce,
        )

    def build_response(self, request: Request) -> Response:
        """Return a response with the page. Its nonce is for the styles that GraphiQL's editor creates."""
        style_nonce = secrets.token_urlsafe(16)
        page = self.render(request.scope["path"], base_url=self.get_base_url(request), style_nonce=style_nonce)
        csp = build_csp(style_nonce=style_nonce, allow_workers=True, allow_data_images=True)
        headers = {"Vary": "Accept", "Cache-Control": "no-cache", "Content-Security-Policy": csp}
        return HTMLResponse(page, headers=headers)


def _list_bundle(folder: Path) -> list[Asset]:
    """Return scripts, styles and fonts with one digest for all, because they name each other by relative URLs."""
    files = sorted(file for file in folder.glob("*") if file.suffix in {".css", ".js", ".ttf"})
    digests = (hashlib.sha256(file.read_bytes()).digest() for file in files)
    digest = hashlib.sha256(b"".join(digests)).hexdigest()[:16]
    return [Asset(file.name, file, digest) for file in files]
