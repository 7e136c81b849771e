"""`GET /metrics` for Prometheus."""

import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from graphql_api.http.auth import BearerTokens
from graphql_api.http.content_negotiation import MAX_HEADER_LENGTH
from graphql_api.http.errors import get_client
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.http.wrong_tokens import WrongTokens
from graphql_api.metrics.exposition import expose
from graphql_api.metrics.sampler import Sampler


async def serve_metrics(
    request: Request, *, sampler: Sampler, metrics_tokens: BearerTokens, wrong_tokens: WrongTokens
) -> Response:
    """Return the metrics of all workers, from memory, in the format that the client accepts.

    One of `metrics_tokens` is required; without any, the metrics are public.
    """
    credentials = request.headers.get("Authorization", "")
    if metrics_tokens and not metrics_tokens.accept(credentials):
        if credentials.strip():
            await wrong_tokens.pause(get_request_id(request), get_client(request.scope), "GET /metrics")
        headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
        return PlainTextResponse("This needs METRICS_TOKEN or ADMIN_TOKEN as a bearer token.\n", 401, headers)
    sampler.sample()
    accept = request.headers.get("Accept", "")[:MAX_HEADER_LENGTH]
    metrics = sampler.metrics.shared_metrics
    body, media_type = expose(metrics, accept=accept, now=time.monotonic())
    return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})
