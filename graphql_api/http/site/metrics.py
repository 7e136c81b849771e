"""`GET /metrics` for Prometheus."""

import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from graphql_api.http.auth import is_authorized
from graphql_api.metrics.exposition import expose
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.sampler import Sampler


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """Serves the metrics of all workers, from memory."""

    metrics: MetricsRecorder
    sampler: Sampler
    metrics_token: str | None
    """Required bearer token; None if the metrics are public."""

    async def serve(self, request: Request) -> Response:
        """Return every metric in the format that the client accepts."""
        if not is_authorized(request.headers.get("Authorization", ""), self.metrics_token):
            headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
            return PlainTextResponse("This needs ADMIN_TOKEN as a bearer token.\n", 401, headers)
        self.sampler.sample()
        accept = request.headers.get("Accept", "")
        body, media_type = expose(self.metrics.shared_metrics, accept=accept, now=time.monotonic())
        return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})
