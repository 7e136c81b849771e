"""Everything but GraphQL: FastAPI's application of pages, pictures, health and metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from graphql_api.catalog import Catalog
from graphql_api.http.site import images, landing
from graphql_api.http.site.health import LIVENESS_PATH, READINESS_PATH, HealthEndpoints
from graphql_api.http.site.images import ImageEndpoints
from graphql_api.http.site.metrics import MetricsEndpoint
from graphql_api.http.site.pages import PageEndpoints
from graphql_api.http.site.playground import Playground
from graphql_api.http.site.static_files import STATIC_PREFIX, AssetEndpoint
from graphql_api.images.cache import SummaryImageCache
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.sampler import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the pages tell of."""

    catalog: Catalog
    summary_images: SummaryImageCache
    clock: Callable[[], datetime]
    stale_after: timedelta
    schema_text: str | None
    """None: it is not shown."""
    playground: Playground | None
    is_stopping: Callable[[], bool]
    metrics: MetricsRecorder
    sampler: Sampler
    metrics_token: str | None
    """What metrics are shown for; None: to everybody."""

    def build(self) -> FastAPI:
        """Return the application."""
        image_endpoints = ImageEndpoints(self.catalog, self.summary_images)
        health_endpoints = HealthEndpoints(catalog=self.catalog, is_stopping=self.is_stopping)
        metrics_endpoint = MetricsEndpoint(
            metrics=self.metrics, sampler=self.sampler, metrics_token=self.metrics_token
        )
        page_endpoints = PageEndpoints(
            catalog=self.catalog,
            clock=self.clock,
            stale_after=self.stale_after,
            schema_text=self.schema_text,
            has_playground=self.playground is not None,
        )
        playground_assets = self.playground.assets if self.playground else ()
        asset_endpoint = AssetEndpoint((*landing.ASSETS, *playground_assets))
        routes: list[BaseRoute] = [
            Route("/", page_endpoints.landing),
            Route(f"/{STATIC_PREFIX}/{{path:path}}", asset_endpoint.serve),
            Route("/schema.graphql", page_endpoints.schema),
            Route(images.CURRENT_IMAGE_PATH, image_endpoints.current),
            Route("/images/summary-{version}.png", image_endpoints.versioned),
            Route(LIVENESS_PATH, health_endpoints.live),
            Route(READINESS_PATH, health_endpoints.ready),
            Route("/metrics", metrics_endpoint.serve),
        ]
        return FastAPI(routes=routes, openapi_url=None)
