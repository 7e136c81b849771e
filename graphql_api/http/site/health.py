"""What an orchestrator asks: does the process live, and has it data to serve."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_api.catalog import Catalog

LIVENESS_PATH, READINESS_PATH = "/healthz", "/readyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEndpoints:
    """Answers from memory, so a slow database delays nobody."""

    catalog: Catalog
    is_stopping: Callable[[], bool]

    async def live(self, _request: Request) -> Response:
        """Answer that the process lives."""
        return _build_response({"status": "ok"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when there is data to serve, and 503 when there is none, or soon no server."""
        snapshot = self.catalog.snapshot
        status = self._get_status()
        content = {
            "status": status,
            "countries": len(snapshot.rows),
            "version": str(snapshot.version),
            **self._describe_database(),
        }
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
