"""Liveness and readiness for orchestrators, from memory: no request waits for the database."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_api.catalog import Catalog


@dataclass(frozen=True, slots=True)
class HealthEndpoints:
    """Serves /healthz and /readyz."""

    catalog: Catalog
    is_stopping: Callable[[], bool]

    async def live(self, _request: Request) -> Response:
        """Return 200 while the process runs."""
        return _build_response({"status": "ok"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Return 200 if there is data to serve; 503 without data and during shutdown."""
        snapshot, status = self.catalog.snapshot, self._get_status()
        data = {"countries": len(snapshot.rows), "version": str(snapshot.version)}
        content = {"status": status, **data, **self._describe_database()}
        return _build_response(content, 200 if status == "ready" else 503)

    def _get_status(self) -> str:
        if self.is_stopping():
            return "stopping"
        if not self.catalog.is_loaded:
            return "starting"
        return "ready" if self.catalog.snapshot.rows else "empty"

    def _describe_database(self) -> dict[str, str]:
        since = self.catalog.unreachable_since
        if since is not None:
            timestamp = since.isoformat(timespec="seconds").replace("+00:00", "Z")
            return {"database": "unreachable", "unreachableSince": timestamp}
        return {"database": "ok" if self.catalog.is_loaded else "opening"}


def _build_response(content: object, status: int) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
