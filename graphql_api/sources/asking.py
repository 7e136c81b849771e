"""Asking one URL: how long, how much and how often is bounded, and every failure has its words."""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from graphql_api.sources.answer import MAX_BODY, Answer, NotModified, Validators
from graphql_api.sources.decompressing import ACCEPTED, read_body
from graphql_api.sources.provider import Unusable
from graphql_api.sources.retries import Passing, Retries

_PASSING = frozenset({429, 502, 503, 504})
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_MAX_VALIDATOR = 200
"""Characters; a longer one is as if there were none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks the URLs of one provider."""

    client: httpx.AsyncClient
    retries: Retries
    deadline: float
    """What the clock of the event loop says when the time is up; somebody else ends it then."""
    key: str | None = field(default=None, repr=False)

    async def get(
        self,
        url: str,
        params: Mapping[str, str],
        *,
        since: Validators | None = None,
        at_most: int = MAX_BODY,
    ) -> Answer:
        """Return what `url` answers, with `params` added to its query.

        Raises:
            NotModified: it has nothing new `since` an answer that had these validators.
            Unusable: it answers nothing that can be used, also when it was asked again.
        """
        retried = 0
        while True:
            try:
                return await self._get_once(url, params, since, at_most)
            except Passing as failure:
                left = self.deadline - asyncio.get_running_loop().time()
                pause = self.retries.pause(failure, retried=retried, left=left)
            await asyncio.sleep(pause)
            retried += 1

    async def _get_once(
        self, url: str, params: Mapping[str, str], since: Validators | None, at_most: int
    ) -> Answer:
        headers = dict(since.headers) if since else {}
        if self.key:
            # A redirect to another host leaves it behind: that is httpx's rule for this header.
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            complete = httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)
            async with self.client.stream("GET", complete, headers=headers) as response:
                if since and response.status_code == httpx.codes.NOT_MODIFIED:
                    raise NotModified
                _refuse_status(response)
                coding = response.headers.get("Content-Encoding", "")
                body = await read_body(response.aiter_raw(), coding=coding, at_most=at_most)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as error:
            # The last two: host names and ports, in a redirect too, that only lower layers refuse.
            raise _failure(error, url) from error
        return Answer(body=body, validators=_validators(response))


def create_client(user_agent: str) -> httpx.AsyncClient:
    """Return the client that all providers share; time limits are set around each provider."""
    return httpx.AsyncClient(
        headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPTED},
        follow_redirects=True,
        max_redirects=5,
        timeout=None,  # noqa: S113 - asyncio.timeout in fetch_first bounds the whole answer
    )


def _refuse_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in _PASSING:
        raise Passing(
            f"it answered with status {status}", retry_after=response.headers.get("Retry-After")
        )
    if status != httpx.codes.OK:
        raise Unusable(f"it answered with status {status}")


def _validators(response: httpx.Response) -> Validators:
    etag, modified = (response.headers.get(name) for name in ("ETag", "Last-Modified"))
    return Validators(
        etag=etag if etag and len(etag) <= _MAX_VALIDATOR else None,
        last_modified=modified if modified and len(modified) <= _MAX_VALIDATOR else None,
    )


def _failure(error: Exception, url: str) -> Unusable:
    """Return what went wrong in plain words, and whether it may be over soon."""
    causes = list(_causes(error))
    if any(isinstance(cause, httpx.InvalidURL) for cause in causes[1:]):
        return Unusable("it redirects to what is no URL")
    if isinstance(error, _BROKEN) or any(isinstance(one, ConnectionResetError) for one in causes):
        return Passing(f"the connection broke off: {str(error) or 'it was reset'}")
    who = "the server that it redirects to" if _was_redirected(error, url) else "the server"
    return Unusable(_reason(error, causes, who))


def _reason(error: Exception, causes: Sequence[BaseException], who: str) -> str:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name of {who} does not resolve"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{who} refuses connections"
    if isinstance(error, httpx.ConnectError):
        return f"{who} cannot be reached: {error}"
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects too often"
    cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return f"{type(cause).__name__}: {cause}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it was raised from, and so on; of a group everything."""
    while error is not None:
        yield error
        for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _causes(one)
        error = error.__cause__ or error.__context__


def _was_redirected(error: Exception, url: str) -> bool:
    if not isinstance(error, httpx.RequestError):
        return False
    asked, first = error.request.url, httpx.URL(url)
    return (asked.host, asked.port) != (first.host, first.port)
