"""Follows redirects, except those that a provider could use against the server or its network."""

import httpx

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.transport import IS_PUBLIC, PUBLIC_ONLY

_MAX_REDIRECTS = 5


async def send_following_redirects(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request, follow its redirects, and return the last response, whose body is not read yet.

    The bodies of redirects are not read either. If the first server is public, redirects lead to public servers only.

    Raises:
        ProviderError: a redirect is not followed.
    """
    response = await client.send(request, stream=True)
    is_public = response.extensions[IS_PUBLIC]
    redirect_count = 0
    while (redirected := response.next_request) is not None:
        await response.aclose()
        redirect_count += 1
        if redirect_count > _MAX_REDIRECTS:
            raise ProviderError("redirects too often")
        _require_safe_url(redirected.url, response.url)
        redirected.extensions = {**redirected.extensions, PUBLIC_ONLY: is_public}
        response = await client.send(redirected, stream=True)
    return response


def _require_safe_url(url: httpx.URL, redirected_from: httpx.URL) -> None:
    if url.scheme not in ("http", "https"):
        raise ProviderError("redirects to a URL that is neither http nor https")
    if url.scheme == "http" and redirected_from.scheme == "https":
        raise ProviderError("redirects from https to http")
    # A relative redirect keeps the credentials of its own URL.
    if url.userinfo not in (b"", redirected_from.userinfo):
        raise ProviderError("redirects to a URL with credentials")
