"""Everything but GraphQL: FastAPI's application of pages, pictures, health and metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from graphql_api.catalog import Catalog
from graphql_api.http import landing, pictures
from graphql_api.http.assets import FOLDER, AssetEndpoint
from graphql_api.http.health import LIVE, READY, HealthEndpoints
from graphql_api.http.metrics import MetricsEndpoint
from graphql_api.http.pages import PageEndpoints
from graphql_api.http.pictures import PictureEndpoints
from graphql_api.http.playground import Playground
from graphql_api.metrics.meter import Meter
from graphql_api.metrics.sampling import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the pages tell of."""

    catalog: Catalog
    clock: Callable[[], datetime]
    stale_after: timedelta
    schema_text: str | None
    """None: it is not shown."""
    playground: Playground | None
    is_stopping: Callable[[], bool]
    meter: Meter
    sampler: Sampler
    metrics_token: str | None
    """What metrics are shown for; None: to everybody."""

    def build(self) -> FastAPI:
        """Return the application."""
        picture = PictureEndpoints(self.catalog)
        health = HealthEndpoints(catalog=self.catalog, is_stopping=self.is_stopping)
        metrics = MetricsEndpoint(meter=self.meter, sampler=self.sampler, token=self.metrics_token)
        pages = PageEndpoints(
            catalog=self.catalog,
            clock=self.clock,
            stale_after=self.stale_after,
            schema_text=self.schema_text,
            playground=self.playground is not None,
        )
        files = self.playground.assets if self.playground else ()
        assets = AssetEndpoint((*landing.ASSETS, *files))
        routes: list[BaseRoute] = [
            Route("/", pages.landing),
            Route(f"/{FOLDER}/{{path:path}}", assets.serve),
            Route("/schema.graphql", pages.schema),
            Route(pictures.CURRENT, picture.current),
            Route("/images/summary-{version}.png", picture.versioned),
            Route(LIVE, health.live),
            Route(READY, health.ready),
            Route("/metrics", metrics.show),
        ]
        return FastAPI(routes=routes, openapi_url=None)
