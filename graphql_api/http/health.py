"""What an orchestrator asks: does the process live, and has it data to serve."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_api.catalog import Catalog

LIVE, READY = "/healthz", "/readyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEndpoints:
    """Answers from memory, so a slow database delays nobody."""

    catalog: Catalog
    is_stopping: Callable[[], bool]

    async def live(self, _request: Request) -> Response:
        """Answer that the process lives."""
        return _respond({"status": "ok"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when there is data to serve, and 503 when there is none, or soon no server."""
        snapshot = self.catalog.snapshot
        status = self._status()
        content = {
            "status": status,
            "countries": len(snapshot.rows),
            "version": str(snapshot.version),
            **self._database(),
        }
        return _respond(content, 200 if status == "ready" else 503)

    def _status(self) -> str:
        if self.is_stopping():
            return "stopping"
        if not self.catalog.loaded:
            return "starting"
        return "ready" if self.catalog.snapshot.rows else "empty"

    def _database(self) -> dict[str, str]:
        since = self.catalog.unreachable_since
        if since is not None:
            told = since.isoformat(timespec="seconds").replace("+00:00", "Z")
            return {"database": "unreachable", "unreachableSince": told}
        return {"database": "ok" if self.catalog.loaded else "opening"}


def _respond(content: object, status: int) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
